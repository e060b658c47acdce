"""MAE's encoders (2111.06377), also DeepMIM's and TinyMIM's: sizes, and the names of timm's tensors.

Sources: facebookresearch/mae `models_mae.py`; OliverRensu/DeepMIM 7bf1e80 `models_mae.py`; OliverRensu/TinyMIM d084705
`models_tinymim.py`, `models_teacher.py`.
"""

from __future__ import annotations

from anyvlm.keys import Layout, Mount
from anyvlm.parts.catalog.timm import VIT_TIMM
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT

MAE_B_16 = ViT(
    width=768, depth=12, heads=12, patch=16, size=224, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-6), stem_bias=True,
    sincos=True,
)  # fmt: skip
MAE_L_16 = MAE_B_16.but(width=1024, depth=24, heads=16, ffn__hidden=4096)
MAE_S_16 = MAE_B_16.but(width=384, heads=6, ffn__hidden=1536)
MAE_T_16 = MAE_B_16.but(width=192, heads=6, ffn__hidden=768)
MAE_EYE = (Layout(name="timm", mounts=(Mount(theirs="", ours="", keys=VIT_TIMM),), ignore=("decoder_*", "mask_token*")),)
"""Of the encoder in files of pre-training, whose decoders are not read."""
