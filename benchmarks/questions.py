"""Ten questions about one picture: encoded once and remembered, against encoding it for every question.

SmolVLM-256M's shape, random weights, bf16; a picture of one tile; the prompt of each question is read whole.
"""

from __future__ import annotations

import torch
from _harness import Result, compare, report

from anyvlm.generate.engine import Engine
from anyvlm.generate.memory import FeatureMemory
from anyvlm.generate.prepack import prepack
from anyvlm.inputs.collate import collate
from anyvlm.inputs.plan import Plan, Seen, Span
from anyvlm.registry import system
from anyvlm.system import System

QUESTIONS, WORDS = 10, 24


def run() -> list[Result]:
    spec = system("smolvlm-256m").but(streams__image__policy__longest=512)
    assert isinstance(spec, System)
    vlm = spec.build().to(torch.bfloat16).eval()
    prepack(vlm)
    engine, stream = Engine(vlm), spec.streams["image"]
    cut = stream.policy.cut(1024, 768)
    rows = sum(t * h * w for t, h, w in stream.rows(cut))
    ids = torch.randint(10, 1000, (rows + WORDS,), generator=torch.Generator().manual_seed(1)).tolist()
    kinds = [int(stream.kind)] * rows + [0] * WORDS
    spans = (Span("image", 0, 0, rows, (1, 1, rows)),)
    plan = Plan(tuple(ids), tuple(kinds), (False,) * len(ids), spans, (Seen("image", cut, 0),))
    batch = collate(spec, [plan], [[torch.randn(3, *size).numpy() for size in cut.sizes]])

    def ask(memory: FeatureMemory) -> None:
        for _ in range(QUESTIONS):
            engine._prefill(batch, memory(batch.media), 1)

    return [
        compare(
            f"{QUESTIONS} questions about a picture, against encoding it for each",
            lambda: ask(FeatureMemory(vlm)), lambda: ask(FeatureMemory(vlm, limit=0)), unit="questions/s", work=QUESTIONS,
            at_least=3.0, rounds=3,
        )
    ]  # fmt: skip


if __name__ == "__main__":
    report(run())
