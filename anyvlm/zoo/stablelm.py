"""StableLM 2 (2402.17834), not tuned for chat: it goes on with a text."""

from __future__ import annotations

from anyvlm.inputs.formats import CONTINUED
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.stablelm import STABLELM_2_1_6B as LM
from anyvlm.parts.catalog.stablelm import STABLELM_HF
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

STABLELM_2_1_6B = System(
    name="stablelm-2-1.6b",
    lm=LM,
    streams={},
    template=CONTINUED,
    tokenizer=Hub(repo="stabilityai/stablelm-2-1_6b"),
    checkpoints=(Checkpoint(source=Hub(repo="stabilityai/stablelm-2-1_6b"), layouts=(lm_hf(STABLELM_HF),)),),
    meta=Meta(
        paper="2402.17834", year=2024, license="Stability AI non-commercial", family="stablelm", row="",
        summary="StableLM-2-1.6B, not tuned for chat.",
    ),
)  # fmt: skip
