"""LLaVA-NeXT (LLaVA-1.6): LLaVA-1.5 that also sees up to four tiles of a large picture.

Numbers: llava-vl.github.io/blog/2024-01-30-llava-next; LLaVA-VL/LLaVA-NeXT scripts/train/direct_finetune_clip.sh.
"""

from __future__ import annotations

from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.template import Template
from anyvlm.inputs.templates import LLAVA_NEXT_LLAMA_3, LLAVA_V1_6_34B, MISTRAL_INSTRUCT, QWEN2, VICUNA_V1
from anyvlm.inputs.tiles import AnyRes
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.layouts import NEWLINE, llava_any
from anyvlm.parts.catalog.llama import (
    LLAMA_2_7B,
    LLAMA_2_13B,
    LLAMA_3_8B,
    LLAMA_HF,
    MISTRAL_7B_V0_2,
    QWEN1_5_72B,
    QWEN1_5_110B,
    YI_34B,
)
from anyvlm.parts.connect.newline import Newlines
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Meta, Stage, System
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

EYE = llava_1_5.EYE.but(
    policy=AnyRes(
        one=ImagePolicy(size=(336, 336), fit="stretch"),
        pinpoints=((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)),
    ),
    join=Newlines(),
)
ALIGN = llava_1_5.ALIGN.but(train=("connectors.*", "joins.*"))
TUNE = Stage(
    name="tune", train=("encoders.*", "connectors.*", "joins.*", "lm.*"), data=("llava-next-760k",), lr=1e-5,
    rates={"encoders.*": 2e-6}, batch=128, epochs=1, context=4096,
)  # fmt: skip


def _next(name: str, repo: str, lm: Decoder, template: Template, license: str) -> System:
    source = Hub(repo=f"llava-hf/{repo}-hf")
    return System(
        name=f"llava-next-{name}",
        lm=lm,
        streams={"image": EYE},
        template=template,
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=llava_any(LLAMA_HF, CLIP_HF, NEWLINE)),),
        stages=(ALIGN, TUNE),
        meta=Meta(
            paper="https://llava-vl.github.io/blog/2024-01-30-llava-next/", year=2024, license=license, family="llava",
            row="llava-next", summary="LLaVA with tiles of up to 672 x 672 pixels and a vector at the end of each line.",
        ),
    )  # fmt: skip


_LLAMA_2, _QWEN = "Llama 2 community", "Tongyi Qianwen"
LLAVA_NEXT_VICUNA_7B = _next("vicuna-7b", "llava-v1.6-vicuna-7b", LLAMA_2_7B.but(vocab=32064), VICUNA_V1, _LLAMA_2)
LLAVA_NEXT_VICUNA_13B = _next("vicuna-13b", "llava-v1.6-vicuna-13b", LLAMA_2_13B.but(vocab=32064), VICUNA_V1, _LLAMA_2)
LLAVA_NEXT_MISTRAL_7B = _next(
    "mistral-7b", "llava-v1.6-mistral-7b", MISTRAL_7B_V0_2.but(vocab=32064), MISTRAL_INSTRUCT, "Apache-2.0"
)
LLAVA_NEXT_34B = _next("34b", "llava-v1.6-34b", YI_34B.but(vocab=64064), LLAVA_V1_6_34B, "Yi")
LLAVA_NEXT_LLAMA3_8B = _next(
    "llama3-8b", "llama3-llava-next-8b", LLAMA_3_8B.but(vocab=128320), LLAVA_NEXT_LLAMA_3, "Llama 3 community"
)
LLAVA_NEXT_72B = _next("72b", "llava-next-72b", QWEN1_5_72B, QWEN2, _QWEN)
LLAVA_NEXT_110B = _next("110b", "llava-next-110b", QWEN1_5_110B, QWEN2, _QWEN)
