"""DINOv2 (2304.07193): self-supervised towers that take any whole number of patches."""

from __future__ import annotations

from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.parts.catalog.dinov2 import DINOV2_B, DINOV2_G, DINOV2_HF, DINOV2_L, DINOV2_S, DINOV2_SWIGLU_HF
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.system import Checkpoint, Meta, VisionSystem
from anyvlm.weights.sources import Hub

DINOV2_SMALL = VisionSystem(
    name="dinov2-small",
    encoder=DINOV2_S,
    policy=ImagePolicy(size=(224, 224), fit="crop", short=256, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    checkpoints=(Checkpoint(source=Hub(repo="facebook/dinov2-small"), layouts=vision_hf(DINOV2_HF)),),
    meta=Meta(paper="2304.07193", year=2023, license="Apache-2.0", family="dinov2", row="", summary="DINOv2 ViT-S/14."),
)
DINOV2_BASE = DINOV2_SMALL.but(
    name="dinov2-base",
    encoder=DINOV2_B,
    checkpoints=(Checkpoint(source=Hub(repo="facebook/dinov2-base"), layouts=vision_hf(DINOV2_HF)),),
    meta__summary="DINOv2 ViT-B/14.",
)
DINOV2_LARGE = DINOV2_SMALL.but(
    name="dinov2-large",
    encoder=DINOV2_L,
    checkpoints=(Checkpoint(source=Hub(repo="facebook/dinov2-large"), layouts=vision_hf(DINOV2_HF)),),
    meta__summary="DINOv2 ViT-L/14.",
)
DINOV2_GIANT = DINOV2_SMALL.but(
    name="dinov2-giant",
    encoder=DINOV2_G,
    checkpoints=(Checkpoint(source=Hub(repo="facebook/dinov2-giant"), layouts=vision_hf(DINOV2_SWIGLU_HF)),),
    meta__summary="DINOv2 ViT-g/14.",
)
