"""Nothing that is drawn leaves the picture, breaks it, or hides what it should show."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anyvlm.generate.draw import draw
from anyvlm.inputs.regions import Box, Mask, Point

ANYWHERE = st.floats(-50, 500)


@given(
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.lists(st.tuples(ANYWHERE, ANYWHERE, ANYWHERE, ANYWHERE), max_size=4),
    st.lists(st.tuples(ANYWHERE, ANYWHERE), max_size=3),
    st.sampled_from(["", "a", "a long label indeed", "日本"]),
)
def test_anything_can_be_drawn(size: tuple[int, int], boxes: list, points: list, label: str) -> None:
    image = Image.new("RGB", size, "gray")
    out = draw(image, [Box(label, xyxy) for xyxy in boxes], [Point(label, xy) for xy in points])
    assert out.size == size and out.mode == "RGB"
    assert np.asarray(image).std() == 0  # the original is as it was
    assert boxes or points or out.tobytes() == image.tobytes()


def test_a_box_has_the_colour_of_its_mask() -> None:
    grid = np.zeros((60, 80), np.bool_)
    grid[20:40, 30:50] = True
    xyxy = (30.0, 20.0, 50.0, 40.0)
    out = np.asarray(draw(Image.new("RGB", (80, 60), "white"), [Box("", xyxy)], (), [Mask("", xyxy, (), grid)]))
    line, inside = out[20, 30].astype(int), out[30, 40].astype(int)
    assert (out[:19] == 255).all() and (out[:, 51:] == 255).all()
    assert np.abs(inside - (0.45 * line + 0.55 * 255)).max() <= 2


def test_masks_in_code_are_left_out() -> None:
    image = Image.new("RGB", (80, 60), "white")
    assert draw(image, (), (), [Mask("", (0.0, 0.0, 9.0, 9.0), (1,))]).tobytes() == image.tobytes()


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=5))
def test_runs_are_those_of_coco(rows: list[list[bool]]) -> None:
    grid = np.array(rows)
    counts = Mask("", (0.0, 0.0, 1.0, 1.0), (), grid).runs()
    assert np.array_equal(np.repeat(np.arange(len(counts)) % 2, counts).reshape(grid.T.shape).T, grid)
    assert sum(counts) == grid.size and 0 not in counts[1:]
