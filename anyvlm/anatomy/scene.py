"""A picture to cut where none is given: a street corner of any size, drawn with a dozen shapes."""

from __future__ import annotations

from anyvlm.anatomy.svg import Drawing

_UNIT = 100.0  # the scene is drawn on so many units across and down, and stretched


def scene(width: int, height: int) -> Drawing:
    """Sky, sun, hills, a house with a sign, a tree, a street: things large and small, of one aspect ratio with the picture."""
    out = Drawing(width, height)
    x, y = width / _UNIT, height / _UNIT
    one = min(x, y)
    out.rect(0, 0, width, height, "#bfe0f5")
    out.circle(80 * x, 18 * y, 8 * one, "#ffd45e")
    for left, top in ((12, 15), (18, 13), (24, 16), (52, 24), (57, 22)):
        out.circle(left * x, top * y, 4.5 * one, "#ffffff", stroke="none")
    hills = [(0, 62 * y), (22 * x, 38 * y), (45 * x, 60 * y), (68 * x, 34 * y), (100 * x, 62 * y)]
    out.path(hills, fill="#8db3a0", stroke="none")
    out.rect(0, 58 * y, width, 24 * y, "#7fae62")
    out.rect(0, 80 * y, width, 20 * y, "#6a6f78")
    for left in range(3, 100, 16):
        out.rect(left * x, 89 * y, 8 * x, 1.6 * y, "#f3e9b8")
    out.rect(14 * x, 44 * y, 30 * x, 34 * y, "#e8cfa9")
    out.path([(11 * x, 45 * y), (29 * x, 28 * y), (47 * x, 45 * y)], fill="#b5553c", stroke="none", closed=True)
    out.rect(25 * x, 61 * y, 8 * x, 17 * y, "#6b4a34")
    for left in (17, 35):
        out.rect(left * x, 56 * y, 6 * x, 8 * y, "#5d8aa8", stroke="#ffffff", thick=0.5 * one)
    out.rect(19 * x, 47 * y, 20 * x, 6 * y, "#2f5d50")
    out.text(29 * x, 51.6 * y, "BOOKS", min(4.4 * y, 4.6 * x), fill="#ffffff", anchor="middle", bold=True)
    out.rect(69.5 * x, 56 * y, 3 * x, 24 * y, "#7a5a3e")
    for left, top, size in ((71, 46, 11), (65, 52, 8), (77, 53, 8)):
        out.circle(left * x, top * y, size * one, "#4f8a47")
    out.rect(50 * x, 76 * y, 13 * x, 6 * y, "#c8372d", round=one)
    out.rect(52.5 * x, 72 * y, 8 * x, 5 * y, "#dfe9f1", round=one)
    for left in (53, 60):
        out.circle(left * x, 82.5 * y, 2 * one, "#22262c")
    out.rect(88 * x, 62 * y, 0.8 * x, 18 * y, "#444a52")
    out.rect(85 * x, 57 * y, 7 * x, 7 * y, "#1f5fae")
    out.text(88.5 * x, 62 * y, "12", min(5 * y, 4.6 * x), fill="#ffffff", anchor="middle", bold=True)
    return out
