"""The same shapes on both sides, random weights, bf16."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
    LlamaConfig,
    LlamaForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from anyvlm.dual import DualSystem
from anyvlm.generate.device import place
from anyvlm.generate.dual import DualModel
from anyvlm.generate.prepack import prepack
from anyvlm.parts.catalog.dinov2 import DINOV2_S
from anyvlm.parts.catalog.llama import SMOLLM2_135M
from anyvlm.parts.features import Encoder, patches
from anyvlm.registry import system
from anyvlm.seq import causal
from anyvlm.system import VLM, Batch, Pixels, System

torch.manual_seed(0)
Encode = Callable[[torch.Tensor], torch.Tensor]


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


def encoders() -> dict[str, tuple[Encode, Encode]]:
    """name -> (ours, theirs): pixels (B, 3, 224, 224) to what each is loaded for: rows of an encoder, points of a pair."""
    small = DINOV2_S.but(size=224)
    rows = small.build().to(torch.bfloat16).eval()
    prepack(rows)
    config = Dinov2Config(
        hidden_size=small.width, num_hidden_layers=small.depth, num_attention_heads=small.heads, image_size=224
    )
    their_rows = Dinov2Model(config).to(torch.bfloat16).eval()
    clip, finer = (CLIPVisionConfig(projection_dim=512, patch_size=patch) for patch in (32, 16))
    return {
        "DINOv2-S/14": (
            lambda pixels: rows(patches(pixels.bfloat16(), small.patch), (small.grid(224, 224),) * len(pixels)).x_ND,
            lambda pixels: their_rows(pixel_values=pixels.bfloat16()).last_hidden_state,
        ),
        "CLIP-B/32": _pair("clip-vit-b-32", CLIPVisionModelWithProjection(clip), "image_embeds"),
        "CLIP-B/16": _pair("clip-vit-b-16", CLIPVisionModelWithProjection(finer), "image_embeds"),
        "SigLIP-B/16": _pair("siglip-vit-b-16-224", SiglipVisionModel(SiglipVisionConfig(patch_size=16)), "pooler_output"),
    }


def pair(name: str) -> DualModel:
    """A system of towers as `anyvlm.load` leaves it on this machine, without a tokenizer."""
    named = system(name)
    assert isinstance(named, DualSystem)
    module = named.build().to(torch.bfloat16).eval()
    prepack(module)
    return DualModel(named, module, None, place("cpu", "bf16"))


def _pair(name: str, theirs: torch.nn.Module, out: str) -> tuple[Encode, Encode]:
    """The picture's tower of a pair."""
    mine = pair(name)
    encoder, module = mine.system.towers["image"].encoder, mine.module.towers["image"]
    assert isinstance(encoder, Encoder)
    theirs = theirs.to(torch.bfloat16).eval()

    def ours(pixels: torch.Tensor) -> torch.Tensor:
        grids = (encoder.grid(*pixels.shape[2:]),) * len(pixels)
        found: torch.Tensor = module(Pixels(patches(pixels.bfloat16(), encoder.patch), grids))
        return found

    def their(pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = theirs(pixel_values=pixels.bfloat16())[out]
        return found

    return ours, their
