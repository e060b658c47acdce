"""A deformable convolution without offsets is a convolution; with whole ones it reads elsewhere; other sizes go by number."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from anyvlm.parts.deformable import TAPS, DyHead, deformed
from tests.parity import gap


@pytest.mark.parametrize("stride", [1, 2])
def test_without_offsets(stride: int) -> None:
    x, weight, bias = torch.randn(2, 3, 5, 7), torch.randn(4, 3, 3, 3), torch.randn(4)
    wanted = F.conv2d(x, weight, bias, stride=stride, padding=1)
    h, w = wanted.shape[2:]
    found = deformed(x, weight, bias, torch.zeros(2, 2 * TAPS, h, w), torch.ones(2, TAPS, h, w), stride)
    assert gap(found, wanted) <= 1e-5
    half = deformed(x, weight, None, torch.zeros(2, 2 * TAPS, h, w), torch.full((2, TAPS, h, w), 0.5), stride)
    assert gap(half, (wanted - bias[:, None, None]) / 2) <= 1e-5


def test_offsets_move_what_is_read() -> None:
    x, weight = torch.randn(1, 2, 6, 8), torch.randn(3, 2, 3, 3)
    offset = torch.zeros(1, TAPS, 2, 6, 8)
    offset[:, :, 0], offset[:, :, 1] = 1.0, -2.0  # down, across
    moved = F.pad(x, (2, 0, 0, 1))[:, :, 1:, :-2]  # one row up, two columns to the right
    found = deformed(x, weight, None, offset.flatten(1, 2), torch.ones(1, TAPS, 6, 8))
    wanted = F.conv2d(moved, weight, padding=1)
    assert gap(found[:, :, 1:-1, 1:-1], wanted[:, :, 1:-1, 1:-1]) <= 1e-5
    between = torch.zeros(1, TAPS, 2, 6, 8)
    between[:, :, 1] = 0.5
    right = F.pad(x, (0, 1))[..., 1:]
    mean = deformed(x, weight, None, between.flatten(1, 2), torch.ones(1, TAPS, 6, 8))
    assert gap(mean[..., 1:-2], F.conv2d((x + right) / 2, weight, padding=1)[..., 1:-2]) <= 1e-5


def test_numbers_of_a_larger_map_are_taken_one_after_another() -> None:
    x, weight = torch.randn(1, 2, 2, 3), torch.randn(3, 2, 3, 3)
    offset, gain = torch.randn(1, 2 * TAPS, 4, 6), torch.rand(1, TAPS, 4, 6)
    found = deformed(x, weight, None, offset, gain)
    own = offset.flatten()[: 2 * TAPS * 6].view(1, -1, 2, 3), gain.flatten()[: TAPS * 6].view(1, -1, 2, 3)
    assert torch.equal(found, deformed(x, weight, None, *own))


def test_every_map_keeps_its_size() -> None:
    maps = [torch.randn(2, 8, *size) for size in ((9, 12), (5, 6), (3, 3))]
    outs = DyHead(groups=2).build(8)(maps)
    assert [out.shape for out in outs] == [x.shape for x in maps]
