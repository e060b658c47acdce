"""Plans and pixels -> the batch a VLM reads. Rows are padded on the right; padding is a segment of its own.

Shape letters: B batch, T tokens, N patches of all pictures, C values per patch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from anyvlm.inputs.plan import Plan
from anyvlm.parts.features import Grid, patches
from anyvlm.system import Batch, Pixels, System

NOTHING = -100
"""The label of a place where nothing is learned."""


def collate(
    system: System, plans: Sequence[Plan], pixels: Sequence[Sequence[npt.NDArray[np.float32]]], *, labels: bool = False
) -> Batch:
    """One row per plan; `pixels[b]` are the (3, h, w) arrays of its pictures in order.

    `labels`: also the id to predict at each place, from the plan's supervised tokens.
    """
    longest = max(map(len, plans))

    def table(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
        return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows], dtype=torch.long)

    seg_BT = table([[0] * len(p) for p in plans], -1)
    return Batch(
        ids_BT=table([p.ids for p in plans], 0),
        kind_BT=table([p.kinds for p in plans], 0),
        pos_PBT=((seg_BT >= 0).cumsum(1) - 1).clamp_min(0)[None],
        seg_BT=seg_BT,
        media=media(system, plans, pixels),
        labels_BT=table([_labels(p) for p in plans], NOTHING) if labels else None,
    )


def media(
    system: System, plans: Sequence[Plan], pixels: Sequence[Sequence[npt.NDArray[np.float32]]]
) -> dict[str, Pixels]:
    """The flattened patches of every stream, pictures in the order in which their places come in the batch."""
    rows: dict[str, list[torch.Tensor]] = {}
    grids: dict[str, list[Grid]] = {}
    for plan, arrays in zip(plans, pixels, strict=True):
        for span, array in zip(plan.spans, arrays, strict=True):
            encoder = system.streams[span.stream].encoder
            _, h, w = array.shape
            rows.setdefault(span.stream, []).append(patches(torch.from_numpy(array)[None], encoder.patch))
            grids.setdefault(span.stream, []).append(encoder.grid(h, w))
    return {name: Pixels(torch.cat(x), tuple(grids[name])) for name, x in rows.items()}


def _labels(plan: Plan) -> list[int]:
    return [id if learn else NOTHING for id, learn in zip(plan.ids[1:], plan.supervised[1:], strict=True)] + [NOTHING]
