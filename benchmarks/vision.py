"""Sixteen pictures of 224 pixels through a vision tower in bf16, from pixels to rows, or to the points of a pair."""

from __future__ import annotations

import torch
from _harness import Result, compare, report
from _models import encoders

PICTURES = 16


@torch.inference_mode()
def run() -> list[Result]:
    pixels = torch.randn(PICTURES, 3, 224, 224)
    return [
        compare(
            f"{name}, batch {PICTURES}, bf16", lambda: ours(pixels), lambda: theirs(pixels),  # noqa: B023
            unit="pictures/s", work=PICTURES, at_least=1.25, rounds=9,
        )
        for name, (ours, theirs) in encoders().items()
    ]  # fmt: skip


if __name__ == "__main__":
    report(run())
