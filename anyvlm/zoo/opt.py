"""OPT (2205.01068). It was trained on plain text: a prompt is continued."""

from __future__ import annotations

from anyvlm.inputs.formats import OPT_PLAIN
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.opt import OPT_2_7B, OPT_6_7B, OPT_HF
from anyvlm.parts.opt import OPT
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub


def _opt(size: str, lm: OPT) -> System:
    source = Hub(repo=f"facebook/opt-{size}")
    return System(
        name=f"opt-{size}",
        lm=lm,
        streams={},
        template=OPT_PLAIN,
        tokenizer=Hub(repo="Salesforce/blip2-opt-2.7b"),  # facebook's files have no tokenizer.json; this one adds <image>
        checkpoints=(Checkpoint(source=source, layouts=(lm_hf(OPT_HF),)),),
        meta=Meta(
            paper="2205.01068", year=2022, license="OPT-175B (non-commercial)", family="opt", row="",
            summary=f"OPT-{size.upper()}: continues text.",
        ),
    )  # fmt: skip


OPT_2_7B_ALONE = _opt("2.7b", OPT_2_7B)
OPT_6_7B_ALONE = _opt("6.7b", OPT_6_7B)
