"""The SVG writer: files parse, colours are those of the theme, text is legible and cut to its room."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.anatomy.svg import DARK, LIGHT, PARTS, SERIES, Drawing, contrast, fitted, measure, stacked, wrapped


def drawing() -> Drawing:
    out = Drawing(200, 100, 'a "label" & more')
    out.rect(0, 0, 50, 50, "vision", stroke="line", round=4, title="a < b")
    out.circle(10, 10, 3, "series0")
    out.arrow([(0, 0), (40, 0)])
    out.text(5, 20, "words & <more>", room=40)
    out.picture(0, 0, 10, 10, "data:image/png;base64,AA==", fade=0.5)
    return out


def test_a_file_is_xml_without_variables() -> None:
    text = stacked([drawing(), drawing()]).file(DARK)
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text
    assert PARTS["vision"] in text and DARK["series0"] in text


def test_an_inline_drawing_leaves_its_colours_to_the_page() -> None:
    text = drawing().inline()
    assert "var(--vision)" in text and "#2563c9" not in text
    assert "<title>a &lt; b</title>" in text
    ElementTree.fromstring(text)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_are_legible(theme: dict[str, str]) -> None:
    assert LIGHT.keys() == DARK.keys()
    for name in ("ink", "soft"):
        assert contrast(theme[name], theme["paper"]) >= 4.5 and contrast(theme[name], theme["panel"]) >= 4.5
    for name in PARTS:
        assert contrast(theme[name], theme["on"]) >= 4.5
        assert contrast(theme[name], theme["paper"]) >= 3
    assert all(contrast(theme[name], theme["paper"]) >= 4.5 for name in SERIES)


@given(st.text(max_size=60), st.floats(1, 400))
def test_fitted_text_fits(words: str, room: float) -> None:
    shown = fitted(words, room, 12)
    assert measure(shown, 12) <= room or shown == ""
    assert shown == words or shown == "" or shown.endswith("…")


@given(st.text("abc ", max_size=80), st.floats(10, 200))
def test_wrapped_text_keeps_every_word(words: str, room: float) -> None:
    lines = wrapped(words, room, 12)
    assert " ".join(lines).split() == words.split()
    assert all(measure(line, 12) <= room or " " not in line for line in lines)
