"""Fuyu-8B (adept.ai/blog/fuyu-8b): no encoder; patches of 30 pixels, projected, are tokens of Persimmon-8B, in lines.

Numbers: the config.json and preprocessor_config.json of adept/fuyu-8b. Its recipe is not published.
"""

from __future__ import annotations

from anyvlm.inputs.boxes import Corners
from anyvlm.inputs.formats import FUYU
from anyvlm.inputs.markup import Lines
from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.parts.catalog.layouts import fuyu_hf
from anyvlm.parts.catalog.persimmon import FUYU_PATCHES, PERSIMMON_8B, PERSIMMON_HF
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.vision.patches import Patches
from anyvlm.system import Checkpoint, Meta, Stream, System
from anyvlm.weights.sources import Hub

MOST = (1080, 1920)

FUYU_8B = System(
    name="fuyu-8b",
    lm=PERSIMMON_8B,
    streams={
        "image": Stream(
            # the filling is 1 of 255, not white: the published processor pads with 1.0 before it divides
            policy=ImagePolicy(
                size=MOST, fit="corner", multiple=30, fill=(1, 1, 1), resample="bilinear", mean=HALF, std=HALF
            ),
            encoder=Patches(patch=30),
            connector=Projector(depth=1),
            markup=Lines(line="|NEWLINE|", end="|NEWLINE|"),
            most=1,  # the published processor has one picture for a prompt
        )
    },
    template=FUYU,
    placeholder="|SPEAKER|",
    boxes=Corners(most=MOST),
    tokenizer=Hub(repo="adept/fuyu-8b"),
    checkpoints=(Checkpoint(source=Hub(repo="adept/fuyu-8b"), layouts=fuyu_hf(PERSIMMON_HF, FUYU_PATCHES)),),
    meta=Meta(
        paper="https://www.adept.ai/blog/fuyu-8b",
        year=2023,
        license="CC-BY-NC-4.0",
        family="encoder-free",
        row="fuyu-8b",
        summary="Pictures of any size as lines of raw patches, without an encoder.",
    ),
)
