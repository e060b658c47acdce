"""Plans and pixels -> the batch a VLM reads. Rows are padded on the right; padding is a segment of its own.

Shape letters: B batch, T tokens, N patches of all pictures, C values per patch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from anyvlm.inputs.plan import Plan
from anyvlm.inputs.reach import reaches
from anyvlm.parts.cut import Cut
from anyvlm.parts.features import Grid, moving, still
from anyvlm.system import Batch, Pixels, System

NOTHING = -100
"""The label of a place where nothing is learned."""


def collate(
    system: System, plans: Sequence[Plan], pixels: Sequence[Sequence[npt.NDArray[np.float32]]], *, labels: bool = False
) -> Batch:
    """One row per plan; `pixels[b]` are the (3, h, w) arrays of its pictures and frames, one picture or video after another.

    `labels`: also the id to predict at each place, from the plan's supervised tokens.
    """
    longest = max(map(len, plans))

    def table(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
        return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows], dtype=torch.long)

    seg_BT = table([[0] * len(p) for p in plans], -1)
    return Batch(
        ids_BT=table([p.ids for p in plans], 0),
        kind_BT=table([p.kinds for p in plans], 0),
        pos_PBT=_positions(plans, system.lm.axes, longest),
        seg_BT=seg_BT,
        media=media(system, plans, pixels),
        labels_BT=table([_labels(p) for p in plans], NOTHING) if labels else None,
        prefix_BT=table([[1] * p.prefix for p in plans], 0).bool() if any(p.prefix for p in plans) else None,
    )


def media(
    system: System, plans: Sequence[Plan], pixels: Sequence[Sequence[npt.NDArray[np.float32]]]
) -> dict[str, Pixels]:
    """The flattened patches of every stream, pictures in the order in which their places come in the batch."""
    rows: dict[str, list[torch.Tensor]] = {}
    grids: dict[str, list[Grid]] = {}
    cuts: dict[str, list[Cut]] = {}
    seen_by: dict[str, list[tuple[int, int, int]]] = {}
    for row, (plan, arrays) in enumerate(zip(plans, pixels, strict=True)):
        left = iter(arrays)
        for seen in plan.pictures:
            encoder = system.streams[seen.stream].encoder
            own = [torch.from_numpy(array) for _, array in zip(seen.cut.sizes, left, strict=False)]
            new = [moving(torch.stack(own), encoder)] if seen.cut.frames else [still(x, encoder) for x in own]
            rows.setdefault(seen.stream, []).extend(new)
            grids.setdefault(seen.stream, []).extend(system.streams[seen.stream].patches(seen.cut))
            cuts.setdefault(seen.stream, []).append(seen.cut)
        for name, stream in system.streams.items():
            places = [seen.start for seen in plan.pictures if seen.stream == name]
            if stream.reach and places:
                seen_by.setdefault(name, []).extend((row, *span) for span in reaches(stream.reach, places, len(plan)))
    return {
        name: Pixels(torch.cat(x), tuple(grids[name]), tuple(cuts[name]), tuple(seen_by.get(name, ())))
        for name, x in rows.items()
    }


def _positions(plans: Sequence[Plan], axes: int, longest: int) -> torch.Tensor:
    """(P, B, T); padding repeats the last position of its row."""
    rows = [plan.positions(axes) for plan in plans]
    return torch.tensor(
        [[[*row[axis], *[row[axis][-1]] * (longest - len(row[axis]))] for row in rows] for axis in range(axes)],
        dtype=torch.long,
    )


def _labels(plan: Plan) -> list[int]:
    return [id if learn else NOTHING for id, learn in zip(plan.ids[1:], plan.supervised[1:], strict=True)] + [NOTHING]
