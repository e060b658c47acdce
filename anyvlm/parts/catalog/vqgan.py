"""VQGANs of Chameleon (2405.09818) and Janus (2410.13848, LlamaGen's VQ-16): sizes and tensor names.

Sources: transformers `modeling_{chameleon,janus}.py`, facebookresearch/chameleon `vqgan.py`, deepseek-ai/Janus `vq_model.py`.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Rule, rename
from anyvlm.parts.code.vqgan import VQGAN

CHAMELEON_VQGAN = VQGAN(vocab=8192, width=256)
JANUS_VQGAN = VQGAN(vocab=16384, width=8, attend=True, unit=True)


def _block(theirs: str, ours: str) -> tuple[Rule, ...]:
    same = {f"{theirs}{part}.": f"{ours}{part}." for part in ("norm1", "conv1", "norm2", "conv2")}
    return rename(same | {f"{theirs}nin_shortcut.": f"{ours}skip."})


def _attention(theirs: str, ours: str) -> tuple[Rule, ...]:
    qkv = Rule(theirs=tuple(f"{theirs}{p}." for p in "qkv"), ours=(ours + "qkv.",), ops=(Fuse(shares=(1, 1, 1)),))
    return (*rename({theirs + "norm.": ours + "norm.", theirs + "proj_out.": ours + "o."}), qkv)


def _level(theirs: str, ours: str, block: str, step: str) -> tuple[Rule, ...]:
    return (
        *_block(f"{theirs}{block}.{{}}.", ours + "blocks.{}."),
        *_attention(theirs + "attn.{}.", ours + "attns.{}."),
        *rename({f"{theirs}{step}.conv.": ours + "step.conv."}),
    )


def _half(half: str, middle: tuple[str, str, str]) -> tuple[Rule, ...]:
    first, between, last = (f"{half}mid.{name}." for name in middle)
    return (
        *rename({half + "conv_in.": half + "first.", half + "norm_out.": half + "norm.", half + "conv_out.": half + "last."}),
        *_block(first, half + "middle.0."),
        *_attention(between, half + "middle.1."),
        *_block(last, half + "middle.2."),
    )


def _table(middle: tuple[str, str, str], *levels: tuple[Rule, ...], ignore: tuple[str, ...] = ()) -> Keys:
    book = {"quantize.embedding.weight": "book", "quant_conv.": "into.", "post_quant_conv.": "out."}
    halves = (*_half("encoder.", middle), *_half("decoder.", middle))
    return Keys(rules=(*rename(book), *halves, *(rule for level in levels for rule in level)), ignore=ignore)


_NAMED, _NUMBERED = ("block_1", "attn_1", "block_2"), ("0", "1", "2")
_DOWN = _level("encoder.down.{}.", "encoder.levels.{}.", "block", "downsample")

VQGAN_HF = _table(_NAMED, _DOWN, _level("decoder.up.{}.", "decoder.levels.{}.", "block", "upsample"))
"""transformers' ChameleonVQVAE, which has no decoder, and JanusVQVAE."""


def vqgan_taming(levels: int) -> Keys:
    """CompVis/taming-transformers and Meta's vqgan.ckpt, which count levels of the decoder from whole pictures down."""
    ups = (_level(f"decoder.up.{levels - 1 - n}.", f"decoder.levels.{n}.", "block", "upsample") for n in range(levels))
    return _table(_NAMED, _DOWN, *ups, ignore=("loss.*",))


VQGAN_LLAMAGEN = _table(
    _NUMBERED,
    _level("encoder.conv_blocks.{}.", "encoder.levels.{}.", "res", "downsample"),
    _level("decoder.conv_blocks.{}.", "decoder.levels.{}.", "res", "upsample"),
    ignore=("quantize.codebook_used",),
)
"""LlamaGen and deepseek-ai/Janus."""
