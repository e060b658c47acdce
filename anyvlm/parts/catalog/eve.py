"""EVEv2 (2502.06788): its decoder, and the names of its tensors in BAAI/EVE-7B-HD-v2.0."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, Transpose, rename
from anyvlm.parts.by_kind import ByKind
from anyvlm.parts.catalog.llama import QWEN2_7B

EVE_V2_7B = QWEN2_7B.but(by_kind=ByKind(of=("norms", "qkv", "o", "ffn")))
"""Qwen2.5-7B with every weight of every layer twice; the final norm and the head are shared."""

_L, _B = "model.layers.{}.", "blocks.{}."
_KINDS = {"": "text", "moe_": "image"}
_SHARES = ("heads", "kv_heads", "kv_heads")

_DECODER = Keys(
    rules=(
        *rename({"model.embed_tokens.": "embed.", "model.norm.": "norm.", "lm_head.": "head."}),
        *(
            rule
            for theirs, ours in _KINDS.items()
            for rule in (
                *rename(
                    {
                        f"{_L}{theirs}input_layernorm.": f"{_B}norm1.{ours}.",
                        f"{_L}{theirs}post_attention_layernorm.": f"{_B}norm2.{ours}.",
                        f"{_L}self_attn.{theirs}o_proj.": f"{_B}attn.o.{ours}.",
                        f"{_L}{theirs}mlp.down_proj.": f"{_B}ffn.{ours}.down.",
                    }
                ),
                Rule(
                    theirs=tuple(f"{_L}self_attn.{theirs}{p}_proj." for p in "qkv"), ours=(f"{_B}attn.qkv.{ours}.",),
                    ops=(Fuse(shares=_SHARES),),
                ),
                Rule(
                    theirs=(f"{_L}{theirs}mlp.gate_proj.", f"{_L}{theirs}mlp.up_proj."), ours=(f"{_B}ffn.{ours}.gate_up.",),
                    ops=(Fuse(shares=(1, 1)),),
                ),
            )
        ),
    )
)  # fmt: skip

_PATCHES = Keys(
    rules=(
        Rule(
            theirs=("0.weight",), ours=("up.weight",),
            ops=(Reshape(theirs=("hidden", 3, 16, 16), ours=("hidden", 768)),),
        ),
        Rule(
            theirs=("2.weight",), ours=("fold.then.layers.0.weight",),
            ops=(
                Transpose(a=1, b=2),
                Transpose(a=2, b=3),
                Reshape(theirs=(-1, "r", "r", "hidden"), ours=(-1, "folded")),
            ),
        ),
        *rename({"0.bias": "up.bias", "2.bias": "fold.then.layers.0.bias"}),
    )
)  # fmt: skip
"""Convolutions over 16 x 16 pixels and over 2 x 2 of these; our rows of neighbours have the channels last."""

_FRAME = Keys(rules=rename({"class_embedding": "begin", "split_embedding": "line"}))

EVE_V2_HF = Layout(
    name="hf",
    mounts=(
        Mount(theirs="model.vision_tower.patch_embedding.", ours="connectors.image.", keys=_PATCHES),
        Mount(theirs="model.vision_tower.", ours="joins.image.", keys=_FRAME),
        Mount(theirs="", ours="lm.", keys=_DECODER),
    ),
)
"""EVEQwen2ForCausalLM of the authors' repository."""
