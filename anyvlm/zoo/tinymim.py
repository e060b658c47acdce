"""TinyMIM (2301.01296): small encoders that learn how MAE's larger ones relate what they see; each teaches the next smaller.

Numbers: OliverRensu/TinyMIM d084705 `README.md`, `main_pretrain.py`, `models_tinymim.py`, `models_teacher.py`. Its files are on
a file-sharing drive; those of pre-training are called as its code calls them. Heads are those of pre-training but of the last
block, which there has the teacher's: fine-tuning (`models_vit.py`) takes 3 for T, and for its segmentation 12. In the released
code a teacher S has 6 heads, which the 12 of a student T do not fit; here both are read with 12.
"""

from __future__ import annotations

from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.parts.catalog.mae import MAE_B_16, MAE_EYE, MAE_L_16, MAE_S_16, MAE_T_16
from anyvlm.parts.relations import Relations
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage, VisionSystem
from anyvlm.weights.sources import Directory
from anyvlm.zoo.deepmim import MAE_TRAINS

DISTIL = Stage(
    # of the last block only what makes queries, keys and values is computed
    name="distil", train=tuple(glob for glob in MAE_TRAINS if glob != "encoder.norm.*"), losses={"qk": 1.0, "vv": 1.0},
    data=("ImageNet-1k",), lr=2.4e-3, batch=4096, epochs=300, warmup=15 / 300, weight_decay=0.05,
    note="1.5e-4 for 256 pictures; AdamW 0.9, 0.95; colours of the encoder's view jittered by 0.4",
)  # fmt: skip


def _eye(size: str, encoder: ViT, teacher: ViT, layer: int, heads: int) -> VisionSystem:
    return VisionSystem(
        name=f"tinymim-vit-{size.lower()}-16", encoder=encoder,
        policy=ImagePolicy(size=(224, 224), fit="crop", short=256, mean=IMAGENET_MEAN, std=IMAGENET_STD, middle="even"),
        checkpoints=(Checkpoint(source=Directory(path="checkpoint-299.pth"), layouts=MAE_EYE),), stages=(DISTIL,),
        lessons={"distil": Relations(teacher=teacher, layer=layer, heads=heads)},
        meta=Meta(
            paper="2301.01296", year=2023, license="not stated", family="tinymim", row="tinymim",
            summary=f"ViT-{size}/16 taught the relations of a larger one.",
        ),
    )  # fmt: skip


TINYMIM_B_16 = _eye("B", MAE_B_16, MAE_L_16, 18, 16)
TINYMIM_S_16 = _eye("S", MAE_S_16, MAE_B_16, 12, 12)
TINYMIM_T_16 = _eye("T", MAE_T_16, MAE_S_16, 12, 12)
