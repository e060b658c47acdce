"""Mistral-7B (2310.06825), instruction-tuned."""

from __future__ import annotations

from anyvlm.inputs.templates import MISTRAL_INSTRUCT
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.llama import LLAMA_HF, MISTRAL_7B_V0_2
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

MISTRAL_7B_INSTRUCT = System(
    name="mistral-7b-instruct-v0.2",
    lm=MISTRAL_7B_V0_2,
    streams={},
    template=MISTRAL_INSTRUCT,
    tokenizer=Hub(repo="mistralai/Mistral-7B-Instruct-v0.2"),
    checkpoints=(Checkpoint(source=Hub(repo="mistralai/Mistral-7B-Instruct-v0.2"), layouts=(lm_hf(LLAMA_HF),)),),
    meta=Meta(paper="2310.06825", year=2023, license="Apache-2.0", family="llama", row="", summary="Mistral-7B-Instruct-v0.2."),
)
