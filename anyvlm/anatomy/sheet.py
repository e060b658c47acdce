"""The pictures of a comparison on one sheet, and any drawing as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from anyvlm.anatomy import charts
from anyvlm.anatomy.compare import Comparison
from anyvlm.anatomy.page import question
from anyvlm.anatomy.svg import LIGHT, Drawing, Theme, measure
from anyvlm.errors import InputError

_GAP, _MARGIN = 44.0, 48.0
_FONTS = ("Roboto-Regular.ttf", "Roboto-Medium.ttf", "Roboto-Bold.ttf")
MISSING = "PNG files are drawn by resvg-py in the font of font-roboto, which are not installed; run pip install 'anyvlm[plot]'."


def sheet(comparison: Comparison, picture: Drawing) -> Drawing:
    """All pictures of a page, under its title. `picture`: what is cut, drawn at the size of the case."""
    names = range(len(comparison.names))
    columns = min(len(comparison.names), 4)
    rows: list[tuple[str, list[Drawing]]] = [
        ("How the picture is cut", [charts.cut(comparison, n) for n in names]),
        ("Where tokens and work go, and what larger pictures cost", charts.sums(comparison)),
        ("What the parameters are for", [charts.treemap(comparison, n) for n in names]),
    ]
    width = columns * (charts.WIDTH + _GAP) - _GAP + 2 * _MARGIN
    placed: list[tuple[float, float, float, Drawing]] = []
    titles: list[tuple[float, str]] = []
    y = _MARGIN + 84
    for title, drawings in rows:
        titles.append((y + 26, title))
        y += 52
        wide = 2 if columns == 3 and len(drawings) == 4 else columns
        scale = ((width - 2 * _MARGIN + _GAP) / wide - _GAP) / charts.WIDTH
        for line in _lines(drawings, wide):
            placed += [(_MARGIN + n * (charts.WIDTH * scale + _GAP), y, scale, each) for n, each in enumerate(line)]
            y += max(each.height for each in line) * scale + 34
        y += 24
    out = Drawing(width, y, ", ".join(comparison.names))
    out.define(charts.PICTURE, picture)
    out.text(_MARGIN, _MARGIN + 30, ", ".join(comparison.names), 34, bold=True, room=width - 2 * _MARGIN)
    out.text(_MARGIN, _MARGIN + 62, question(comparison), 18, fill="soft", room=width - 2 * _MARGIN)
    for top, title in titles:
        out.text(_MARGIN, top, title, 26, bold=True)
    for x, top, scale, each in placed:
        out.place(each, x, top, scale)
    out.place(charts.legend(comparison, width), _MARGIN + measure(titles[-1][1], 26) + 20, titles[-1][0] - 16)
    return out


def png(drawing: Drawing, theme: Theme = LIGHT, zoom: float = 1.5) -> bytes:
    """A drawing as a PNG file. Raises InputError where the extra `plot` is not installed."""
    if find_spec("resvg_py") is None or (fonts := find_spec("font_roboto")) is None or fonts.origin is None:
        raise InputError(MISSING)
    import resvg_py

    files = [str(Path(fonts.origin).parent / "files" / name) for name in _FONTS]
    text = drawing.file(theme)
    made = resvg_py.svg_to_bytes(
        svg_string=text, zoom=zoom, skip_system_fonts=True, font_files=files, font_family="Roboto"
    )
    return bytes(made)


def _lines(drawings: Sequence[Drawing], count: int) -> list[Sequence[Drawing]]:
    return [drawings[n : n + count] for n in range(0, len(drawings), count)]
