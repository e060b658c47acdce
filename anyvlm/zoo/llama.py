"""Llama 3 (2407.21783), instruction-tuned."""

from __future__ import annotations

from anyvlm.inputs.templates import LLAMA_3
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.llama import LLAMA_3_8B, LLAMA_HF
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

LLAMA_3_8B_INSTRUCT = System(
    name="llama-3-8b-instruct",
    lm=LLAMA_3_8B,
    streams={},
    template=LLAMA_3,
    tokenizer=Hub(repo="meta-llama/Meta-Llama-3-8B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="meta-llama/Meta-Llama-3-8B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta=Meta(
        paper="2407.21783",
        year=2024,
        license="Llama 3 community",
        family="llama",
        row="",
        summary="Llama-3-8B-Instruct.",
    ),
)
