"""Aya 23 (2405.15032): a multilingual Cohere Command."""

from __future__ import annotations

from anyvlm.inputs.templates import COHERE
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.llama import AYA_23_8B, COHERE_HF
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

AYA_23 = System(
    name="aya-23-8b",
    lm=AYA_23_8B,
    streams={},
    template=COHERE,
    tokenizer=Hub(repo="CohereForAI/aya-23-8B"),
    checkpoints=(Checkpoint(source=Hub(repo="CohereForAI/aya-23-8B"), layouts=(lm_hf(COHERE_HF),)),),
    meta=Meta(paper="2405.15032", year=2024, license="CC-BY-NC-4.0", family="cohere", row="", summary="Aya-23-8B."),
)
