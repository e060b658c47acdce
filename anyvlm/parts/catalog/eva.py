"""EVA-CLIP's towers (2303.15389): sizes, and the names of tensors in open_clip's files, whose towers are timm's.

Sources: open_clip `model_configs/EVA*.json`; timm `eva.py`; baaivision/EVA `EVA-CLIP/rei/eva_clip/model_configs`.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Rule, Transpose, rename
from anyvlm.parts.catalog.timm import FRONT
from anyvlm.parts.catalog.towers import TEXT_OPEN
from anyvlm.parts.ffn import MLP, NormedGLU
from anyvlm.parts.keyless import Keyless, KeylessLast
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.eva import EvaViT

_NORM = LayerNorm(eps=1e-6)
EVA02_B = EvaViT(
    width=768, depth=12, patch=16, size=224, side=16, keep_cls=True,
    block=Keyless(heads=12, ffn=NormedGLU(hidden=2048, norm=_NORM), norm=_NORM, inner=True),
)  # fmt: skip
EVA02_L = EVA02_B.but(width=1024, depth=24, patch=14, block__heads=16, block__ffn__hidden=2730)
EVA01_G = EvaViT(
    width=1408, depth=40, patch=14, size=224, keep_cls=True, block=Keyless(heads=16, ffn=MLP(hidden=6144), norm=_NORM)
)
EVA02_E = EvaViT(
    width=1792, depth=64, patch=14, size=224, keep_cls=True, block=KeylessLast(heads=16, ffn=MLP(hidden=15360), norm=_NORM)
)

_B = "blocks.{}."
_COMMON = (
    *rename({
        _B + "norm1.": _B + "norm1.", _B + "norm2.": _B + "norm2.", _B + "attn.proj.": _B + "attn.o.",
        _B + "mlp.fc2.": _B + "ffn.down.", "patch_embed.proj.bias": "stem.bias", "norm.": "norm.",
    }),
    *FRONT,
)  # fmt: skip
EVA_TIMM = Keys(
    rules=(
        *_COMMON,
        *rename({
            _B + "attn.qkv.weight": _B + "attn.qkv.weight", _B + "attn.q_bias": _B + "attn.bias_q",
            _B + "attn.v_bias": _B + "attn.bias_v", _B + "mlp.fc1.": _B + "ffn.up.",
        }),
    )
)  # fmt: skip
"""timm's Eva with one matrix for queries, keys and values."""

EVA02_TIMM = Keys(
    rules=(
        *_COMMON,
        *rename({
            _B + "attn.q_proj.bias": _B + "attn.bias_q", _B + "attn.v_proj.bias": _B + "attn.bias_v",
            _B + "attn.norm.": _B + "attn.norm.", _B + "mlp.norm.": _B + "ffn.norm.",
        }),
        Rule(
            theirs=tuple(f"{_B}attn.{p}_proj.weight" for p in "qkv"), ours=(_B + "attn.qkv.weight",),
            ops=(Fuse(shares=(1, 1, 1)),),
        ),
        Rule(
            theirs=(_B + "mlp.fc1_g.", _B + "mlp.fc1_x."), ours=(_B + "ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),),
        ),
    )
)  # fmt: skip
"""timm's Eva with three, normed inside."""

CUSTOM_ENDS = Keys(
    rules=(
        Rule(theirs=("text.text_projection",), ours=("towers.text.project.weight",), ops=(Transpose(),)),
        *rename({"visual.trunk.head.": "towers.image.project.", "logit_scale": "contrasts.0.scale"}),
    )
)
"""open_clip's CustomTextCLIP around a tower of timm that ends in a map."""


def eva_layouts(eye: Keys) -> tuple[Layout, ...]:
    """open_clip's files."""
    mounts = (
        Mount(theirs="visual.trunk.", ours="towers.image.encoder.", keys=eye),
        Mount(theirs="text.", ours="towers.text.encoder.", keys=TEXT_OPEN), Mount(theirs="", ours="", keys=CUSTOM_ENDS),
    )  # fmt: skip
    return (Layout(name="open_clip", mounts=mounts),)
