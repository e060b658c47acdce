"""A picture brought to one area: whole multiples, at least one, never less than the area asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anyvlm.inputs.scaled import Scaled

POLICY = Scaled(side=1600, multiple=32)


@given(width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_sides(width: int, height: int) -> None:
    h, w = POLICY.plan(width, height)
    assert h % 32 == w % 32 == 0 and h * w >= 1600**2
    scale = 1600 / (width * height) ** 0.5
    assert height * scale - 1e-6 <= h < height * scale + 33 and width * scale - 1e-6 <= w < width * scale + 33


def test_arrays_have_the_planned_size() -> None:
    policy = Scaled(side=96, multiple=32)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 70, 3), dtype=np.uint8))
    (array,) = policy.arrays(image)
    assert (array.shape[1:],) == policy.cut(70, 40).sizes
