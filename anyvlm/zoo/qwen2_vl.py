"""Qwen2-VL (2409.12191): pictures at their own size, and positions with three axes for the language model.

Numbers: the paper, section 2.2; the config.json and preprocessor_config.json published with each size. Of videos: the
authors' qwen-vl-utils 0.0.10, but for the 24,576 tokens of a whole video, which 0.0.8 had and the context has room for.
"""

from __future__ import annotations

from anyvlm.inputs.film import Film, Paced
from anyvlm.inputs.native import Native
from anyvlm.inputs.templates import QWEN2_VL
from anyvlm.parts.catalog.llama import QWEN2_1_5B, QWEN2_7B, QWEN2_72B
from anyvlm.parts.catalog.qwen_vl import QWEN2_VL_EYE, QWEN2_VL_HF, qwen_vl
from anyvlm.parts.connect.merger import Merger
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(
    policy=Native(least=56 * 56, most=12_845_056),  # 4 to 16,384 tokens
    encoder=QWEN2_VL_EYE,
    connector=Merger(norm=QWEN2_VL_EYE.norm),
    film=Film(
        sampler=Paced(fps=2.0, least=4, most=768, multiple=2),
        policy=Native(least=128 * 28**2, most=768 * 28**2, budget=2 * 24_576 * 28**2, rounds="last"),
        placeholder="<|video_pad|>",
    ),
)
SECTIONS = (16, 24, 24)
EYES = ("encoders.*", "connectors.*")

SEE = Stage(
    name="see", train=EYES, data=("image-text", "OCR", "classification"), note="600B tokens; the tower starts from DFN's ViT"
)
LEARN = Stage(
    name="learn", train=(*EYES, "lm.*"), data=("image-text", "interleaved", "VQA", "video", "text"), note="800B tokens"
)
TUNE = Stage(name="tune", train=("lm.*",), data=("instructions in ChatML",), note="the tower frozen, its merger with it")


def _qwen(size: str, lm: Decoder, license: str) -> System:
    source = Hub(repo=f"Qwen/Qwen2-VL-{size}-Instruct")
    return System(
        name=f"qwen2-vl-{size.lower()}-instruct",
        lm=lm.but(rope__sections=SECTIONS),
        streams={"image": EYE},
        template=QWEN2_VL,
        placeholder="<|image_pad|>",
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=qwen_vl(QWEN2_VL_HF)),),
        stages=(SEE, LEARN, TUNE),
        meta=Meta(
            paper="2409.12191", year=2024, license=license, family="qwen-vl", row="qwen2-vl",
            summary="Pictures at their own size, four patches a token; positions count time, lines and columns.",
        ),
    )  # fmt: skip


QWEN2_VL_2B_INSTRUCT = _qwen("2B", QWEN2_1_5B, "Apache-2.0")
QWEN2_VL_7B_INSTRUCT = _qwen("7B", QWEN2_7B, "Apache-2.0")
QWEN2_VL_72B_INSTRUCT = _qwen("72B", QWEN2_72B, "Tongyi Qianwen")
