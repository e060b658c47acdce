"""ImageBind (2305.05665): pictures, texts, sound, depth, heat and motion as points of one space; pictures bind them.

Numbers: facebookresearch/ImageBind 53680b0 `imagebind/models/imagebind_model.py`, `imagebind/data.py`. Its file is a direct
link, not a repository: https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth. How depth, heat and motion become arrays
the authors do not publish: they are taken as the network reads them.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem, SignalTower, Softmax, TextTower, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.signal import Given, Mel, SignalPolicy
from anyvlm.parts.catalog.imagebind import (
    BIND_AUDIO,
    BIND_DEPTH,
    BIND_IMAGE,
    BIND_IMU,
    BIND_LAYOUT,
    BIND_TEXT,
    BIND_THERMAL,
)
from anyvlm.parts.pool import Linear, Pick
from anyvlm.parts.vision.signal import SignalViT
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Directory, Hub
from anyvlm.zoo.clip import WORDS

FIXED = {"audio": 20.0, "depth": 5.0, "thermal": 10.0, "imu": 5.0}


def _sense(encoder: SignalViT, policy: SignalPolicy | None = None) -> SignalTower:
    given = Given(channels=encoder.channels, size=encoder.size)
    return SignalTower(policy=policy or given, encoder=encoder, pool=Pick(row="first"), project=Linear())


IMAGEBIND_HUGE = DualSystem(
    name="imagebind-huge",
    towers={
        "image": Tower(
            policy=ImagePolicy(size=(224, 224), fit="crop", middle="even"), encoder=BIND_IMAGE, pool=Pick(row="first"),
            project=Linear(),
        ),
        "text": TextTower(policy=WORDS, encoder=BIND_TEXT, pool=Pick(row="last"), project=Linear()),
        "audio": _sense(BIND_AUDIO, Mel()),
        "depth": _sense(BIND_DEPTH),
        "thermal": _sense(BIND_THERMAL),
        "imu": _sense(BIND_IMU),
    },
    shared=1024,
    contrasts=(Softmax(), *(Softmax(b=name, scale=scale) for name, scale in FIXED.items())),
    tokenizer=Hub(repo="laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),  # the same words as CLIP's
    checkpoints=(Checkpoint(source=Directory(path="imagebind_huge.pth"), layouts=(BIND_LAYOUT,)),),
    stages=(
        Stage(
            name="bind", train=tuple(f"towers.{name}.*" for name in FIXED), losses={f"image-{name}": 1.0 for name in FIXED},
            data=("AudioSet", "SUN RGB-D", "LLVIP", "Ego4D"),
            note="pictures and texts as OpenCLIP ViT-H/14 left them; drop path 0.1 for audio, 0.7 for imu, dropout 0.5 before "
            "the map of imu, none of which is applied here",
        ),
    ),
    meta=Meta(
        paper="2305.05665", year=2023, license="CC-BY-NC-SA-4.0", family="imagebind", row="imagebind",
        summary="Six senses in one space, bound by pictures.",
    ),
)  # fmt: skip
