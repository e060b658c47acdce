"""A small writer of SVG: shapes and text whose colours are names of a palette, so that one drawing serves light and dark.

`Drawing.inline()` leaves the names to the page (`var(--ink)`), `Drawing.file(theme)` writes colours out, for files of their own
and for renderers that know no CSS. Nothing is fetched and no font is embedded: text is measured by a table and given slack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal, TypeAlias

Theme: TypeAlias = Mapping[str, str]
"""Colours (#rrggbb) by the names below."""
Anchor: TypeAlias = Literal["start", "middle", "end"]
Point: TypeAlias = tuple[float, float]
_Values: TypeAlias = Mapping[str, str | float]

FONT = "Inter, Roboto, 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
# Kinds of parts: white text is legible on each (4.5 : 1), and each stands out from both papers (3 : 1).
PARTS = {
    "vision": "#2563c9", "connector": "#b4530a", "fusion": "#9a3fc0", "language": "#0f766e", "words": "#4a7a2c",
    "painter": "#be3a6b", "other": "#5d6b7e",
}  # fmt: skip
LIGHT: Theme = PARTS | {
    "paper": "#ffffff", "panel": "#f4f5f7", "ink": "#151a21", "soft": "#55606e", "line": "#d5dae1", "on": "#ffffff",
    "text": "#8a96a6", "free": "#e6e9ee", "frozen": "#dfe8f6", "trained": "#fde6cf",
    "series0": "#2563c9", "series1": "#c2410c", "series2": "#0f766e", "series3": "#9333b8", "series4": "#a16207",
    "series5": "#be185d", "series6": "#475569", "series7": "#4d7c0f",
}  # fmt: skip
DARK: Theme = PARTS | {
    "paper": "#12161d", "panel": "#1b212b", "ink": "#eef1f5", "soft": "#a9b4c2", "line": "#333c49", "on": "#ffffff",
    "text": "#8793a4", "free": "#2a323e", "frozen": "#22344f", "trained": "#4a3119",
    "series0": "#7db0ff", "series1": "#ffa066", "series2": "#4fd1bd", "series3": "#d59bf6", "series4": "#e8c15a",
    "series5": "#ff8fb4", "series6": "#b3bfce", "series7": "#a3d65c",
}  # fmt: skip
SERIES = tuple(f"series{n}" for n in range(8))
"""Colours of systems side by side."""

# Advance widths of Roboto's printable ASCII in 1/100 em; other letters count as one of middle width.
_WIDTHS = (
    25, 26, 32, 62, 56, 73, 62, 17, 34, 35, 43, 57, 20, 28, 26, 41, 56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 24, 21,
    51, 55, 52, 47, 90, 65, 62, 65, 66, 57, 55, 68, 71, 27, 55, 63, 54, 87, 71, 69, 63, 69, 62, 59, 60, 65, 64, 89,
    63, 60, 60, 27, 41, 27, 42, 45, 31, 54, 56, 52, 56, 53, 35, 56, 55, 24, 24, 51, 24, 88, 55, 57, 56, 57, 34, 52,
    33, 55, 48, 75, 50, 47, 50, 34, 24, 34, 68,
)  # fmt: skip
BOLD = 1.07
"""How much wider bold text is."""
_SLACK = 1.17  # Arial and Segoe UI are a little wider, bold and DejaVu Sans more


def measure(words: str, size: float) -> float:
    """About how wide a line of text is, rather too much than too little."""
    return _SLACK * size * sum(_WIDTHS[ord(c) - 32] if " " <= c <= "~" else 57 for c in words) / 100


def fitted(words: str, room: float, size: float) -> str:
    """The text, cut with an ellipsis where it is wider than `room`; nothing where not even three letters fit."""
    if measure(words, size) <= room:
        return words
    while words and measure(words + "…", size) > room:
        words = words[:-1].rstrip()
    return f"{words}…" if len(words) > 2 else ""


def wrapped(words: str, room: float, size: float) -> list[str]:
    """Lines of at most `room`; a single word that is wider stays whole."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and measure(longer, size) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


@dataclass(frozen=True)
class _Element:
    tag: str
    attributes: tuple[tuple[str, str | float], ...]
    words: str = ""
    title: str = ""
    inside: tuple[_Element, ...] = ()


@dataclass
class Drawing:
    """Shapes so far, on `width` x `height` units. `label`: for screen readers. Colours are names of a theme or #rrggbb."""

    width: float
    height: float
    label: str = ""
    elements: list[_Element] = field(default_factory=list)

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str = "none", *, stroke: str = "none", thick: float = 1,
        round: float = 0, dash: str = "", fade: float = 1, title: str = "",
    ) -> None:  # fmt: skip
        """A rectangle. `title`: said when one points at it."""
        place = {"x": x, "y": y, "width": max(width, 0), "height": max(height, 0), "rx": round}
        self._add("rect", place | _paint(fill, stroke, thick, dash, fade), title=title)

    def circle(
        self, x: float, y: float, radius: float, fill: str, *, stroke: str = "none", thick: float = 1, title: str = ""
    ) -> None:
        """A disc."""
        self._add("circle", {"cx": x, "cy": y, "r": radius} | _paint(fill, stroke, thick), title=title)

    def line(
        self, x: float, y: float, to_x: float, to_y: float, stroke: str = "line", *, thick: float = 1, dash: str = "",
        fade: float = 1,
    ) -> None:  # fmt: skip
        """A straight line."""
        self._add("line", {"x1": x, "y1": y, "x2": to_x, "y2": to_y} | _paint("none", stroke, thick, dash, fade))

    def path(
        self, points: Sequence[Point], *, fill: str = "none", stroke: str = "ink", thick: float = 1, dash: str = "",
        closed: bool = False, fade: float = 1, title: str = "",
    ) -> None:  # fmt: skip
        """Straight pieces from point to point."""
        steps = "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points) + ("Z" if closed else "")
        ends = {"stroke-linejoin": "round", "stroke-linecap": "round"}
        self._add("path", {"d": steps} | ends | _paint(fill, stroke, thick, dash, fade), title=title)

    def lines(self, pieces: Sequence[tuple[Point, Point]], stroke: str = "line", *, thick: float = 1, fade: float = 1) -> None:
        """Many straight lines as one shape."""
        steps = "".join(f"M{_number(a)} {_number(b)}L{_number(c)} {_number(d)}" for (a, b), (c, d) in pieces)
        self._add("path", {"d": steps} | _paint("none", stroke, thick, "", fade))

    def arrow(self, points: Sequence[Point], stroke: str = "soft", *, thick: float = 1.5, head: float = 6) -> None:
        """Straight pieces with a head at the last point; the last piece runs along an axis or at any angle."""
        (x0, y0), (x1, y1) = points[-2:]
        long = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-6)
        ux, uy = (x1 - x0) / long, (y1 - y0) / long
        back = (x1 - ux * head, y1 - uy * head)
        self.path([*points[:-1], back], stroke=stroke, thick=thick)
        wing = head * 0.55
        sides = [(back[0] - uy * wing, back[1] + ux * wing), (back[0] + uy * wing, back[1] - ux * wing)]
        self.path([(x1, y1), *sides], fill=stroke, stroke="none", closed=True)

    def text(
        self, x: float, y: float, words: str, size: float = 13, *, fill: str = "ink", anchor: Anchor = "start",
        bold: bool = False, room: float | None = None, turn: float = 0,
    ) -> None:  # fmt: skip
        """One line whose baseline is at `y`. `room`: cut to that width. `turn`: degrees about its place."""
        shown = words if room is None else fitted(words, room, size * BOLD if bold else size)
        if shown:
            place: dict[str, str | float] = {"x": x, "y": y, "font-size": size, "fill": fill, "text-anchor": anchor}
            place |= {"font-weight": "600"} if bold else {}
            place |= {"transform": f"rotate({_number(turn)} {_number(x)} {_number(y)})"} if turn else {}
            self._add("text", place, shown, title=words if shown != words else "")

    def picture(self, x: float, y: float, width: float, height: float, address: str, *, fade: float = 1) -> None:
        """A picture given as a data: address, stretched to that size."""
        place: _Values = {"x": x, "y": y, "width": width, "height": height, "href": address, "preserveAspectRatio": "none"}
        self._add("image", {**place, "opacity": fade})

    def place(self, other: Drawing, x: float, y: float, scale: float = 1) -> None:
        """All shapes of another drawing, its corner at (x, y)."""
        move = f"translate({_number(x)} {_number(y)})" + (f" scale({_number(scale)})" if scale != 1 else "")
        self.elements.append(_Element("g", (("transform", move),), inside=tuple(other.elements)))

    def window(self, other: Drawing, x: float, y: float) -> None:
        """The same, cut off at the other drawing's own size."""
        place = (("x", x), ("y", y), ("width", other.width), ("height", other.height), ("overflow", "hidden"))
        self.elements.append(_Element("svg", place, inside=tuple(other.elements)))

    def define(self, name: str, other: Drawing) -> None:
        """Keep another drawing under a name, to be shown by `show` as often as wanted; in a page also by other drawings."""
        self.elements.append(_Element("defs", (), inside=(_Element("g", (("id", name),), inside=tuple(other.elements)),)))

    def show(self, name: str, x: float, y: float, across: float, down: float, *, fade: float = 1) -> None:
        """What was defined under a name, its corner at (x, y), scaled."""
        move = f"translate({_number(x)} {_number(y)}) scale({across:.6f} {down:.6f})"
        self._add("use", {"href": f"#{name}", "transform": move} | ({"opacity": fade} if fade < 1 else {}))

    def inline(self) -> str:
        """For a page that defines the palette (`variables`); it fills its column."""
        return self._svg(None, 'style="width:100%;height:auto;display:block"')

    def file(self, theme: Theme = LIGHT) -> str:
        """A file of its own, with colours written out and paper behind it."""
        return self._svg(theme, f'width="{_number(self.width)}" height="{_number(self.height)}"')

    def _svg(self, theme: Theme | None, size: str) -> str:
        paper = f'<rect width="100%" height="100%" fill="{theme["paper"]}"/>' if theme else ""
        box = f"0 0 {_number(self.width)} {_number(self.height)}"
        said = f'role="img" aria-label="{escape(self.label)}"' if self.label else 'role="presentation"'
        body = "".join(_written(element, theme) for element in self.elements)
        space = "" if theme is None else ' xmlns="http://www.w3.org/2000/svg"'
        return f'<svg{space} viewBox="{box}" {size} {said} font-family="{escape(FONT)}">{paper}{body}</svg>'

    def _add(self, tag: str, attributes: _Values, words: str = "", title: str = "") -> None:
        self.elements.append(_Element(tag, tuple(attributes.items()), words, title))


