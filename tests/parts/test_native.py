"""Attention of native-resolution towers: picture by picture, and nothing as large as a mask over all rows."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from anyvlm import registry
from anyvlm.parts.features import Encoder


class Largest(TorchDispatchMode):
    """The most elements of any tensor that an operation returns."""

    seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(each, torch.Tensor):
                self.seen = max(self.seen, each.numel())
        return out


def tower(name: str) -> Encoder:
    encoder = registry.system(name).streams["image"].encoder
    return encoder.but(width=16, depth=2, heads=2, ffn__hidden=16, **({"whole": (1,)} if hasattr(encoder, "whole") else {}))


@pytest.mark.parametrize("name", ["qwen2-vl-2b-instruct", "qwen2.5-vl-3b-instruct", "pixtral-12b"])
@torch.inference_mode()
def test_memory_grows_with_the_pictures_not_with_their_square(name: str) -> None:
    """Of sixty pictures the largest tensor has twice the elements of thirty's, and far fewer than rows times rows."""
    encoder, largest = tower(name), {}
    module, values = encoder.build().eval(), 3 * encoder.frames * encoder.patch**2
    for count in (30, 60):
        grids = ((1, 10, 12), (1, 8, 8), (1, 4, 22)) * (count // 3)
        rows = sum(h * w for _, h, w in grids)
        with Largest() as watch:
            module(torch.randn(rows, values), grids)
        largest[count] = watch.seen
        assert watch.seen == rows * values < rows**2
    assert largest[60] == 2 * largest[30]


@pytest.mark.parametrize("name", ["qwen2-vl-2b-instruct", "qwen2.5-vl-3b-instruct", "pixtral-12b"])
@torch.inference_mode()
def test_pictures_do_not_see_each_other(name: str) -> None:
    encoder = tower(name)
    module, values = encoder.build().eval(), 3 * encoder.frames * encoder.patch**2
    grids = ((1, 10, 12), (1, 8, 8), (3, 6, 10), (1, 8, 8))
    x = [torch.randn(t * h * w, values) for t, h, w in grids]
    together = module(torch.cat(x), grids).items()
    for alone, grid, row in zip(x, grids, together, strict=True):
        torch.testing.assert_close(module(alone, (grid,)).x_ND, row, atol=1e-5, rtol=1e-5)
