"""SigLIP's vision towers (2303.15343), rows after the final norm."""

from __future__ import annotations

from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.parts.catalog.clip import SIGLIP_B_16_256, SIGLIP_HF, SIGLIP_L_16_384, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.system import Checkpoint, Meta, VisionSystem
from anyvlm.weights.sources import Hub

SIGLIP_VIT_B_16_256 = VisionSystem(
    name="siglip-vit-b-16-256",
    encoder=SIGLIP_B_16_256,
    policy=ImagePolicy(size=(256, 256), fit="stretch", mean=HALF, std=HALF),
    checkpoints=(Checkpoint(source=Hub(repo="google/siglip-base-patch16-256"), layouts=vision_hf(SIGLIP_HF)),),
    meta=Meta(
        paper="2303.15343",
        year=2023,
        license="Apache-2.0",
        family="siglip",
        row="",
        summary="SigLIP ViT-B/16 at 256 pixels.",
    ),
)
SIGLIP_VIT_B_16_256_MULTILINGUAL = SIGLIP_VIT_B_16_256.but(
    name="siglip-vit-b-16-256-multilingual",
    encoder=SIGLIP_B_16_256,
    checkpoints=(Checkpoint(source=Hub(repo="google/siglip-base-patch16-256-multilingual"), layouts=vision_hf(SIGLIP_HF)),),
    meta__summary="SigLIP ViT-B/16 at 256 pixels, many languages.",
)
SIGLIP_VIT_L_16_384 = SIGLIP_VIT_B_16_256.but(
    name="siglip-vit-l-16-384",
    encoder=SIGLIP_L_16_384,
    policy=ImagePolicy(size=(384, 384), fit="stretch", mean=HALF, std=HALF),
    checkpoints=(Checkpoint(source=Hub(repo="google/siglip-large-patch16-384"), layouts=vision_hf(SIGLIP_HF)),),
    meta__summary="SigLIP ViT-L/16 at 384 pixels.",
)
SIGLIP_VIT_SO400M_14_384 = SIGLIP_VIT_B_16_256.but(
    name="siglip-vit-so400m-14-384",
    encoder=SIGLIP_SO400M_14_384,
    policy=ImagePolicy(size=(384, 384), fit="stretch", mean=HALF, std=HALF),
    checkpoints=(Checkpoint(source=Hub(repo="google/siglip-so400m-patch14-384"), layouts=vision_hf(SIGLIP_HF)),),
    meta__summary="SigLIP shape-optimised 400M at 384 pixels.",
)
