"""Sixteen pictures of 224 pixels through a vision tower in bf16, from pixels to rows."""

from __future__ import annotations

import torch
from _harness import Result, compare, report
from _models import towers

from anyvlm.parts.features import patches

PICTURES = 16


def run() -> list[Result]:
    pixels = torch.randn(PICTURES, 3, 224, 224)
    results = []
    for name, (mine, theirs, patch) in towers().items():
        grids = ((1, 224 // patch, 224 // patch),) * PICTURES

        @torch.inference_mode()
        def ours(mine: torch.nn.Module = mine, patch: int = patch, grids: tuple[tuple[int, int, int], ...] = grids) -> None:
            mine(patches(pixels, patch), grids)

        @torch.inference_mode()
        def transformers(theirs: torch.nn.Module = theirs) -> None:
            theirs(pixel_values=pixels.bfloat16())

        results.append(
            compare(f"{name}, batch {PICTURES}, bf16", ours, transformers, unit="pictures/s", work=PICTURES, at_least=1.25)
        )
    return results


if __name__ == "__main__":
    report(run())
