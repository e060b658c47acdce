"""VideoMAE (2203.12602): encoders of clips that learned to guess the nine tenths of the tubes that were hidden.

Numbers: transformers `configuration_videomae.py`; MCG-NJU/videomae-* config.json as the catalogue has them.
"""

from __future__ import annotations

from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.parts.catalog.videomae import (
    VIDEOMAE_B,
    VIDEOMAE_H,
    VIDEOMAE_L,
    VIDEOMAE_LAYOUTS,
    VIDEOMAE_S,
    videomae_classifier,
    videomae_decoder,
)
from anyvlm.parts.hidden_tubes import HiddenTubes
from anyvlm.parts.vision.tubes import TubeViT
from anyvlm.system import Checkpoint, Meta, Stage, VisionSystem
from anyvlm.weights.sources import Hub

# the authors give rates for 256 clips; 1.5e-4 becomes this one for the 1024 of a batch
MASK = Stage(
    name="mask", train=("*",), losses={"pixels": 1.0}, data=("Kinetics-400",), lr=6e-4, batch=1024, epochs=1600,
    warmup=40 / 1600, weight_decay=0.05, note="AdamW 0.9, 0.95; every fourth frame; flips and crops of several scales",
)  # fmt: skip
CLASSIFY = Stage(
    name="classify", train=("*",), losses={"classes": 1.0},
    note="rates fall by 0.75 a layer; mixup, cutmix and repeated augmentation; the paper's other numbers differ by data",
)  # fmt: skip


def _eye(size: str, encoder: TubeViT, data: str = "") -> VisionSystem:
    name = f"videomae-{size}{data}"
    return VisionSystem(
        name=name, encoder=encoder, checkpoints=(Checkpoint(source=Hub(repo=f"MCG-NJU/{name}"), layouts=VIDEOMAE_LAYOUTS),),
        policy=ImagePolicy(size=(224, 224), fit="crop", resample="bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        meta=Meta(
            paper="2203.12602", year=2022, license="CC-BY-NC-4.0", family="videomae", row="videomae",
            summary=f"VideoMAE encoder {size}{data}.",
        ),
    )  # fmt: skip


def _pretrained(size: str, encoder: TubeViT, decoder: HiddenTubes) -> VisionSystem:
    return _eye(size, encoder.but(post_norm=True)).but(stages=(MASK,), lessons={"mask": decoder})


def _tuned(size: str, encoder: TubeViT, data: str, classes: int) -> VisionSystem:
    stage = CLASSIFY.but(data=("Kinetics-400" if classes == 400 else "Something-Something v2",))
    return _eye(size, encoder, data).but(stages=(stage,), lessons={"classify": videomae_classifier(classes)})


VIDEOMAE_BASE = _pretrained("base", VIDEOMAE_B, videomae_decoder(384, 4, 6))
VIDEOMAE_LARGE = _pretrained("large", VIDEOMAE_L, videomae_decoder(512, 12, 8))
VIDEOMAE_SMALL_K400 = _tuned("small", VIDEOMAE_S, "-finetuned-kinetics", 400)
VIDEOMAE_BASE_K400 = _tuned("base", VIDEOMAE_B, "-finetuned-kinetics", 400)
VIDEOMAE_LARGE_K400 = _tuned("large", VIDEOMAE_L, "-finetuned-kinetics", 400)
VIDEOMAE_HUGE_K400 = _tuned("huge", VIDEOMAE_H, "-finetuned-kinetics", 400)
VIDEOMAE_BASE_SSV2 = _tuned("base", VIDEOMAE_B, "-finetuned-ssv2", 174)
