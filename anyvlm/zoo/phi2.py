"""Phi-2, not tuned for chat; its model card asks as below."""

from __future__ import annotations

from anyvlm.inputs.formats import PHI_2 as FORMAT
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.phi import PHI_2 as LM
from anyvlm.parts.catalog.phi import PHI_HF
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

PHI_2 = System(
    name="phi-2",
    lm=LM,
    streams={},
    template=FORMAT,
    tokenizer=Hub(repo="microsoft/phi-2"),
    checkpoints=(Checkpoint(source=Hub(repo="microsoft/phi-2"), layouts=(lm_hf(PHI_HF),)),),
    meta=Meta(
        paper="https://huggingface.co/microsoft/phi-2", year=2023, license="MIT", family="phi", row="",
        summary="Phi-2, not tuned for chat.",
    ),
)  # fmt: skip
