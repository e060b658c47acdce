"""Patches left out at random in training (FLIP, 2212.00794): half of them make a step nearly twice as fast.

Shape letters: N patches of all items, C values of one, B items of one grid, n patches of each, K of these kept.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import torch

from anyvlm.errors import SpecError
from anyvlm.parts.features import Features, Grid
from anyvlm.system import Pixels


def dropped(x: Pixels, keep: float, draw: torch.Generator | None = None) -> Pixels:
    """The share `keep` of every picture's patches, rounded down, others for every picture; each knows its place."""
    if not 0 < keep <= 1:
        raise SpecError(f"A share of patches is above 0 and at most 1, not {keep}.")
    patches, places, grids = [], [], list[Grid]()
    for grid, x_BnC in Features(x.x_NC, x.grids).groups():
        B, n, C = x_BnC.shape
        K = int(prod(grid) * keep)
        if not K:
            raise SpecError(f"Of {n} patches the share {keep} leaves none; keep more.")
        chosen_BK = torch.rand(B, n, generator=draw).argsort(1)[:, :K].sort(1).values.to(x_BnC.device)
        patches.append(x_BnC.gather(1, chosen_BK[..., None].expand(-1, -1, C)).flatten(0, 1))
        places.append(chosen_BK.flatten())
        grids += [(1, 1, K)] * B
    return replace(x, x_NC=torch.cat(patches), places=torch.cat(places), grids=tuple(grids))
