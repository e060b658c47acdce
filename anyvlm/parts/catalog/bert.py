"""BERT-like stacks: the names of their tensors. Sources: transformers `modeling_{bert,blip_text,blip_2,instructblip}.py`."""

from __future__ import annotations

from anyvlm.keys import Fuse, Rule, rename


def post_norm(theirs: str, ours: str, own: str = "self") -> tuple[Rule, ...]:
    """Rules of one `PostNorm` block. `own`: what the attention inside attention is called ("attention" in BLIP-2)."""
    attn, cross = f"{theirs}attention.", f"{theirs}crossattention."
    return (
        Rule(
            theirs=tuple(f"{attn}{own}.{p}." for p in ("query", "key", "value")), ours=(f"{ours}attn.qkv.",),
            ops=(Fuse(shares=(1, 1, 1)),),
        ),
        Rule(
            theirs=tuple(f"{cross}{own}.{p}." for p in ("key", "value")), ours=(f"{ours}cross.kv.",),
            ops=(Fuse(shares=(1, 1)),),
        ),
        *rename(
            {
                f"{attn}output.dense.": f"{ours}attn.o.",
                f"{attn}output.LayerNorm.": f"{ours}norm1.",
                f"{cross}{own}.query.": f"{ours}cross.q.",
                f"{cross}output.dense.": f"{ours}cross.o.",
                f"{cross}output.LayerNorm.": f"{ours}norm_cross.",
                f"{theirs}intermediate.dense.": f"{ours}ffn.up.",
                f"{theirs}output.dense.": f"{ours}ffn.down.",
                f"{theirs}output.LayerNorm.": f"{ours}norm2.",
            }
        ),
    )  # fmt: skip
