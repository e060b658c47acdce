"""CLIP's vision towers (2103.00020), rows after the final norm."""

from __future__ import annotations

from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_B_32, CLIP_H_14, CLIP_HF, CLIP_L_14, CLIP_L_14_336
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.system import Checkpoint, Meta, VisionSystem
from anyvlm.weights.sources import Hub

CLIP_VIT_L_14 = VisionSystem(
    name="clip-vit-l-14",
    encoder=CLIP_L_14,
    policy=ImagePolicy(size=(224, 224), fit="crop"),
    checkpoints=(Checkpoint(source=Hub(repo="openai/clip-vit-large-patch14"), layouts=vision_hf(CLIP_HF)),),
    meta=Meta(paper="2103.00020", year=2021, license="MIT", family="clip", row="", summary="OpenAI CLIP ViT-L/14."),
)
CLIP_VIT_L_14_336 = CLIP_VIT_L_14.but(
    name="clip-vit-l-14-336",
    encoder=CLIP_L_14_336,
    policy=ImagePolicy(size=(336, 336), fit="crop"),
    checkpoints=(Checkpoint(source=Hub(repo="openai/clip-vit-large-patch14-336"), layouts=vision_hf(CLIP_HF)),),
    meta__summary="OpenAI CLIP ViT-L/14 at 336 pixels.",
)
CLIP_VIT_B_16 = CLIP_VIT_L_14.but(
    name="clip-vit-b-16",
    encoder=CLIP_B_16,
    checkpoints=(Checkpoint(source=Hub(repo="openai/clip-vit-base-patch16"), layouts=vision_hf(CLIP_HF)),),
    meta__summary="OpenAI CLIP ViT-B/16.",
)
CLIP_VIT_B_32 = CLIP_VIT_L_14.but(
    name="clip-vit-b-32",
    encoder=CLIP_B_32,
    checkpoints=(Checkpoint(source=Hub(repo="openai/clip-vit-base-patch32"), layouts=vision_hf(CLIP_HF)),),
    meta__summary="OpenAI CLIP ViT-B/32.",
)
CLIP_VIT_H_14 = CLIP_VIT_L_14.but(
    name="clip-vit-h-14-laion2b",
    encoder=CLIP_H_14,
    meta__paper="2212.07143",
    checkpoints=(Checkpoint(source=Hub(repo="laion/CLIP-ViT-H-14-laion2B-s32B-b79K"), layouts=vision_hf(CLIP_HF)),),
    meta__summary="OpenCLIP ViT-H/14 on LAION-2B.",
)
