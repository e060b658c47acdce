"""FireLLaVA-13B: LLaVA-1.5-13B with instruction data written by CodeLlama-34B-Instruct, free for commercial use."""

from __future__ import annotations

from anyvlm.inputs.templates import FIRELLAVA
from anyvlm.system import Checkpoint
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

FIRELLAVA_13B = llava_1_5.LLAVA_1_5_13B.but(
    name="firellava-13b",
    template=FIRELLAVA,
    tokenizer=Hub(repo="fireworks-ai/FireLLaVA-13b"),
    checkpoints=(Checkpoint(source=Hub(repo="fireworks-ai/FireLLaVA-13b"), layouts=llava_1_5.LAYOUTS),),
    stages=tuple(
        stage.but(lr=None, batch=None, epochs=None, note="LLaVA-1.5's stage; its numbers are not published", data=(data,))
        for stage, data in zip((llava_1_5.ALIGN, llava_1_5.TUNE), ("LCS-558K", "588K, permissive"), strict=True)
    ),
    meta__paper="https://fireworks.ai/blog/firellava-the-first-commercially-permissive-oss-llava-model",
    meta__year=2024,
    meta__row="firellava",
    meta__summary="LLaVA-1.5-13B on data that may be used commercially; trained for one image per conversation.",
)
