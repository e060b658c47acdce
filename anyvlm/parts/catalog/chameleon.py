"""Chameleon (2405.09818): sizes and tensor names. Source: transformers `modeling_chameleon.py`, its conversion script."""

from __future__ import annotations

from anyvlm.keys import Layout, Mount, rename
from anyvlm.parts.catalog.llama import LLAMA_2_7B, LLAMA_HF
from anyvlm.parts.catalog.vqgan import VQGAN_HF, vqgan_taming
from anyvlm.parts.norm import HeadNorm

CHAMELEON_LM_7B = LLAMA_2_7B.but(vocab=65536, qk_norm=HeadNorm(eps=1e-5))
CHAMELEON_LM_34B = CHAMELEON_LM_7B.but(
    width=8192, depth=48, heads=64, kv_heads=8, ffn__hidden=22016, norm_last=True
)
"""Norms behind its layers: the larger model was unstable with norms before them (section 2.3)."""

_NORMS = rename({f"model.layers.{{}}.self_attn.{n}_norm.": f"blocks.{{}}.attn.{n}_norm." for n in "qk"})

CHAMELEON_HF = Layout(
    name="hf",
    mounts=(
        Mount(theirs="model.vqmodel.", ours="encoders.image.", keys=VQGAN_HF),
        Mount(theirs="", ours="lm.", keys=LLAMA_HF.but(rules=(*_NORMS, *LLAMA_HF.rules))),
    ),
)
"""transformers' ChameleonForConditionalGeneration."""

_HALF = ("encoder.*", "quantize.*", "quant_conv.*", "post_quant_conv.*")


def chameleon_decoder(levels: int) -> Layout:
    """The half of Meta's vqgan.ckpt that transformers leaves out; the other half is in its files."""
    return Layout(
        name="vqgan", mounts=(Mount(theirs="", ours="encoders.image.", keys=vqgan_taming(levels)),), ignore=_HALF
    )
