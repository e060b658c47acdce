"""CiT's files (2301.02241): transformers' VisionTextDualEncoderModel around MoCo v3's ViT, which is timm's, and a BertModel.

Sources: facebookresearch/CiT 5caecad `models_citclip.py`, `hfmodels/moco.py`; facebookresearch/moco-v3 c349e6e `vits.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, rename
from anyvlm.parts.catalog.timm import VIT_TIMM
from anyvlm.parts.catalog.towers import BERT_HF
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT

MOCO_B_16 = ViT(
    width=768, depth=12, heads=12, patch=16, size=224, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-6), stem_bias=True,
    keep_cls=True,
)  # fmt: skip
"""Its places are sines and cosines, which files hold."""


def _norm(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.{t}": f"{ours}.{o}" for t, o in (("running_mean", "mean"), ("running_var", "var"))}


MOCO_HEAD = Keys(
    rules=rename({
        "0.": "layers.0.", "3.": "layers.1.", "6.": "layers.2.", "1.weight": "norms.0.weight", "1.bias": "norms.0.bias",
        "4.weight": "norms.1.weight", "4.bias": "norms.1.bias", **_norm("1", "norms.0"), **_norm("4", "norms.1"),
        **_norm("7", "norms.2"),
    }),
    ignore=("*num_batches_tracked",),
)  # fmt: skip
TEXT_HF = BERT_HF.but(ignore=tuple(glob for glob in BERT_HF.ignore if glob != "pooler.*"))
POOLER_HF = Keys(rules=rename({"dense.": "map."}))
"""A BertModel whose pooler is read."""

DUAL_ENDS_HF = Keys(
    rules=rename({
        "visual_projection.": "towers.image.project.", "text_projection.": "towers.text.project.",
        "logit_scale": "contrasts.0.scale",
    })
)  # fmt: skip
CIT_LAYOUT = Layout(
    name="cit",
    mounts=(
        Mount(theirs="vision_model.moco.", ours="towers.image.encoder.", keys=VIT_TIMM),
        Mount(theirs="vision_model.moco.head.", ours="towers.image.pool.", keys=MOCO_HEAD),
        Mount(theirs="text_model.", ours="towers.text.encoder.", keys=TEXT_HF),
        Mount(theirs="text_model.pooler.", ours="towers.text.pool.", keys=POOLER_HF),
        Mount(theirs="", ours="", keys=DUAL_ENDS_HF),
    ),
)
