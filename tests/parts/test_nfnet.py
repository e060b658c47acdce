"""NFNet equals deepmind/deepmind-research d8df415 (`nfnets/nfnet.py` by haiku, run outside this repository in fp32).

The run had widths 16, 16, 32, 32 and depths 1, 2, 2, 1, groups of 8, weights and pictures of the seeds below; `nfnet.npz` has
what comes out of its final convolution and activation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anyvlm.errors import InputError
from anyvlm.parts.catalog.nfnet import NFNET_F6
from anyvlm.parts.features import patches
from anyvlm.parts.vision.nfnet import NFNet, NFNetEncoder
from tests.parity import gap

SMALL = NFNet(widths=(16, 16, 32, 32), depths=(1, 2, 2, 1), final=64, group=8)


def seeded() -> NFNetEncoder:
    module, random = SMALL.build().eval(), np.random.RandomState(4)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            x = np.asarray(random.standard_normal(tuple(parameter.shape)), dtype=np.float32)
            if not name.endswith("weight"):
                x = np.float32(0.2) * x + np.float32(name.endswith(("gain", "gate")))
            parameter.copy_(torch.from_numpy(np.asarray(x)))
    return module


@torch.no_grad()
def test_rows_are_the_authors() -> None:
    pictures = np.random.RandomState(5).standard_normal((2, 3, 96, 64)).astype(np.float32)
    rows = seeded()(patches(torch.from_numpy(pictures), 32), ((1, 3, 2),) * 2)
    theirs = torch.from_numpy(np.load(Path(__file__).parent / "nfnet.npz")["rows"])
    assert rows.grids == ((1, 3, 2),) * 2
    assert gap(rows.x_ND, theirs) <= 1e-5


@torch.no_grad()
def test_a_picture_is_the_same_among_others() -> None:
    module, pictures = seeded(), torch.randn(3, 3, 64, 64)
    together = module(patches(pictures, 32), ((1, 2, 2),) * 3).items()
    for picture, rows in zip(pictures, together, strict=True):
        torch.testing.assert_close(module(patches(picture[None], 32), ((1, 2, 2),)).x_ND, rows, atol=1e-5, rtol=1e-5)


def test_f6_has_the_paper_s_size() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in NFNET_F6.build().parameters())
    assert count == 435_286_116
    assert round((count + 3073 * 1000) / 1e6, 1) == 438.4  # the paper's, with the classifier of ImageNet


def test_sizes() -> None:
    assert NFNET_F6.grid(320, 320) == (1, 10, 10)
    with pytest.raises(InputError, match="100 x 64"):
        NFNET_F6.grid(64, 100)