def variables(theme: Theme) -> str:
    """The palette as CSS, for the page around inline drawings."""
    return "".join(f"--{name}:{colour};" for name, colour in theme.items())


def contrast(a: str, b: str) -> float:
    """WCAG's contrast of two colours, from 1 to 21."""
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def stacked(drawings: Iterable[Drawing], gap: float = 24, margin: float = 24) -> Drawing:
    """Drawings below each other."""
    drawn = list(drawings)
    out = Drawing(max(each.width for each in drawn) + 2 * margin, sum(each.height + gap for each in drawn) - gap + 2 * margin)
    y = margin
    for each in drawn:
        out.place(each, margin, y)
        y += each.height + gap
    return out


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _paint(fill: str, stroke: str, thick: float, dash: str = "", fade: float = 1) -> dict[str, str | float]:
    out: dict[str, str | float] = {"fill": fill}
    if stroke != "none":
        out |= {"stroke": stroke, "stroke-width": thick}
        out |= {"stroke-dasharray": dash} if dash else {}
    return out | ({"opacity": fade} if fade < 1 else {})


def _written(element: _Element, theme: Theme | None) -> str:
    attributes = "".join(f' {name}="{_value(name, value, theme)}"' for name, value in element.attributes)
    inside = f"<title>{escape(element.title)}</title>" if element.title else ""
    inside += escape(element.words, quote=False) + "".join(_written(each, theme) for each in element.inside)
    return f"<{element.tag}{attributes}>{inside}</{element.tag}>" if inside else f"<{element.tag}{attributes}/>"


def _value(name: str, value: str | float, theme: Theme | None) -> str:
    if not isinstance(value, str):
        return _number(value)
    if name in ("fill", "stroke") and value in LIGHT:
        return f"var(--{value})" if theme is None else theme[value]
    return escape(value)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
