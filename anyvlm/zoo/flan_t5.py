"""Flan-T5 (2210.11416): T5 1.1 tuned on instructions."""

from __future__ import annotations

from anyvlm.inputs.formats import T5_PLAIN
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.t5 import FLAN_T5_BASE as BASE
from anyvlm.parts.catalog.t5 import FLAN_T5_LARGE as LARGE
from anyvlm.parts.catalog.t5 import FLAN_T5_SMALL as SMALL
from anyvlm.parts.catalog.t5 import FLAN_T5_XL as XL
from anyvlm.parts.catalog.t5 import FLAN_T5_XXL as XXL
from anyvlm.parts.catalog.t5 import T5_HF
from anyvlm.parts.t5 import T5
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub


def _flan(size: str, lm: T5) -> System:
    source = Hub(repo=f"google/flan-t5-{size}")
    return System(
        name=f"flan-t5-{size}",
        lm=lm,
        streams={},
        template=T5_PLAIN,
        attention="prefix",
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=(lm_hf(T5_HF),)),),
        meta=Meta(
            paper="2210.11416", year=2022, license="Apache-2.0", family="t5", row="",
            summary=f"Flan-T5-{size}, an encoder-decoder.",
        ),
    )  # fmt: skip


FLAN_T5_SMALL = _flan("small", SMALL)
FLAN_T5_BASE = _flan("base", BASE)
FLAN_T5_LARGE = _flan("large", LARGE)
FLAN_T5_XL = _flan("xl", XL)
FLAN_T5_XXL = _flan("xxl", XXL)
