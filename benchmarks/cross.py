"""Tokens after a picture that cross-attention layers read: its keys and values made once a request, against at every token.

Shapes like those of Llama 3.2 Vision (1,601 rows of a tile) and IDEFICS (64 rows of each of eight pictures), with fewer and
narrower layers, random weights, bf16.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from _harness import Result, compare, report

from anyvlm.generate.engine import Steps
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.registry import system
from anyvlm.seq import Memory, causal
from anyvlm.system import VLM, System

TOKENS, PROMPT, WIDTH = 8, 64, 1024
SHAPES = {"llama-3.2-11b-vision-instruct": 1601, "idefics-9b": 512}


def model(name: str) -> VLM:
    """A language model of four layers of width 1,024 with two inserts."""
    spec = system(name)
    assert isinstance(spec, System)
    (insert,) = spec.lm.inserts
    assert isinstance(insert, GatedCross)
    kv = 8 * insert.kv_heads // insert.heads
    small = insert.but(layers=(0, 2), heads=8, kv_heads=kv, head=128, ffn__hidden=2048)
    lm = spec.lm.but(
        vocab=8192, extra=0, silent=0, width=WIDTH, depth=4, heads=8, kv_heads=8 * spec.lm.kv_heads // spec.lm.heads,
        head=128, ffn__hidden=2048, inserts=(small,),
    )  # fmt: skip
    vlm = VLM(spec.but(lm=lm.but(inserts=()), streams={}))
    vlm.lm = lm.build({"image": WIDTH})
    return vlm.to(torch.bfloat16).eval()


@torch.inference_mode()
def started(vlm: VLM, rows: int) -> tuple[Steps, torch.Tensor]:
    """The program for tokens after a prompt of 64 beside so many rows, and the rows."""
    x_BSD = torch.randn(1, rows, WIDTH, dtype=torch.bfloat16)
    seen = {"image": Memory(x_BSD, torch.ones(1, PROMPT, rows, dtype=torch.bool))}
    seq = replace(causal(torch.randn(1, PROMPT, WIDTH, dtype=torch.bfloat16)), memory=seen)
    cache = vlm.lm.spec.cache(1, PROMPT + TOKENS, like=seq.x_BTD)
    vlm.lm.hidden(seq, cache)
    return Steps(vlm, cache, seq), x_BSD


def run() -> list[Result]:
    results = []
    for name, rows in SHAPES.items():
        vlm = model(name)
        steps, x_BSD = started(vlm, rows)

        @torch.inference_mode()
        def decode(again: bool, steps: Steps = steps, x_BSD: torch.Tensor = x_BSD, vlm: VLM = vlm) -> None:
            steps.cache.length = PROMPT
            for _ in range(TOKENS):
                if again:
                    for n, insert in enumerate(vlm.lm.inserts):
                        steps.cache.memory[n] = insert.attn.keys(x_BSD)
                steps.next(torch.tensor([7]))

        results.append(
            compare(
                f"tokens beside {rows:,} rows (layers of {name}), against keys and values at each", lambda: decode(False),
                lambda: decode(True), unit="tokens/s", work=TOKENS, at_least=1.3, rounds=3,
            )
        )  # fmt: skip
    return results


if __name__ == "__main__":
    report(run())
