"""REACT's files (2301.07094): open_clip's names, those of gated blocks inside the block behind them.

Source: microsoft/react a1a796f `react_customization/src/open_clip/transformer.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, rename
from anyvlm.parts.catalog.towers import CLIP_LAYOUTS, VIT_OPEN

_R, _G = "transformer.resblocks.{}.gated_attn_block.", "gates.{}."
GATED_OPEN = Keys(
    rules=(
        *VIT_OPEN.rules,
        *rename({
            _R + "ln_1.": _G + "norm1.", _R + "ln_2.": _G + "norm2.", _R + "attn.in_proj_weight": _G + "attn.qkv.weight",
            _R + "attn.in_proj_bias": _G + "attn.qkv.bias", _R + "attn.out_proj.": _G + "attn.o.",
            _R + "mlp.c_fc.": _G + "ffn.up.", _R + "mlp.c_proj.": _G + "ffn.down.", _R + "alpha_attn": _G + "gate1",
            _R + "alpha_dense": _G + "gate2",
        }),
    )
)  # fmt: skip


def _layout(name: str, before: str) -> Layout:
    open_clip = CLIP_LAYOUTS[1]
    mounts = tuple(
        mount.but(theirs=before + mount.theirs, keys=GATED_OPEN if mount.keys == VIT_OPEN else mount.keys)
        for mount in open_clip.mounts
    )
    return open_clip.but(name=name, mounts=mounts)


REACT_LAYOUTS = (_layout("react", ""), _layout("react_parallel", "module."))
"""Files of a parallel run carry a prefix. Towers without gated blocks are read by the same."""
