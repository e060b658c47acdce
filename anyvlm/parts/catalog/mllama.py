"""Llama 3.2-Vision: sizes, and the names of its tensors. Source: transformers `modeling_mllama.py`."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.catalog.layouts import PROJECTOR_LINEAR
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.tiled import TiledViT

MLLAMA_VIT = TiledViT(
    width=1280, depth=32, top=8, heads=16, patch=14, tile=560, most=4, ffn=MLP(hidden=5120, act="gelu"),
    norm=LayerNorm(eps=1e-5), layers=(3, 7, 15, 23, 30),
)  # fmt: skip
"""Hidden states are counted as Meta's code and transformers up to 4.5x count them: what *enters* block 3, 7 ... From
transformers 5 on the class returns what leaves these blocks, which is not what the released weights were trained with."""


def _stack(theirs: str, ours: str) -> tuple[Rule, ...]:
    t, o = theirs + ".layers.{}.", ours + ".{}."
    return (
        *rename(
            {
                t + "self_attn.o_proj.": o + "attn.o.",
                t + "input_layernorm.": o + "norm1.",
                t + "post_attention_layernorm.": o + "norm2.",
                t + "mlp.fc1.": o + "ffn.up.",
                t + "mlp.fc2.": o + "ffn.down.",
                t + "gate_attn": o + "gate1",
                t + "gate_ffn": o + "gate2",
            }
        ),
        Rule(
            theirs=tuple(f"{t}self_attn.{p}_proj." for p in "qkv"), ours=(o + "attn.qkv.",), ops=(Fuse(shares=(1, 1, 1)),)
        ),
    )


MLLAMA_VIT_HF = Keys(
    rules=(
        Rule(
            theirs=("patch_embedding.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
        ),
        *rename(
            {
                "class_embedding": "cls",
                "gated_positional_embedding.embedding": "pos",
                "gated_positional_embedding.gate": "pos_gate",
                "gated_positional_embedding.tile_embedding.weight": "tile_pos",
                "pre_tile_positional_embedding.embedding.weight": "before.table",
                "pre_tile_positional_embedding.gate": "before.gate",
                "post_tile_positional_embedding.embedding.weight": "between.table",
                "post_tile_positional_embedding.gate": "between.gate",
                "layernorm_pre.": "norm_pre.",
                "layernorm_post.": "norm_post.",
            }
        ),
        *_stack("transformer", "blocks"),
        *_stack("global_transformer", "top"),
    )
)  # fmt: skip


def mllama_lm(depth: int, crosses: tuple[int, ...]) -> Keys:
    """The language model, whose `depth` layers in files are its own and, at the places `crosses`, the inserts."""
    rules: list[Rule] = []
    own = insert = 0
    for layer in range(depth):
        t = f"layers.{layer}."
        if layer in crosses:
            o, insert = f"inserts.{insert}.", insert + 1
            a = t + "cross_attn."
            rules += rename(
                {
                    a + "q_proj.": o + "attn.q.", a + "o_proj.": o + "attn.o.", a + "q_norm.": o + "attn.q_norm.",
                    a + "k_norm.": o + "attn.k_norm.", t + "cross_attn_attn_gate": o + "gate1",
                    t + "cross_attn_mlp_gate": o + "gate2",
                }
            )  # fmt: skip
            rules.append(Rule(theirs=(a + "k_proj.", a + "v_proj."), ours=(o + "attn.kv.",), ops=(Fuse(shares=(1, 1)),)))
        else:
            o, own = f"blocks.{own}.", own + 1
            rules += rename({t + "self_attn.o_proj.": o + "attn.o."})
            theirs = tuple(f"{t}self_attn.{p}_proj." for p in "qkv")
            shares = Fuse(shares=("heads", "kv_heads", "kv_heads"))
            rules.append(Rule(theirs=theirs, ours=(o + "attn.qkv.",), ops=(shares,)))
        rules += rename(
            {
                t + "input_layernorm.": o + "norm1.", t + "post_attention_layernorm.": o + "norm2.",
                t + "mlp.down_proj.": o + "ffn.down.",
            }
        )  # fmt: skip
        gate_up = (t + "mlp.gate_proj.", t + "mlp.up_proj.")
        rules.append(Rule(theirs=gate_up, ours=(o + "ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),)))
    rules += rename({"embed_tokens.": "embed.", "norm.": "norm."})
    return Keys(rules=tuple(rules))


def mllama_hf(depth: int, crosses: tuple[int, ...]) -> tuple[Layout, ...]:
    """transformers' MllamaForConditionalGeneration: published files, and its state_dict since version 5."""
    head = Keys(rules=rename({"lm_head.": "head."}))

    def layout(name: str, eye: str, bridge: str, lm: str, logits: str) -> Layout:
        return Layout(
            name=name,
            mounts=(
                Mount(theirs=eye, ours="encoders.image.", keys=MLLAMA_VIT_HF),
                Mount(theirs=bridge, ours="connectors.image.", keys=PROJECTOR_LINEAR),
                Mount(theirs=lm, ours="lm.", keys=mllama_lm(depth, crosses)),
                Mount(theirs=logits, ours="lm.", keys=head),
            ),
        )

    return (
        layout("hf", "vision_model.", "multi_modal_projector.", "language_model.model.", "language_model."),
        layout("hf-module", "model.vision_model.", "model.multi_modal_projector.", "model.language_model.", ""),
    )
