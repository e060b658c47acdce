"""Qwen2.5 (2412.15115), instruction-tuned."""

from __future__ import annotations

from anyvlm.inputs.templates import QWEN2_5
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.llama import LLAMA_HF, QWEN2_0_5B, QWEN2_1_5B, QWEN2_3B, QWEN2_7B, QWEN2_14B, QWEN2_32B
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

QWEN2_5_0_5B_INSTRUCT = System(
    name="qwen2.5-0.5b-instruct",
    lm=QWEN2_0_5B,
    streams={},
    template=QWEN2_5,
    tokenizer=Hub(repo="Qwen/Qwen2.5-0.5B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="Qwen/Qwen2.5-0.5B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta=Meta(paper="2412.15115", year=2024, license="Apache-2.0", family="llama", row="", summary="Qwen2.5-0.5B-Instruct."),
)
QWEN2_5_1_5B_INSTRUCT = QWEN2_5_0_5B_INSTRUCT.but(
    name="qwen2.5-1.5b-instruct",
    lm=QWEN2_1_5B,
    tokenizer=Hub(repo="Qwen/Qwen2.5-1.5B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="Qwen/Qwen2.5-1.5B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__summary="Qwen2.5-1.5B-Instruct.",
)
QWEN2_5_3B_INSTRUCT = QWEN2_5_0_5B_INSTRUCT.but(
    name="qwen2.5-3b-instruct",
    lm=QWEN2_3B,
    tokenizer=Hub(repo="Qwen/Qwen2.5-3B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="Qwen/Qwen2.5-3B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__license="Qwen research",
    meta__summary="Qwen2.5-3B-Instruct.",
)
QWEN2_5_7B_INSTRUCT = QWEN2_5_0_5B_INSTRUCT.but(
    name="qwen2.5-7b-instruct",
    lm=QWEN2_7B,
    tokenizer=Hub(repo="Qwen/Qwen2.5-7B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="Qwen/Qwen2.5-7B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__summary="Qwen2.5-7B-Instruct.",
)
QWEN2_5_14B_INSTRUCT = QWEN2_5_0_5B_INSTRUCT.but(
    name="qwen2.5-14b-instruct",
    lm=QWEN2_14B,
    tokenizer=Hub(repo="Qwen/Qwen2.5-14B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="Qwen/Qwen2.5-14B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__summary="Qwen2.5-14B-Instruct.",
)
QWEN2_5_32B_INSTRUCT = QWEN2_5_0_5B_INSTRUCT.but(
    name="qwen2.5-32b-instruct",
    lm=QWEN2_32B,
    tokenizer=Hub(repo="Qwen/Qwen2.5-32B-Instruct"),
    checkpoints=(Checkpoint(source=Hub(repo="Qwen/Qwen2.5-32B-Instruct"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__summary="Qwen2.5-32B-Instruct.",
)
