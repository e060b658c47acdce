"""Windows over a picture against what policies really cut: a picture whose colour says where each pixel is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from anyvlm import registry
from anyvlm.anatomy.cuts import windows
from anyvlm.dual import DualSystem, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.system import System

SIZES = ((640, 420), (300, 700), (1344, 896), (90, 80))


def eyes() -> dict[str, tuple]:
    """One policy, encoder and connector of every kind in the registry."""
    found = {}
    for name in registry.SYSTEMS:
        system = registry.system(name)
        match system:
            case System():
                parts = [(each.policy, each.encoder, each.connector) for each in system.streams.values()]
            case DualSystem():
                parts = [(each.policy, each.encoder, None) for each in system.towers.values() if isinstance(each, Tower)]
            case _:
                parts = [(system.policy, system.encoder, None)]
        for policy, encoder, connector in parts:
            fit = policy.fit if isinstance(policy, ImagePolicy) else ""
            found.setdefault(f"{type(policy).__name__} {fit}".strip(), (policy, encoder, connector))
    return found


EYES = eyes()


def places(width: int, height: int) -> Image.Image:
    """Red grows from left to right, green from top to bottom, blue is full: black means that nothing is there."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 255)], -1).round().astype(np.uint8))


@pytest.mark.parametrize("kind", EYES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_windows_show_what_the_policy_cuts(kind: str, size: tuple[int, int]) -> None:
    policy, encoder, connector = EYES[kind]
    width, height = size
    cut = policy.cut(width, height)
    found = windows(policy, encoder, connector, cut)
    arrays = policy.arrays(places(width, height))
    assert [window.size for window in found] == list(cut.sizes) == [array.shape[1:] for array in arrays]
    inner = getattr(policy, "one", policy)
    mean, std = (np.array(getattr(inner, name))[:, None, None] for name in ("mean", "std"))
    order = [2, 1, 0] if getattr(policy, "bgr", False) else [0, 1, 2]
    for window, array in zip(found, arrays, strict=True):
        rgb = (array[:3] * std + mean) / getattr(inner, "rescale", 1 / 255)
        rgb = rgb[order]
        h, w = window.size
        left, top, right, bottom = window.frame
        shown = 0
        for across, down in ((0.5, 0.5), (0.3, 0.6), (0.7, 0.35)):
            x, y = left + across * (right - left), top + down * (bottom - top)
            if 0.1 * width < x < 0.9 * width and 0.1 * height < y < 0.9 * height:
                red, green, blue = rgb[:, int(down * h), int(across * w)]
                far = 255 * max(2 * (right - left) / w / width, 0.02), 255 * max(2 * (bottom - top) / h / height, 0.02)
                assert abs(red - 255 * x / width) < far[0] and abs(green - 255 * y / height) < far[1], (window, x, y)
                shown += 1
        assert shown or window.whole is False


def test_the_whole_stands_beside_its_tiles() -> None:
    policy, encoder, connector = EYES["AnyRes"]
    found = windows(policy, encoder, connector, policy.cut(1344, 896))
    assert [window.whole for window in found] == [True] + [False] * (len(found) - 1)
    policy, encoder, connector = EYES["Mosaic"]
    found = windows(policy, encoder, connector, policy.cut(1344, 896))
    assert [window.whole for window in found] == [False] * (len(found) - 1) + [True]
