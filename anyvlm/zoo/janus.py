"""Janus (2410.13848) and Janus-Pro (2501.17811): pictures are read as SigLIP's rows and written as codes of LlamaGen's VQGAN.

Numbers: tables 1 and 2 of the papers; the config.json of deepseek-ai/Janus-{1.3B,Pro-1B,Pro-7B}; deepseek-ai/Janus.
"""

from __future__ import annotations

from anyvlm.inputs.letterbox import Letterbox
from anyvlm.inputs.painting import Painting
from anyvlm.inputs.template import Template
from anyvlm.inputs.templates import JANUS, JANUS_PRO
from anyvlm.parts.catalog.janus import DEEPSEEK_LLM_1_3B, DEEPSEEK_LLM_7B, JANUS_HF, JANUS_ORIGINAL, JANUS_SIGLIP
from anyvlm.parts.catalog.vqgan import JANUS_VQGAN
from anyvlm.parts.code.tables import OwnTables
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(policy=Letterbox(size=384), encoder=JANUS_SIGLIP, connector=Projector(depth=2))
BOTH = {"next_token": 1.0, "paint": 1.0}
ADAPTORS = ("connectors.*", "painter.aligner.*", "painter.head.*")

ONE = Stage(
    name="adaptors", train=ADAPTORS, data=("ShareGPT4V", "ImageNet"), losses=BOTH, lr=1e-3, batch=256, steps=20_000,
    warmup=600 / 20_000, schedule="constant", note="understanding to text to painting 1:0:3; AdamW 0.9, 0.95, clip 1.0",
)  # fmt: skip
TWO = Stage(
    name="pretrain", train=(*ADAPTORS, "painter.book.*", "lm.*"), data=("understanding", "text", "text-to-image"),
    losses=BOTH, lr=1e-4, batch=512, steps=360_000, warmup=5_000 / 360_000, schedule="constant",
    note="2:3:5; half of the pictures made by models; stopped early, at 270,000 steps",
)  # fmt: skip
THREE = TWO.but(
    name="tune", train=(*TWO.train, "encoders.*"), lr=4e-5, batch=128, steps=80_000, warmup=0.0, note="5:1:4",
)  # fmt: skip
PRO_1B = (ONE, TWO, THREE)
PRO_7B = (ONE, TWO, THREE.but(steps=40_000))
FIRST = (
    ONE.but(steps=10_000, warmup=300 / 10_000, schedule="cosine", note="1:0:1"),
    TWO.but(steps=180_000, warmup=5_000 / 180_000, note="2:3:5; two thirds of the text-to-image steps on ImageNet"),
    THREE.but(lr=2e-5, batch=256, steps=24_000, weight_decay=0.1, note="7:3:10"),
)


def _janus(size: str, lm: Decoder, template: Template, stages: tuple[Stage, ...], paper: str, year: int) -> System:
    source = Hub(repo=f"deepseek-ai/Janus-{size}")
    painting = Painting(
        tables=OwnTables(coder=JANUS_VQGAN, aligner=Projector(depth=2), hidden=lm.width), size=(384, 384),
        template=template.but(system=""), begin="<begin_of_image>", end="<end_of_image>", blank="<｜▁pad▁｜>", guidance=5.0,
    )  # fmt: skip
    return System(
        name=f"janus-{size.lower()}",
        lm=lm,
        streams={"image": EYE},
        template=template,
        painting=painting,
        placeholder="<image_placeholder>",
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=(JANUS_HF, JANUS_ORIGINAL)),),
        stages=stages,
        meta=Meta(
            paper=paper, year=year, license="DeepSeek Model License", family="janus", row="janus-pro",
            summary="One transformer with an encoder for reading pictures and codes for making them.",
        ),
    )  # fmt: skip


JANUS_1_3B = _janus("1.3B", DEEPSEEK_LLM_1_3B, JANUS, FIRST, "2410.13848", 2024)
JANUS_PRO_1B = _janus("Pro-1B", DEEPSEEK_LLM_1_3B, JANUS_PRO, PRO_1B, "2501.17811", 2025)
JANUS_PRO_7B = _janus("Pro-7B", DEEPSEEK_LLM_7B, JANUS_PRO, PRO_7B, "2501.17811", 2025)
