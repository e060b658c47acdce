"""AIMv2 (2411.14402): encoders that learned to write a picture and its text, and one beside a text tower (LiT).

Numbers: transformers `configuration_aimv2.py`; apple/ml-aim `aim-v2/README.md`, `aim/v2/torch/models.py`. What was trained
behind it, a decoder of pixels and words, was not released: it is the paper's, its heads and inner width those of AIMv2 large.
"""

from __future__ import annotations

from math import log

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.aimv2 import (
    AIMV2_1B,
    AIMV2_3B,
    AIMV2_EYE,
    AIMV2_H,
    AIMV2_L,
    AIMV2_L_NATIVE,
    AIMV2_LIT,
    AIMV2_TEXT,
)
from anyvlm.parts.ffn import GLU
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.pool import Linear, Look, Pick
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.vision.aim import AimViT, NativeAimViT
from anyvlm.parts.written import Written
from anyvlm.system import Checkpoint, Meta, Stage, VisionSystem
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import WORDS

META = Meta(paper="2411.14402", year=2024, license="Apple sample code", family="aimv2", row="aimv2")


WRITE = Stage(
    name="write", train=("*",), losses={"words": 1.0, "pixels": 0.4}, data=("DFN-2B", "COYO", "HQITP"), context=256 + 77,
    note="12 billion samples, alt texts and synthetic captions; the paper's rates are not confirmed",
)  # fmt: skip
DECODER = Written(
    width=1024, depth=12, vocab=32_000, context=77, norm=RMSNorm(eps=1e-5),
    block=PreNorm(heads=8, ffn=GLU(hidden=2816), norm=RMSNorm(eps=1e-5), bias=False),
)  # fmt: skip


def _eye(name: str, encoder: NativeAimViT, policy: ImagePolicy) -> VisionSystem:
    source = Hub(repo=f"apple/{name}")
    return VisionSystem(
        name=name.lower(), encoder=encoder, policy=policy, checkpoints=(Checkpoint(source=source, layouts=AIMV2_EYE),),
        meta=META.but(summary=f"AIMv2 encoder {name.removeprefix('aimv2-')}."),
    )  # fmt: skip


def _fixed(size: str, encoder: AimViT, pixels: int) -> VisionSystem:
    policy = ImagePolicy(size=(pixels, pixels), fit="crop")
    system = _eye(f"aimv2-{size}-patch14-{pixels}", encoder.but(size=pixels), policy)
    stage = WRITE if pixels == 224 else WRITE.but(name="enlarge", context=(pixels // 14) ** 2 + 77)
    return system.but(stages=(stage,), lessons={stage.name: DECODER})


AIMV2_L_224, AIMV2_L_336, AIMV2_L_448 = (_fixed("large", AIMV2_L, pixels) for pixels in (224, 336, 448))
AIMV2_H_224, AIMV2_H_336, AIMV2_H_448 = (_fixed("huge", AIMV2_H, pixels) for pixels in (224, 336, 448))
AIMV2_1B_224, AIMV2_1B_336, AIMV2_1B_448 = (_fixed("1B", AIMV2_1B, pixels) for pixels in (224, 336, 448))
AIMV2_3B_224, AIMV2_3B_336, AIMV2_3B_448 = (_fixed("3B", AIMV2_3B, pixels) for pixels in (224, 336, 448))
AIMV2_NATIVE = _eye(
    "aimv2-large-patch14-native", AIMV2_L_NATIVE, ImagePolicy(size=(448, 448), fit="keep", multiple=14)
)
AIMV2_L_DISTILLED_224, AIMV2_L_DISTILLED_336 = (
    _eye(f"aimv2-large-patch14-{pixels}-distilled", AIMV2_L.but(size=pixels), ImagePolicy(size=(pixels, pixels), fit="crop"))
    for pixels in (224, 336)
)

LIT = Hub(repo="apple/aimv2-large-patch14-224-lit")
AIMV2_L_LIT = DualSystem(
    name="aimv2-large-patch14-224-lit",
    towers={
        "image": Tower(
            policy=ImagePolicy(size=(224, 224), fit="crop"), encoder=AIMV2_L, pool=Look(heads=8), project=Linear()
        ),
        "text": TextTower(policy=WORDS, encoder=AIMV2_TEXT, pool=Pick(row="last"), project=Linear()),
    },
    shared=768,
    contrasts=(Softmax(),),
    tokenizer=LIT,
    checkpoints=(Checkpoint(source=LIT, layouts=AIMV2_LIT),),
    stages=(
        Stage(
            name="contrast", train=("towers.image.pool.*", "towers.image.project.*", "towers.text.*", "contrasts.*"),
            losses={"image-text": 1.0}, bounds={"contrasts.0.scale": (0.0, log(100))},
            note="LiT: the trunk is frozen; the paper gives no rates",
        ),
    ),
    meta=META.but(summary="AIMv2 large, frozen, with a pooling head beside a text tower trained for it (LiT)."),
)  # fmt: skip
