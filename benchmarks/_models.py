"""The same shapes on both sides, random weights, bf16."""

from __future__ import annotations

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model, LlamaConfig, LlamaForCausalLM

from anyvlm.generate.prepack import prepack
from anyvlm.parts.catalog.clip import CLIP_B_32
from anyvlm.parts.catalog.dinov2 import DINOV2_S
from anyvlm.parts.catalog.llama import SMOLLM2_135M
from anyvlm.registry import system
from anyvlm.seq import causal
from anyvlm.system import VLM, Batch, System

torch.manual_seed(0)


def ours_lm() -> VLM:
    """SmolLM2-135M as `anyvlm.load` leaves it on this machine."""
    named = system("smollm2-135m-instruct")
    assert isinstance(named, System)
    vlm = named.build().to(torch.bfloat16).eval()
    prepack(vlm)
    return vlm


def their_lm() -> LlamaForCausalLM:
    """The same in transformers."""
    spec = SMOLLM2_135M
    config = LlamaConfig(
        vocab_size=spec.vocab, hidden_size=spec.width, intermediate_size=spec.ffn.hidden, rms_norm_eps=spec.norm.eps,
        num_hidden_layers=spec.depth, num_attention_heads=spec.heads, num_key_value_heads=spec.kv_heads,
        max_position_embeddings=spec.context, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(torch.bfloat16).eval()


def prompt(length: int) -> Batch:
    """One row of text."""
    ids = torch.randint(10, 1000, (1, length), generator=torch.Generator().manual_seed(1))
    zeros = torch.zeros_like(ids)
    return Batch(ids, zeros, causal(ids[..., None]).pos_PBT, zeros, {})


def towers() -> dict[str, tuple[torch.nn.Module, torch.nn.Module, int]]:
    """name -> (ours, theirs, patch) for pictures of 224 pixels."""
    pairs = {}
    small = DINOV2_S.but(size=224)
    config = Dinov2Config(
        hidden_size=small.width, num_hidden_layers=small.depth, num_attention_heads=small.heads, image_size=224
    )
    pairs["DINOv2-S/14"] = (small, Dinov2Model(config))
    clip = CLIP_B_32
    clip_config = CLIPVisionConfig(
        hidden_size=clip.width, num_hidden_layers=clip.depth, num_attention_heads=clip.heads, image_size=224,
        intermediate_size=clip.ffn.hidden, patch_size=clip.patch,
    )  # fmt: skip
    pairs["CLIP-B/32"] = (clip, CLIPVisionModel(clip_config))
    out = {}
    for name, (spec, theirs) in pairs.items():
        mine = spec.build().to(torch.bfloat16).eval()
        prepack(mine)
        out[name] = (mine, theirs.to(torch.bfloat16).eval(), spec.patch)
    return out
