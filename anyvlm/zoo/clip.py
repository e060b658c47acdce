"""CLIP (2103.00020): towers for pictures and texts, and its vision towers alone, rows after the final norm.

Numbers: the paper's tables 18 and 19; openai/CLIP `clip/clip.py`, `clip/model.py`. The weights of the ResNets are on the hub
as timm's copies in open_clip's layout.
"""

from __future__ import annotations

from math import log

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_B_32, CLIP_H_14, CLIP_HF, CLIP_L_14, CLIP_L_14_336
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.parts.catalog.towers import CLIP_LAYOUTS, RESNET_LAYOUTS, RN50, RN50X4, RN50X16, RN50X64, RN101, clip_text
from anyvlm.parts.pool import Linear, MeanProbe, Pick
from anyvlm.parts.vision.resnet import ResNet
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage, VisionSystem
from anyvlm.weights.sources import Hub

META = Meta(paper="2103.00020", year=2021, license="MIT", family="clip", row="clip")
WORDS = TextPolicy(context=77, first="<|startoftext|>", last="<|endoftext|>", pad="<|endoftext|>")
NOTE = "Adam with decoupled decay, none for gains and biases; 2,000 warm-up steps, cosine; the scale at most 100"


def stage(lr: float | None, epochs: float | None = 32, batch: int | None = 32768, decay: float = 0.2) -> Stage:
    """All parameters, contrast over the whole batch."""
    return Stage(
        name="contrast", train=("*",), losses={"image-text": 1.0}, bounds={"contrasts.0.scale": (0.0, log(100))}, lr=lr,
        batch=batch, epochs=epochs, warmup=0.005, weight_decay=decay, note=NOTE, data=("WIT 400M",),
    )  # fmt: skip


def clip(name: str, eye: ViT, text: int, shared: int, source: Hub, summary: str, lr: float | None = 5e-4) -> DualSystem:
    """A vision transformer beside a text tower of that width."""
    image = Tower(
        policy=ImagePolicy(size=(eye.size, eye.size), fit="crop"), encoder=eye.but(keep_cls=True), pool=Pick(row="first"),
        project=Linear(),
    )  # fmt: skip
    words = TextTower(policy=WORDS, encoder=clip_text(text), pool=Pick(row="last"), project=Linear())
    return DualSystem(
        name=name, towers={"image": image, "text": words}, shared=shared, contrasts=(Softmax(),), tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=CLIP_LAYOUTS),), stages=(stage(lr),), meta=META.but(summary=summary),
    )  # fmt: skip


def _resnet(name: str, eye: ResNet, text: int, shared: int, lr: float, repo: str) -> DualSystem:
    source, side = Hub(repo=f"timm/{repo}_clip.openai"), eye.size // eye.patch
    image = Tower(
        policy=ImagePolicy(size=(eye.size, eye.size), fit="crop"), encoder=eye,
        pool=MeanProbe(heads=eye.out // 64, rows=side**2), project=Linear(bias=True),
    )  # fmt: skip
    base = clip(name, CLIP_B_32, text, shared, source, f"OpenAI CLIP {name[5:]}.", lr)
    return base.but(towers__image=image, checkpoints=(Checkpoint(source=source, layouts=RESNET_LAYOUTS),))


def _openai(name: str, eye: ViT, text: int, shared: int, repo: str, summary: str, lr: float) -> DualSystem:
    return clip(name, eye, text, shared, Hub(repo=f"openai/{repo}"), f"OpenAI CLIP {summary}.", lr)


CLIP_RN50 = _resnet("clip-rn50", RN50, 512, 1024, 5e-4, "resnet50")
CLIP_RN101 = _resnet("clip-rn101", RN101, 512, 512, 5e-4, "resnet101")
CLIP_RN50X4 = _resnet("clip-rn50x4", RN50X4, 640, 640, 5e-4, "resnet50x4")
CLIP_RN50X16 = _resnet("clip-rn50x16", RN50X16, 768, 768, 4e-4, "resnet50x16")
CLIP_RN50X64 = _resnet("clip-rn50x64", RN50X64, 1024, 1024, 3.6e-4, "resnet50x64")
CLIP_VIT_B_32 = _openai("clip-vit-b-32", CLIP_B_32, 512, 512, "clip-vit-base-patch32", "ViT-B/32", 5e-4)
CLIP_VIT_B_16 = _openai("clip-vit-b-16", CLIP_B_16, 512, 512, "clip-vit-base-patch16", "ViT-B/16", 5e-4)
CLIP_VIT_L_14 = _openai("clip-vit-l-14", CLIP_L_14, 768, 768, "clip-vit-large-patch14", "ViT-L/14", 4e-4)
CLIP_VIT_L_14_336 = _openai(
    "clip-vit-l-14-336", CLIP_L_14_336, 768, 768, "clip-vit-large-patch14-336", "ViT-L/14 at 336 pixels", 2e-5
).but(stages=(stage(2e-5, 1), ))  # fmt: skip


def _alone(name: str, eye: ViT, repo: str, summary: str) -> VisionSystem:
    return VisionSystem(
        name=name, encoder=eye, policy=ImagePolicy(size=(eye.size, eye.size), fit="crop"),
        checkpoints=(Checkpoint(source=Hub(repo=repo), layouts=vision_hf(CLIP_HF)),),
        meta=META.but(row="", summary=f"{summary}, its vision tower alone."),
    )  # fmt: skip


CLIP_L_14_VISION = _alone("clip-vit-l-14-vision", CLIP_L_14, "openai/clip-vit-large-patch14", "OpenAI CLIP ViT-L/14")
CLIP_L_14_336_VISION = _alone(
    "clip-vit-l-14-336-vision", CLIP_L_14_336, "openai/clip-vit-large-patch14-336", "OpenAI CLIP ViT-L/14 at 336 pixels"
)
CLIP_B_16_VISION = _alone("clip-vit-b-16-vision", CLIP_B_16, "openai/clip-vit-base-patch16", "OpenAI CLIP ViT-B/16")
CLIP_B_32_VISION = _alone("clip-vit-b-32-vision", CLIP_B_32, "openai/clip-vit-base-patch32", "OpenAI CLIP ViT-B/32")
CLIP_H_14_VISION = _alone(
    "clip-vit-h-14-laion2b-vision", CLIP_H_14, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "OpenCLIP ViT-H/14 on LAION-2B"
)
