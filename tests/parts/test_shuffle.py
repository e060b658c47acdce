"""Pixel shuffle: which rows are joined, padding, and the vectors that say where a row lies."""

from __future__ import annotations

import pytest
import torch

from anyvlm.errors import InputError
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.features import Features


def test_neighbours_are_joined_by_line_then_column() -> None:
    module = Shuffle(r=2, then=Projector(depth=1, bias=False)).build(1, 4)
    module.then.layers[0].weight.data = torch.eye(4)
    rows = module(Features(torch.arange(12.0)[:, None], ((1, 3, 4),)))
    assert rows.grids == ((1, 2, 2),)
    assert rows.x_ND.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 0, 0], [10, 11, 0, 0]]


def test_places_are_the_sum_of_line_and_column() -> None:
    spec = Shuffle(r=1, then=Projector(depth=1), side=4)
    module = spec.build(3, 6)
    grids = ((1, 2, 3), (2, 4, 1))
    x = torch.randn(14, 3)
    plain = module.then(Features(x, grids)).x_ND
    added = module(Features(x, grids)).x_ND - plain
    assert torch.allclose(added[5], module.line[1] + module.column[2], atol=1e-6)
    assert torch.allclose(added[6 + 4 + 3], module.line[3] + module.column[0], atol=1e-6)


def test_a_grid_beyond_the_known_places_is_refused() -> None:
    with pytest.raises(InputError, match="8 x 8 places"):
        Shuffle(side=8).count((1, 18, 16))
