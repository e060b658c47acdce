"""AIM (2401.08541): encoders that learned to write pictures, patch by patch, and a probe that classifies what they see.

Numbers: apple/ml-aim bd9e068 `aim-v1/aim/v1/torch/{models,data}.py`, `aim-v1/aim/v1/constants.py`. The authors' probe reads
the mean of six layers, the best or the last; so do these encoders, the best. The code of pre-training was not released.
"""

from __future__ import annotations

from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.parts.catalog.aim import AIM_1B as EYE_1B
from anyvlm.parts.catalog.aim import AIM_3B as EYE_3B
from anyvlm.parts.catalog.aim import AIM_7B as EYE_7B
from anyvlm.parts.catalog.aim import AIM_600M as EYE_600M
from anyvlm.parts.catalog.aim import AIM_EYE, AIM_PROBE
from anyvlm.parts.classify import Classify
from anyvlm.parts.ffn import MLP
from anyvlm.parts.next_patch import NextPatch
from anyvlm.parts.pool import CentredLook
from anyvlm.parts.vision.aim import NativeAimViT
from anyvlm.system import Checkpoint, Meta, Stage, VisionSystem
from anyvlm.weights.sources import Hub


def _eye(size: str, encoder: NativeAimViT, steps: int) -> VisionSystem:
    return VisionSystem(
        name=f"aim-{size.lower()}",
        encoder=encoder,
        policy=ImagePolicy(
            size=(224, 224), fit="crop", short=256, middle="even", mean=IMAGENET_MEAN, std=IMAGENET_STD
        ),
        checkpoints=(Checkpoint(source=Hub(repo=f"apple/aim-{size}"), layouts=AIM_EYE),),
        stages=(
            Stage(
                name="autoregressive", train=("*",), losses={"pixels": 1.0}, data=("DFN-2B", "ImageNet-1k"), steps=steps,
                batch=4096, note="four parts DFN-2B; batch from the 2B and 5B pictures of the files' names; no rates confirmed",
            ),
            Stage(name="probe", train=("lesson.*",), losses={"classes": 1.0}, data=("ImageNet-1k",)),
        ),
        lessons={
            "autoregressive": NextPatch(width=2048, depth=12, ffn=MLP(hidden=8192, bias=False)),
            "probe": Classify(classes=1000, pool=CentredLook(heads=encoder.heads), bias=False, layouts=AIM_PROBE),
        },
        meta=Meta(
            paper="2401.08541", year=2024, license="Apple sample code", family="aim", row="aim", summary=f"AIM encoder {size}."
        ),
    )  # fmt: skip


AIM_600M = _eye("600M", EYE_600M, 500_000)
AIM_1B = _eye("1B", EYE_1B, 1_200_000)
AIM_3B = _eye("3B", EYE_3B, 1_200_000)
AIM_7B = _eye("7B", EYE_7B, 1_200_000)
