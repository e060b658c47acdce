"""Several pictures at their own size through Qwen2-VL's tower: attention picture by picture, against all at once behind a mask.

Two layers, half as wide as its 32, random weights, bf16. That nothing as large as the mask exists: tests/parts/test_native.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from _harness import Result, compare, report
from torch import Tensor

from anyvlm.parts.attention import attend
from anyvlm.parts.catalog.qwen_vl import QWEN2_VL_EYE
from anyvlm.parts.vision import native
from anyvlm.parts.vision.native import Run

GRIDS = (((1, 16, 20),) * 4 + ((1, 24, 18),) * 3 + ((1, 14, 14),) * 5) * 2  # 224 x 280 pixels, and others
BLOCKWISE = native.attend_within


@cache
def mask(sizes: tuple[int, ...]) -> Tensor:
    """(N, N), made once for all layers and calls: rows of one block see each other."""
    block_N = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    hidden = block_N[:, None] != block_N
    return torch.zeros(hidden.shape, dtype=torch.bfloat16).masked_fill_(hidden, -torch.inf)


def masked(q_NHh: Tensor, k_NHh: Tensor, v_NHh: Tensor, runs: Sequence[Run]) -> Tensor:
    """The same rows see each other, told by a mask."""
    sizes = tuple(rows for run in runs for _ in range(run.frames) for count, rows in run.blocks for _ in range(count))
    q, k, v = (x.transpose(0, 1)[None] for x in (q_NHh, k_NHh, v_NHh))
    return attend(q, k, v, mask(sizes)[None, None])[0].transpose(0, 1).flatten(1)


def run() -> list[Result]:
    torch.manual_seed(0)
    eye = QWEN2_VL_EYE.but(depth=2, width=640, heads=8, ffn__hidden=2560)
    encoder = eye.build().to(torch.bfloat16).eval()
    x_NC = torch.randn(sum(t * h * w for t, h, w in GRIDS), 3 * eye.frames * eye.patch**2)

    @torch.inference_mode()
    def see(how: object) -> Tensor:
        native.attend_within = how
        rows: Tensor = encoder(x_NC, GRIDS).x_ND
        return rows

    torch.testing.assert_close(see(BLOCKWISE).float(), see(masked).float(), atol=0.05, rtol=0.05)
    return [
        compare(
            f"{len(GRIDS)} pictures of {len(x_NC):,} patches, against a mask over all", lambda: see(BLOCKWISE),
            lambda: see(masked), unit="patches/s", work=len(x_NC), at_least=1.5, rounds=3,
        )
    ]  # fmt: skip


if __name__ == "__main__":
    report(run())
