"""DeepMIM (2303.08817): an encoder taught by CLIP at four depths what it sees of hidden patches.

Numbers: OliverRensu/DeepMIM 7bf1e80 `README.md`, `main_pretrain.py`, `models_mae.py`. Its files are on a file-sharing drive;
the one of pre-training is called as its code calls it. Downstream the rows are averaged, then normed.
"""

from __future__ import annotations

from anyvlm.inputs.policy import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.parts.catalog.clip import CLIP_B_16
from anyvlm.parts.catalog.mae import MAE_B_16, MAE_EYE
from anyvlm.parts.deep_features import DeepFeatures
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.system import Checkpoint, Meta, Stage, VisionSystem
from anyvlm.weights.sources import Directory

MAE_TRAINS = ("encoder.stem.*", "encoder.cls", "encoder.blocks.*", "encoder.norm.*")
DEEPMIM_B_16 = VisionSystem(
    name="deepmim-vit-b-16",
    encoder=MAE_B_16,
    policy=ImagePolicy(size=(224, 224), fit="crop", short=256, mean=IMAGENET_MEAN, std=IMAGENET_STD, middle="even"),
    checkpoints=(Checkpoint(source=Directory(path="checkpoint-1599.pth"), layouts=MAE_EYE),),
    stages=(
        Stage(
            name="mask", train=(*MAE_TRAINS, "lesson.decoders.*"), losses={"features": 1.0}, data=("ImageNet-1k",), lr=2.4e-3,
            batch=4096, epochs=1600, warmup=40 / 1600, weight_decay=0.05, note="1.5e-4 for 256 pictures; AdamW 0.9, 0.95",
        ),
    ),
    lessons={
        "mask": DeepFeatures(
            width=512, depth=4, block=PreNorm(heads=16, ffn=MLP(hidden=2048), norm=LayerNorm(eps=1e-6)), teacher=CLIP_B_16,
            features=512, seen=(IMAGENET_MEAN, IMAGENET_STD), taught=(CLIP_MEAN, CLIP_STD),
        )
    },
    meta=Meta(
        paper="2303.08817", year=2023, license="not stated", family="deepmim", row="deepmim",
        summary="ViT-B/16 taught by CLIP at four depths, three quarters of its patches hidden.",
    ),
)  # fmt: skip
