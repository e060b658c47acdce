"""Pixtral (2410.07073): pictures at their own size, a token after every line of patches.

Pixtral-Large (2411, 124B) is not here: the numbers of its parts could not be checked. Training is not published.
transformers' files give a context of 1,024,000, the model card 128k, which is written here.
"""

from __future__ import annotations

from anyvlm.inputs.markup import Lines
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.templates import PIXTRAL
from anyvlm.parts.catalog.llama import MISTRAL_NEMO_12B
from anyvlm.parts.catalog.pixtral import PIXTRAL_400M, PIXTRAL_LAYOUTS
from anyvlm.parts.connect.mlp import Projector
from anyvlm.system import Checkpoint, Meta, Stream, System
from anyvlm.weights.sources import Hub

FILES = Hub(repo="mistral-community/pixtral-12b")

PIXTRAL_12B = System(
    name="pixtral-12b",
    lm=MISTRAL_NEMO_12B.but(rope__theta=1_000_000_000.0),
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(1024, 1024), fit="keep", multiple=16),
            encoder=PIXTRAL_400M,
            connector=Projector(depth=2),
            markup=Lines(line="[IMG_BREAK]", end="[IMG_END]"),
        )
    },
    template=PIXTRAL,
    placeholder="[IMG]",
    tokenizer=FILES,
    checkpoints=(Checkpoint(source=FILES, layouts=PIXTRAL_LAYOUTS),),
    meta=Meta(
        paper="2410.07073", year=2024, license="Apache-2.0", family="pixtral", row="pixtral",
        summary="Mistral-Nemo that reads pictures at their own size, up to 1024 x 1024 pixels.",
    ),
)  # fmt: skip
