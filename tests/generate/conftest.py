"""A tiny system with eyes, random weights, and prompts for it; ids stand for themselves as text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from anyvlm.inputs.collate import collate
from anyvlm.inputs.plan import Plan, Span
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.templates import SMOLLM2
from anyvlm.parts.catalog.dinov2 import DINOV2_S
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.system import VLM, Batch, Meta, Stream, System

TINY = System(
    name="tiny",
    lm=Decoder(vocab=97, width=48, depth=3, heads=6, kv_heads=2, ffn=GLU(hidden=64), context=128),
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(28, 28), fit="stretch"),
            encoder=DINOV2_S.but(width=32, depth=2, heads=2, ffn__hidden=64, size=28),
            connector=Projector(depth=1),
        )
    },
    template=SMOLLM2,
    meta=Meta(paper="", year=2026, license="", family="test", row="test"),
)
ROWS = 4  # of one picture of 28 x 28 pixels


class Numbers:
    """A decoder for systems without a tokenizer: id 7 is the text "7 "."""

    def push(self, id: int) -> str:
        return f"{id} "

    def finish(self) -> str:
        return ""


@pytest.fixture
def numbers() -> type[Numbers]:
    return Numbers


@pytest.fixture
def tiny() -> System:
    return TINY


@pytest.fixture
def build() -> Callable[[System], VLM]:
    """The module, with weights large enough that every token matters to the next."""

    def build(system: System) -> VLM:
        torch.manual_seed(1)
        vlm = system.build().eval()
        with torch.no_grad():
            for name, parameter in vlm.named_parameters():
                if name.startswith("lm.") and parameter.ndim == 2:
                    parameter.normal_(std=0.1 if "head" in name or "embed" in name else 0.25)
        return vlm

    return build


@pytest.fixture
def prompts() -> Callable[..., Batch]:
    """prompts((length, pictures), ...): one row each, with text before, between and after its pictures."""

    def prompts(*rows: tuple[int, int], system: System = TINY) -> Batch:
        plans, pixels = [], []
        for length, pictures in rows:
            random = torch.Generator().manual_seed(1000 * length + pictures)
            ids = torch.randint(1, system.lm.vocab, (length,), generator=random).tolist()
            kinds = [0] * length
            spans = []
            for n in range(pictures):
                start = 1 + n * (ROWS + 1)
                spans.append(Span("image", n, start, ROWS, (1, 2, 2)))
                kinds[start : start + ROWS] = [1] * ROWS
            prefix = length if system.attention == "prefix" else 0
            plans.append(Plan(tuple(ids), tuple(kinds), (False,) * length, tuple(spans), prefix=prefix))
            pixels.append([torch.randn(3, 28, 28, generator=random).numpy() for _ in range(pictures)])
        return collate(system, plans, pixels)

    return prompts
