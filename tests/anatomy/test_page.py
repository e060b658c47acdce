"""The page and the sheet of a comparison: what they hold, that they fetch nothing, that they open."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import BytesIO
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anyvlm import registry
from anyvlm.anatomy import charts, sheet
from anyvlm.anatomy.amounts import DASH, amount
from anyvlm.anatomy.compare import Case, Comparison, compare
from anyvlm.anatomy.page import page
from anyvlm.anatomy.scene import scene
from anyvlm.anatomy.svg import DARK, Drawing
from anyvlm.anatomy.treemap import squarified
from anyvlm.errors import InputError

NAMES = ("llava-1.5-7b", "qwen2-vl-7b-instruct", "clip-vit-b-16", "smollm2-135m-instruct", "llama-3.2-11b-vision-instruct")
CASE = Case(size=(1344, 896))
_VOID = {"meta", "br", "input", "col", "link", "img"}


class Parsed(HTMLParser):
    """Elements that open and close; the text of table cells by row label and system."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: dict[tuple[str, str], list[str]] = {}
        self.label, self.name = "", ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_ = dict(attrs)
        self.tags.append((tag, given_))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "th":
            self.label, self.name = "", "?"
        if tag == "td":
            self.name = given_.get("data-name") or ""
            self.cells.setdefault((self.label, self.name), []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.name = ""

    def handle_data(self, data: str) -> None:
        if self.name == "?":
            self.label += data
        elif self.open and self.open[-1] in ("td", "span") and (self.label, self.name) in self.cells:
            self.cells[self.label, self.name][-1] += data


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare([registry.system(name) for name in NAMES], CASE)


@pytest.fixture(scope="module")
def text(found: Comparison) -> str:
    return page(found, scene(*CASE.size), "anyvlm compare <a> & b")


def test_the_page_parses_and_fetches_nothing(text: str) -> None:
    parsed = Parsed(text)
    assert not parsed.open
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "img", "object", "embed", "base"}
    for tag, given_ in parsed.tags:
        for name in ("src", "href", "xlink:href"):
            address = given_.get(name) or "#"
            assert address.startswith(("#", "data:")) or (tag == "a" and address.startswith("https://")), (tag, address)
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style and not re.search(r"@import|@font-face|url\(", style[1])
    assert "anyvlm compare &lt;a&gt; &amp; b" in text


def test_numbers_on_the_page_are_those_of_the_comparison(found: Comparison, text: str) -> None:
    cells = Parsed(text).cells
    for cost in found.costs:
        for name, value in zip(NAMES, cost.values, strict=True):
            assert amount(value, cost.unit) in cells[cost.label, name], (cost.label, name)


def test_words_on_the_page_are_those_of_the_comparison(found: Comparison, text: str) -> None:
    cells = Parsed(text).cells
    for group in found.differences:
        if group.title != "Origin":
            for row in group.rows:
                for name, words in zip(NAMES, row.values, strict=True):
                    assert (words or DASH) in cells[row.label, name if row.differs else "all"]


def test_every_drawing_is_well_formed(found: Comparison) -> None:
    drawings = [charts.cut(found, n) for n in range(len(NAMES))] + [charts.treemap(found, n) for n in range(len(NAMES))]
    for drawing in [*drawings, *charts.sums(found), charts.legend(found, 800)]:
        ElementTree.fromstring(drawing.inline())
        ElementTree.fromstring(drawing.file(DARK))
    assert "2,144" in charts.cut(compare([registry.system("llava-next-34b"), registry.system("fuyu-8b")], CASE), 0).inline()
    assert "576 for pictures, 64 text; 3,456 of 4,096 free" in charts.budget(found).inline()
    assert "1 for pictures, 64 text, 6,404 beside; 4,031 of 4,096 free" in charts.budget(found).inline()


def test_the_sheet_is_a_picture(found: Comparison) -> None:
    drawn = sheet.sheet(found, scene(*CASE.size))
    image = Image.open(BytesIO(sheet.png(drawn, zoom=0.5)))
    assert image.format == "PNG" and abs(image.width - drawn.width / 2) <= 1 and abs(image.height - drawn.height / 2) <= 1
    assert len(image.convert("RGB").getcolors(1 << 20)) > 100


def test_text_is_drawn_without_fonts_of_the_system() -> None:
    """On a bare machine letters must not vanish."""
    blank, said = Drawing(100, 30), Drawing(100, 30)
    said.text(5, 20, "words", 16)
    assert sheet.png(blank) != sheet.png(said)


@pytest.mark.parametrize("missing", ["resvg_py", "font_roboto"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr(sheet, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(InputError, match=r"pip install 'anyvlm\[plot\]'"):
        sheet.png(Drawing(10, 10))


@given(st.lists(st.floats(0.01, 1e9), min_size=1, max_size=20), st.floats(10, 1000), st.floats(10, 1000))
def test_treemaps_fill_their_rectangle(sizes: list[float], width: float, height: float) -> None:
    sizes.sort(reverse=True)
    tiles = squarified(sizes, width, height)
    assert len(tiles) == len(sizes)
    for (x, y, w, h), size in zip(tiles, sizes, strict=True):
        assert w * h == pytest.approx(size / sum(sizes) * width * height, rel=1e-4, abs=1e-6)
        assert -1e-6 <= x <= x + w <= width * (1 + 1e-6) and -1e-6 <= y <= y + h <= height * (1 + 1e-6)


@given(st.lists(st.floats(50, 300), min_size=1, max_size=6))
def test_names_at_the_ends_of_curves_do_not_cover_each_other(wanted: list[float]) -> None:
    places = charts._apart(sorted(wanted), 34, 44, 314)
    assert all(b - a >= 33.9 or a <= 25 for a, b in zip(places, places[1:], strict=False))


@pytest.mark.parametrize(
    ("number", "unit", "said"),
    [
        (8504297914368, "FLOPs", "8.50 TFLOPs"), (576, "tokens", "576"), (None, "bytes", DASH),
        (14126854144, "bytes", "14.1 GB"),
        (0.00898, "seconds", "8.98 ms"), (2.5, "seconds", "2.50 s"), (7063427072, "parameters", "7.06 B"),
        (999_999, "bytes", "1.00 MB"), (312.4, "tokens/s", "312 tokens/s"), (512, "bytes", "512 B"),
    ],
)  # fmt: skip
def test_amounts(number: float | None, unit: str, said: str) -> None:
    assert amount(number, unit) == said
