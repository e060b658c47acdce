"""Phi-3-mini (2404.14219)."""

from __future__ import annotations

from anyvlm.inputs.templates import PHI_3
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.llama import PHI3_HF, PHI_3_MINI
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

PHI_3_MINI_4K_INSTRUCT = System(
    name="phi-3-mini-4k-instruct",
    lm=PHI_3_MINI,
    streams={},
    template=PHI_3,
    tokenizer=Hub(repo="microsoft/Phi-3-mini-4k-instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="microsoft/Phi-3-mini-4k-instruct"), layouts=(lm_hf(PHI3_HF),)),),
    meta=Meta(paper="2404.14219", year=2024, license="MIT", family="llama", row="", summary="Phi-3-mini-4k-instruct."),
)
