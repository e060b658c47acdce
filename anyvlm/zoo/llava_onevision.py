"""LLaVA-OneVision (2408.03326): LLaVA-NeXT with SigLIP, Qwen2, and up to 6 x 6 tiles; several pictures get one view each.

Numbers: LLaVA-VL/LLaVA-NeXT scripts/train/{finetune_si,finetune_ov}.sh, the paper's table of stages.
"""

from __future__ import annotations

from anyvlm.inputs.film import Film, Spread
from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.inputs.templates import QWEN2
from anyvlm.inputs.tiles import AnyRes
from anyvlm.parts.catalog.clip import SIGLIP_HF, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.layouts import NEWLINE, llava_any
from anyvlm.parts.catalog.llama import LLAMA_HF, QWEN2_0_5B, QWEN2_7B, QWEN2_72B
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.newline import Newlines
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

ONE = ImagePolicy(size=(384, 384), fit="stretch", mean=HALF, std=HALF)
EYE = Stream(
    policy=AnyRes(one=ONE, pinpoints=tuple((384 * h, 384 * w) for h in range(1, 7) for w in range(1, 7))),
    several=ONE.but(fit="pad", fill=(127, 127, 127)),
    encoder=SIGLIP_SO400M_14_384.but(depth=26, layers=(-1,)),  # the last of 27 blocks is taken off
    connector=Projector(depth=2),
    join=Newlines(most=9, pool=2),
    film=Film(sampler=Spread(most=32), policy=ONE, placeholder="<video>"),
)
_ALL = ("encoders.*", "connectors.*", "joins.*", "lm.*")
_FULL = Stage(
    name="knowledge", train=_ALL, data=("4M re-captioned, documents",), lr=1e-5, rates={"encoders.*": 2e-6}, batch=512, epochs=1
)
STAGES = (
    Stage(name="align", train=("connectors.*", "joins.*"), data=("LCS-558K",), lr=1e-3, batch=512, epochs=1),
    _FULL,
    _FULL.but(name="single-image", data=("3.2M instructions",), context=32768),
    _FULL.but(name="onevision", data=("1.6M: single, several, video",), context=32768),
)


def _onevision(size: str, suffix: str, lm: Decoder) -> System:
    source = Hub(repo=f"llava-hf/llava-onevision-qwen2-{size}-{suffix}-hf")
    return System(
        name=f"llava-onevision-{size}-{suffix}",
        lm=lm,
        streams={"image": EYE},
        template=QWEN2,
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=llava_any(LLAMA_HF, SIGLIP_HF, NEWLINE)),),
        stages=STAGES[: 3 if suffix == "si" else 4],
        meta=Meta(
            paper="2408.03326", year=2024, license="Apache-2.0", family="llava", row="llava-onevision",
            summary="One LLaVA for a large picture, several pictures and video.",
        ),
    )  # fmt: skip


LLAVA_ONEVISION_0_5B_SI = _onevision("0.5b", "si", QWEN2_0_5B.but(vocab=152000))
LLAVA_ONEVISION_0_5B_OV = _onevision("0.5b", "ov", QWEN2_0_5B.but(vocab=152000))
LLAVA_ONEVISION_7B_SI = _onevision("7b", "si", QWEN2_7B.but(vocab=152128))
LLAVA_ONEVISION_7B_OV = _onevision("7b", "ov", QWEN2_7B.but(vocab=152128))
LLAVA_ONEVISION_72B_OV = _onevision("72b", "ov", QWEN2_72B.but(vocab=152128))
