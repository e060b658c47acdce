"""Positions of spans whose rows share one: text counts on, a span takes a single step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anyvlm.inputs.plan import Plan, Span

pieces = st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=1, max_size=6)


@given(pieces=pieces)
def test_shared_spans_take_one_position(pieces: list[tuple[bool, int]]) -> None:
    """Pieces of text (False) and spans (True), of so many tokens each."""
    spans, expected, length = [], [], 0
    for index, (shared, count) in enumerate(pieces):
        first = expected[-1] + 1 if expected else 0
        if shared:
            spans.append(Span("image", index, length, count, (1, 1, count), shared=True))
        expected += [first] * count if shared else range(first, first + count)
        length += count
    laid = Plan((0,) * length, (0,) * length, (False,) * length, tuple(spans))
    assert laid.positions(1) == [expected]
