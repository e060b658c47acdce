"""ConvNeXts (2201.03545) of OpenCLIP: sizes, and the names of tensors in its files, whose trunks are timm's.

Sources: timm 1.0.31 `convnext.py`; open_clip 3.3.0 `timm_model.py`, `model_configs/convnext_*.json`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Rule, Transpose, rename
from anyvlm.parts.catalog.towers import TEXT_OPEN
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.convnext import ConvNeXt

CONVNEXT_B = ConvNeXt(widths=(128, 256, 512, 1024), depths=(3, 3, 27, 3), norm=LayerNorm(eps=1e-6))
CONVNEXT_L = CONVNEXT_B.but(widths=(192, 384, 768, 1536))
CONVNEXT_XXL = ConvNeXt(widths=(384, 768, 1536, 3072), depths=(3, 4, 30, 3), norm=LayerNorm(eps=1e-5))

_S, _B = "stages.{}.", "stages.{}.blocks.{}."
CONVNEXT_TIMM = Keys(
    rules=rename({
        "stem.0.": "stem.", "stem.1.": "norm_stem.", _S + "downsample.0.": _S + "norm.", _S + "downsample.1.": _S + "down.",
        _B + "conv_dw.": _B + "conv.", _B + "norm.": _B + "norm.", _B + "mlp.fc1.": _B + "up.", _B + "mlp.fc2.": _B + "down.",
        _B + "gamma": _B + "scale",
    })
)  # fmt: skip
"""timm's ConvNeXt without its head."""

_ENDS = Keys(
    rules=(
        Rule(theirs=("text_projection",), ours=("towers.text.project.weight",), ops=(Transpose(),)),
        *rename({
            "logit_scale": "contrasts.0.scale", "visual.trunk.head.norm.": "towers.image.pool.norm.",
            "visual.head.proj.": "towers.image.project.", "visual.head.mlp.fc1.": "towers.image.project.up.",
            "visual.head.mlp.fc2.": "towers.image.project.down.",
        }),
    )
)  # fmt: skip
CONVNEXT_LAYOUTS = (
    Layout(
        name="open_clip",
        mounts=(
            Mount(theirs="visual.trunk.", ours="towers.image.encoder.", keys=CONVNEXT_TIMM),
            Mount(theirs="", ours="towers.text.encoder.", keys=TEXT_OPEN), Mount(theirs="", ours="", keys=_ENDS),
        ),
    ),
)  # fmt: skip
"""Of open_clip's CLIP with a TimmModel."""
