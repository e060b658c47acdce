"""Contrast over batches that no memory holds at once: embed in parts, keep the vectors, replay each part with its gradient.

The gradient of a contrast reaches a tower only through the vectors of its items. So all parts are embedded without a graph, the
loss of the whole batch is taken of what was kept, and in its backward pass every part is embedded again and given the gradient
of its own rows (gradient caching, 2101.06983; e-CLIP, 2207.00208, calls it multi-stream accumulation). Loss and gradients are
those of one large batch; the price is one more forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.autograd.graph import register_multi_grad_hook

from anyvlm.dual import Dual, Look
from anyvlm.errors import InputError
from anyvlm.system import Stage
from anyvlm.train.dual import Side, chosen, kept

_FIELDS = ("vector_BE", "rows_BRD", "spread_BE", "pooled_BD")


def in_parts(
    dual: Dual, parts: Sequence[Side], stage: Stage, seed: int = 0, alike_B: Tensor | None = None
) -> dict[str, Tensor]:
    """The losses of the stage over all parts together, by name; their backward pass fills the gradients of the towers.

    `seed`: what patches are left out and what dropout does, the same both times. Batch norms see one part at a time.
    Raises InputError for no parts, or parts of different sides.
    """
    if not parts or any(part.keys() != parts[0].keys() for part in parts):
        raise InputError("A batch in parts needs at least one, all of the same sides.")
    with torch.no_grad():
        looks = [_looks(dual, part, stage, seed + n) for n, part in enumerate(parts)]
    joined = {side: _joined([each[side] for each in looks], alike_B) for side in parts[0]}
    leaves = [x for look in joined.values() for x in _vectors(look)]
    for leaf in leaves:
        leaf.requires_grad_()

    def replay(grads: Sequence[Tensor | None]) -> None:
        starts = [0] * len(leaves)
        for n, part in enumerate(parts):
            with torch.enable_grad():
                again = _looks(dual, part, stage, seed + n)
            pairs = []
            for k, x in enumerate(x for look in again.values() for x in _vectors(look)):
                if (grad := grads[k]) is not None and x.requires_grad:
                    pairs.append((x, grad[starts[k] : starts[k] + len(x)].to(x.dtype)))
                starts[k] += len(x)
            if pairs:
                torch.autograd.backward([x for x, _ in pairs], [grad for _, grad in pairs])

    register_multi_grad_hook(leaves, replay)
    return chosen(dual.between(joined), stage)


def _looks(dual: Dual, part: Side, stage: Stage, seed: int) -> dict[str, Look]:
    """What towers make of a part, with nothing that no contrast reads."""
    rows = any(module.reads_rows for module in map(dual.contrast, range(len(dual.contrasts))))
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        looks = dual.looks(kept(part, stage, draw))
    return looks if rows else {side: replace(look, rows_BRD=None) for side, look in looks.items()}


def _vectors(look: Look) -> list[Tensor]:
    return [x for field in _FIELDS if (x := getattr(look, field)) is not None]


def _joined(looks: Sequence[Look], alike_B: Tensor | None) -> Look:
    def whole(field: str) -> Tensor | None:
        each = [getattr(look, field) for look in looks]
        return None if each[0] is None else torch.cat(each)

    vector, rows, spread, pooled = map(whole, _FIELDS)
    assert vector is not None
    return Look(vector, rows, looks[0].project, spread, pooled, alike_B)
