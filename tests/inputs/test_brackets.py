"""Boxes in double brackets: text -> pixels -> text within one step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anyvlm.inputs.boxes import Box
from anyvlm.inputs.brackets import Brackets

SIZE = (640, 480)


def test_reading() -> None:
    text = "A cat [[100,250,500,750]] beside two dogs [[000,000,010,020;500,500,999,999]]."
    assert Brackets().read(text, SIZE) == (
        Box("A cat", (64.0, 120.0, 320.0, 360.0)),
        Box("beside two dogs", (0.0, 0.0, 6.4, 9.6)),
        Box("beside two dogs", (320.0, 240.0, 639.36, 479.52)),
    )


def test_what_is_not_a_box_is_left_out() -> None:
    for text in ("[[1,2,3]]", "[[1,2,3,x]]", "[[500,0,100,10]]", "[1,2,3,4]", "[[1,2,3,4"):
        assert Brackets().read(text, SIZE) == ()


@given(steps=st.lists(st.integers(0, 999), min_size=4, max_size=4), size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
def test_writing_gives_back_what_was_read(steps: list[int], size: tuple[int, int]) -> None:
    (left, right), (top, bottom) = sorted(steps[:2]), sorted(steps[2:])
    text = f"a cat [[{left:03d},{top:03d},{right:03d},{bottom:03d}]]"
    assert Brackets().write(Brackets().read(text, size), size) == text
