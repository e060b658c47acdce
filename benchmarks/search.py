"""Exact search among 1,000,000 vectors of 512 half-precision numbers in a mapped file, against reading that memory once.

The plain read sums the matrix as integers with torch, on as many threads: the fastest pass over memory there is here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from _harness import Result, compare, report

from anyvlm.search.top import top

ROWS, WIDTH = 1_000_000, 512


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "vectors.f16")
        draw = np.random.default_rng(0)
        block = draw.standard_normal((10_000, WIDTH), np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        with file.open("wb") as out:
            for _ in range(ROWS // len(block)):
                out.write(block.astype(np.float16).tobytes())
                block = np.roll(block, 7, 1)  # other vectors, as long
        matrix = np.memmap(file, np.float16, "c", shape=(ROWS, WIDTH))
        query = draw.standard_normal(WIDTH).astype(np.float32)
        plain = torch.from_numpy(matrix).view(torch.int64)
        gigabytes = ROWS * WIDTH * 2 / 1e9
        return [
            compare(
                "search 1,000,000 x 512 fp16, first 20, against a plain read", lambda: top(matrix, query, 20), plain.sum,
                unit="GB/s", work=gigabytes, at_least=0.8,
            )
        ]  # fmt: skip


if __name__ == "__main__":
    report(run())
