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
    return Batch(
        ids_BT=_table([p.ids for p in plans], 0),
        kind_BT=_table([p.kinds for p in plans], 0),
        pos_PBT=_positions(plans, system.lm.axes, max(map(len, plans))),
        seg_BT=_table([[0] * len(p) for p in plans], -1),
        media=media(system, plans, pixels),
        labels_BT=_labels(system, plans) if labels else None,
        prefix_BT=_table([_prefix(p) for p in plans], 0).bool() if any(p.prefix for p in plans) else None,
    )


def media(
    system: System, plans: Sequence[Plan], pixels: Sequence[Sequence[npt.NDArray[np.float32]]]
) -> dict[str, Pixels]:
    """The flattened patches of every stream, pictures in the order in which their places come in the batch."""
    rows: dict[str, list[torch.Tensor]] = {}
    grids: dict[str, list[Grid]] = {}
    cuts: dict[str, list[Cut]] = {}
    texts: dict[str, list[tuple[int, ...]]] = {}
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
            if seen.stream in plan.texts:
                texts.setdefault(seen.stream, []).extend([plan.texts[seen.stream]] * len(own))
        for name, stream in system.streams.items():
            places = [seen.start for seen in plan.pictures if seen.stream == name]
            if stream.reach and places:
                seen_by.setdefault(name, []).extend((row, *span) for span in reaches(stream.reach, places, len(plan)))
    return {
        name: Pixels(
            torch.cat(x), tuple(grids[name]), tuple(cuts[name]), tuple(seen_by.get(name, ())), tuple(texts.get(name, ()))
        )
        for name, x in rows.items()
    }


def _positions(plans: Sequence[Plan], axes: int, longest: int) -> torch.Tensor:
    """(P, B, T); padding repeats the last position of its row."""
    rows = [plan.positions(axes) for plan in plans]
    return torch.tensor(
        [[[*row[axis], *[row[axis][-1]] * (longest - len(row[axis]))] for row in rows] for axis in range(axes)],
        dtype=torch.long,
    )


def _prefix(plan: Plan) -> list[int]:
    return [1] * plan.prefix + [0] * (len(plan) - plan.prefix)


def _labels(system: System, plans: Sequence[Plan]) -> torch.Tensor:
    """(B, T), from the last token of the prompt on where an encoder reads it: its place is that of the decoder's start."""
    rows = []
    for plan in plans:
        row = [id if learn else NOTHING for id, learn in zip(plan.ids[1:], plan.supervised[1:], strict=True)] + [NOTHING]
        rows.append(row if system.lm.start is None else row[plan.prefix - 1 :])
    return _table(rows, NOTHING)


def _table(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows], dtype=torch.long)
