"""BakLLaVA-1: LLaVA-1.5 on Mistral-7B-v0.1."""

from __future__ import annotations

from anyvlm.parts.catalog.llama import MISTRAL_7B
from anyvlm.system import Checkpoint
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

BAKLLAVA_7B = llava_1_5.LLAVA_1_5_7B.but(
    name="bakllava-7b",
    lm=MISTRAL_7B.but(vocab=32064),
    tokenizer=Hub(repo="llava-hf/bakLlava-v1-hf"),
    checkpoints=(Checkpoint(source=Hub(repo="llava-hf/bakLlava-v1-hf"), layouts=llava_1_5.LAYOUTS),),
    stages=(
        llava_1_5.ALIGN.but(lr=None, batch=None, epochs=None),
        llava_1_5.TUNE.but(
            lr=None, batch=None, epochs=None,
            data=("158K GPT instructions", "450K academic VQA", "40K ShareGPT", "private permissive data"),
            note="numbers are not published",
        ),
    ),
    meta__paper="https://huggingface.co/SkunkworksAI/BakLLaVA-1",
    meta__license="Apache-2.0 (data: not for commercial use)",
    meta__row="bakllava",
    meta__summary="LLaVA-1.5 with Mistral-7B-v0.1, whose attention looks 4,096 tokens back.",
)  # fmt: skip
