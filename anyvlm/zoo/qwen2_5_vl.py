"""Qwen2.5-VL (2502.13923): Qwen2-VL whose tower, trained from scratch, attends in windows in all layers but four.

Numbers: the paper, section 2.2 and table 2; the config.json and preprocessor_config.json published with each size.
"""

from __future__ import annotations

from anyvlm.parts.catalog.llama import QWEN2_3B, QWEN2_7B, QWEN2_32B, QWEN2_72B
from anyvlm.parts.catalog.qwen_vl import QWEN2_5_VL_EYE, QWEN2_5_VL_HF, qwen_vl
from anyvlm.parts.connect.merger import Merger
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Stage, System
from anyvlm.weights.sources import Hub
from anyvlm.zoo import qwen2_vl

EYE = qwen2_vl.EYE.but(
    encoder=QWEN2_5_VL_EYE, connector=Merger(norm=QWEN2_5_VL_EYE.norm), film__policy__budget=2 * 115_200 * 28**2, film__pace=2.0
)  # of a video 115,200 tokens at most, 90 % of the context; two positions a second
EVERYTHING = (*qwen2_vl.EYES, "lm.*")

STAGES = (
    Stage(name="see", train=qwen2_vl.EYES, data=("captions", "knowledge", "OCR"), context=8192, note="1.5T tokens"),
    Stage(
        name="learn", train=EVERYTHING, data=("interleaved", "VQA", "video", "grounding", "agent", "text"), context=8192,
        note="2T tokens",
    ),
    Stage(
        name="long", train=EVERYTHING, data=("long video", "long agent", "long document"), context=32768, note="0.6T tokens"
    ),
    Stage(name="tune", train=("lm.*",), data=("2M instructions, half text",), note="then DPO; the tower frozen in both"),
)  # fmt: skip


def _qwen(size: str, lm: Decoder, license: str, hidden: int) -> System:
    source = Hub(repo=f"Qwen/Qwen2.5-VL-{size}-Instruct")
    return qwen2_vl.QWEN2_VL_7B_INSTRUCT.but(
        name=f"qwen2.5-vl-{size.lower()}-instruct",
        lm=lm.but(rope__sections=qwen2_vl.SECTIONS, context=128_000),
        streams={"image": EYE.but(encoder__ffn__hidden=hidden)},
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=qwen_vl(QWEN2_5_VL_HF)),),
        stages=STAGES,
        meta__paper="2502.13923", meta__year=2025, meta__license=license, meta__row="qwen2.5-vl",
        meta__summary="Qwen2-VL with windows in the tower; boxes and points in pixels.",
    )  # fmt: skip


QWEN2_5_VL_3B_INSTRUCT = _qwen("3B", QWEN2_3B, "Qwen research", 3420)
QWEN2_5_VL_7B_INSTRUCT = _qwen("7B", QWEN2_7B, "Apache-2.0", 3420)
QWEN2_5_VL_32B_INSTRUCT = _qwen("32B", QWEN2_32B, "Apache-2.0", 3456)
QWEN2_5_VL_72B_INSTRUCT = _qwen("72B", QWEN2_72B, "Qwen", 3456)
