"""VideoMAE (2203.12602): encoders of clips that learned to guess the nine tenths of the tubes that were hidden.

Numbers: transformers `configuration_videomae.py`; MCG-NJU/videomae-* config.json as the catalogue has them. The decoder and the
classifiers of the files are not built.
"""

from __future__ import annotations

from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.parts.catalog.videomae import VIDEOMAE_B, VIDEOMAE_H, VIDEOMAE_L, VIDEOMAE_LAYOUTS, VIDEOMAE_S
from anyvlm.parts.vision.tubes import TubeViT
from anyvlm.system import Checkpoint, Meta, VisionSystem
from anyvlm.weights.sources import Hub


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


VIDEOMAE_BASE, VIDEOMAE_LARGE = _eye("base", VIDEOMAE_B.but(post_norm=True)), _eye("large", VIDEOMAE_L.but(post_norm=True))
VIDEOMAE_SMALL_K400 = _eye("small", VIDEOMAE_S, "-finetuned-kinetics")
VIDEOMAE_BASE_K400 = _eye("base", VIDEOMAE_B, "-finetuned-kinetics")
VIDEOMAE_LARGE_K400 = _eye("large", VIDEOMAE_L, "-finetuned-kinetics")
VIDEOMAE_HUGE_K400 = _eye("huge", VIDEOMAE_H, "-finetuned-kinetics")
VIDEOMAE_BASE_SSV2 = _eye("base", VIDEOMAE_B, "-finetuned-ssv2")
