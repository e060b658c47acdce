"""The pictures of a comparison: how the image is cut, where tokens and work go, what parameters are for, what size costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10, prod

from anyvlm.anatomy.amounts import DASH, amount
from anyvlm.anatomy.compare import Budget, Comparison, Cost
from anyvlm.anatomy.cuts import Frame, Window
from anyvlm.anatomy.kinds import Kind
from anyvlm.anatomy.svg import SERIES, Drawing, measure, wrapped
from anyvlm.anatomy.treemap import squarified

WIDTH = 500.0
"""Of every drawing; columns scale them."""
PICTURE = "picture"
"""The name under which the picture that is cut is defined, at its own size."""
_HEAD = 58.0
_CUT_HEIGHT = 330.0
_GRID_MOST = 160  # lines of a grid each way beyond which they would be a grey veil
_SMALL, _TEXT, _LARGE = 14, 16, 19


def _headed(name: str, n: int, said: str, height: float) -> Drawing:
    """A drawing with a system's name and colour, and a line about it."""
    out = Drawing(WIDTH, height, f"{name}: {said}")
    out.circle(8, 15, 7, SERIES[n % len(SERIES)])
    out.text(24, 21, name, _LARGE, bold=True, room=WIDTH - 24)
    out.text(0, 46, said, _TEXT, fill="soft", room=WIDTH)
    return out


# How the image is cut -------------------------------------------------------------------------------------------------


def cut(comparison: Comparison, n: int) -> Drawing:
    """Tiles and patches of one system over the picture, which must be defined under the name PICTURE."""
    found, (width, height) = comparison.cuts[n].windows, comparison.case.size
    if not found:
        out = _headed(comparison.names[n], n, "takes no such picture", _HEAD + 40)
        return out
    main = [window for window in found if not window.whole]
    beside = [window for window in found if window.whole]
    around = _around([*(window.frame for window in main), (0, 0, width, height)])
    room = WIDTH - (120 if beside else 0)
    scale = min(room / (around[2] - around[0]), _CUT_HEIGHT / (around[3] - around[1]))
    high = (around[3] - around[1]) * scale
    strip = 30.0 if main[0].learned else 0.0
    out = _headed(comparison.names[n], n, _cut_words(found), _HEAD + high + strip + 30)
    left, top = -around[0] * scale, _HEAD - around[1] * scale
    covered = _around([window.frame for window in main])
    out.rect(left + covered[0] * scale, top + covered[1] * scale, *_sides(covered, scale), "free")
    _over(out, (0, 0, width, height), (width, height), left, top, scale, fade=0.28)
    _over(out, covered, (width, height), left, top, scale)
    for window in main:
        _grid(out, window, left, top, scale)
    for window in beside:
        wide = 108.0
        small = wide / width
        _over(out, (0, 0, width, height), (width, height), WIDTH - wide, _HEAD, small)
        _grid(out, window, WIDTH - wide, _HEAD, small)
        out.text(WIDTH - wide, _HEAD + height * small + 18, "and the whole", _SMALL, fill="soft")
    y = _HEAD + high
    if strip:
        queries = sum(prod(window.rows) for window in found)
        step = min(11.0, WIDTH / queries)
        for at in range(queries):
            out.rect(at * step, y + 12, step - min(2, step / 4), 12, "connector")
    out.text(0, y + strip + 22, _patch_words(found, comparison.cuts[n].rows), _SMALL, fill="soft", room=WIDTH)
    return out


def _cut_words(found: Sequence[Window]) -> str:
    tiles = [window for window in found if not window.whole]
    h, w = tiles[0].size
    if len(found) == 1:
        own = prod(found[0].tiles)
        return f"one array of {w:,} × {h:,} pixels" + (f", read as {own} tiles" if own > 1 else "")
    return f"{len(tiles)} tiles of {w:,} × {h:,} pixels" + (", and the whole as one more" if len(tiles) < len(found) else "")


def _patch_words(found: Sequence[Window], rows: int) -> str:
    """From patches to rows, all arrays together where they are alike."""
    one = next(window for window in found if not window.whole)
    each = "each: " if len(found) > 1 else ""
    patches = f"{each}{one.patches[1]} × {one.patches[0]} patches"
    if one.learned:
        return f"{patches}, read by {one.rows[1]} learned queries"
    lines = f" become {one.rows[1]} × {one.rows[0]} rows" if _fewer(one) else ""
    return f"{patches}{lines}; {rows:,} visual tokens in all"


def _fewer(window: Window) -> bool:
    """Whether its rows are patches put together."""
    (rows, columns), (lines, across) = window.rows, window.patches
    return 1 < rows <= lines and 1 < columns <= across and window.rows != window.patches


def _over(
    out: Drawing, frame: Frame, size: tuple[int, int], left: float, top: float, scale: float, *, fade: float = 1
) -> None:
    """The part of the picture inside a frame."""
    x, y = max(frame[0], 0), max(frame[1], 0)
    right, bottom = min(frame[2], size[0]), min(frame[3], size[1])
    inner = Drawing((right - x) * scale, (bottom - y) * scale)
    inner.show(PICTURE, -x * scale, -y * scale, scale, scale, fade=fade)
    out.window(inner, left + x * scale, top + y * scale)


def _grid(out: Drawing, window: Window, left: float, top: float, scale: float) -> None:
    """The border of an array, its patches, and, thicker, its rows where they are fewer."""
    x, y = left + window.frame[0] * scale, top + window.frame[1] * scale
    wide, high = _sides(window.frame, scale)
    grids = [(window.patches, 0.5)]
    if _fewer(window):
        grids.append((window.rows, 1.1))
    if prod(window.tiles) > 1:
        grids.append((window.tiles, 3.0))
    for (rows, columns), thick in grids:
        if max(rows, columns) <= _GRID_MOST and min(wide / columns, high / rows) > 1.6:
            pieces = [((x + wide * n / columns, y), (x + wide * n / columns, y + high)) for n in range(1, columns)]
            pieces += [((x, y + high * n / rows), (x + wide, y + high * n / rows)) for n in range(1, rows)]
            out.lines(pieces, "#10151c", thick=thick + 0.5, fade=0.22)
            out.lines(pieces, "#ffffff", thick=thick, fade=0.6)
    out.rect(x + 1, y + 1, wide - 2, high - 2, stroke="#ffffff", thick=4)
    out.rect(x + 1, y + 1, wide - 2, high - 2, stroke="vision", thick=2.4)


def _around(frames: Sequence[Frame]) -> Frame:
    return tuple(pick(frame[n] for frame in frames) for n, pick in enumerate((min, min, max, max)))  # type: ignore[return-value]


def _sides(frame: Frame, scale: float) -> tuple[float, float]:
    return (frame[2] - frame[0]) * scale, (frame[3] - frame[1]) * scale


# Bars -----------------------------------------------------------------------------------------------------------------


def budget(comparison: Comparison) -> Drawing:
    """What pictures take of the context (markup among their rows, too), text, and what is left; a bar for each system."""
    context = comparison.case.context
    longest = max([context, *(each.visual + each.text for each in comparison.budgets if each)])
    out = _bars(f"A context of {context:,} tokens", len(comparison.names))
    _legend(out, (("pictures", "vision"), ("text", "text"), ("free", "free"), ("in a memory beside them", "fusion")))
    for n, (name, one) in enumerate(zip(comparison.names, comparison.budgets, strict=True)):
        y = _BARS + n * _BAR
        out.text(0, y + 15, name, _TEXT, bold=True, room=WIDTH)
        out.text(0, y + 71, _budget_words(one, context), _SMALL, fill="soft")
        if one is None:
            continue
        unit, x = WIDTH / longest, 0.0
        out.rect(0, y + 24, min(context, longest) * unit, 22, stroke="line", dash="3 3")
        for count, fill in ((one.visual, "vision"), (one.text, "text"), (one.free, "free")):
            out.rect(x, y + 24, count * unit, 22, fill, title=f"{count:,} tokens")
            x += count * unit
        if one.beside:
            out.rect(0, y + 49, max(one.beside * unit, 2), 6, "fusion", title=f"{one.beside:,} rows in a memory")
    return out


def _budget_words(one: Budget | None, context: int) -> str:
    if one is None:
        return "writes no answer, or takes none of this"
    words = [f"{one.visual:,} for pictures", f"{one.text:,} text"]
    words += [f"{one.beside:,} beside"] if one.beside else []
    most = min(one.holds, context)
    left = f"more than {most:,}" if one.visual + one.text > most else f"{one.free:,} of {most:,} free"
    return f"{', '.join(words)}; {left}"


_BARS, _BAR = 62.0, 92.0  # where the first begins, and one's height


def _bars(title: str, count: int) -> Drawing:
    out = Drawing(WIDTH, _BARS + _BAR * count, title)
    out.text(0, 20, title, _LARGE, bold=True, room=WIDTH)
    return out


def work(comparison: Comparison) -> Drawing:
    """FLOPs before the first token (of towers: to their points), by part, a bar for each system."""
    parts = (("encoder", "vision"), ("connector", "connector"), ("prefill", "language"))
    rows = {label: _cost(comparison, label) for label, _ in parts}
    totals = [sum(rows[label].values[n] or 0 for label, _ in parts) for n in range(len(comparison.names))]
    most = max([*totals, 1])
    out = _bars("FLOPs before an answer", len(totals))
    _legend(out, parts)
    for n, (name, total) in enumerate(zip(comparison.names, totals, strict=True)):
        y, x = _BARS + n * _BAR, 0.0
        out.text(0, y + 15, name, _TEXT, bold=True, room=WIDTH - 120)
        words = [f"{label} {_letter(rows[label].values[n])}" for label, _ in parts if rows[label].values[n]]
        out.text(WIDTH, y + 15, amount(total or None, "FLOPs"), _TEXT, fill="soft", anchor="end")
        out.text(0, y + 71, ", ".join(words) or DASH, _SMALL, fill="soft")
        for label, fill in parts:
            wide = (rows[label].values[n] or 0) / most * WIDTH
            out.rect(x, y + 24, wide, 22, fill, title=f"{label}: {amount(rows[label].values[n], 'FLOPs')}")
            x += wide
    return out


def _letter(flops: float | None) -> str:
    """13.9 T."""
    return amount(flops, "FLOPs").removesuffix("FLOPs").rstrip()


def _cost(comparison: Comparison, label: str) -> Cost:
    return next(cost for cost in comparison.costs if cost.label == label)


def _legend(out: Drawing, entries: Sequence[tuple[str, str]]) -> None:
    x = 0.0
    for label, fill in entries:
        out.rect(x, 34, 13, 13, fill, round=2)
        out.text(x + 19, 45, label, _SMALL, fill="soft")
        x += 19 + measure(label, _SMALL) + 18


def sums(comparison: Comparison) -> list[Drawing]:
    """The drawings that show all systems together."""
    return [budget(comparison), work(comparison), curves(comparison, "visual"), curves(comparison, "flops")]


# Parameters -----------------------------------------------------------------------------------------------------------


def treemap(comparison: Comparison, n: int) -> Drawing:
    """Parameters of one system by what they do; the same kind has the same colour everywhere."""
    card, height = comparison.cards[n], 280.0
    found = sorted(comparison.kinds[n], key=lambda kind: -kind.count)
    out = _headed(card.name, n, f"{amount(card.total, 'parameters')} parameters", _HEAD + height)
    small = []
    for kind, (x, y, wide, high) in zip(found, squarified([kind.count for kind in found], WIDTH, height), strict=True):
        out.rect(x + 1, _HEAD + y + 1, wide - 2, high - 2, kind.kind, round=2, title=f"{kind.label}: {kind.count:,}")
        if not _label(out, kind, x + 10, _HEAD + y, wide - 18, high, card.total):
            small.append(kind)
    for kind in small:
        words = f"{kind.label}: {amount(kind.count, 'parameters')}"
        out.height += 20
        out.rect(0, out.height - 15, 12, 12, kind.kind, round=2)
        out.text(19, out.height - 5, words, _SMALL, fill="soft", room=WIDTH - 19)
    return out


def colours(comparison: Comparison) -> list[tuple[str, str]]:
    """What the colours of treemaps mean: name and colour of every kind of part that some system has."""
    names = {
        "vision": "vision encoder", "connector": "connector, pools, maps", "fusion": "cross-attention and weights for pictures",
        "language": "layers of the language model or text encoder", "words": "word embeddings and head",
        "painter": "picture maker, other senses",
    }  # fmt: skip
    found = {kind.kind for each in comparison.kinds for kind in each}
    return [(name, kind) for kind, name in names.items() if kind in found]


def legend(comparison: Comparison, width: float) -> Drawing:
    """The same as a drawing."""
    out = Drawing(width, 20)
    x = 0.0
    for name, kind in colours(comparison):
        out.rect(x, 3, 14, 14, kind, round=2)
        out.text(x + 21, 15, name, _TEXT, fill="soft")
        x += 21 + measure(name, _TEXT) + 14
    return out


def _label(out: Drawing, kind: Kind, x: float, y: float, wide: float, high: float, total: int) -> bool:
    """Name and number inside a tile, as large as fits; False where there is no room for them."""
    count = amount(kind.count, "parameters")
    for size in (17, _SMALL, 12):
        lines = wrapped(kind.label, wide, size)
        shared = f"{count}, {kind.count / total:.0%}"
        numbers = shared if measure(shared, size) <= wide else count
        if max(measure(line, size) for line in [*lines, numbers]) <= wide and (len(lines) + 1.4) * size * 1.3 <= high:
            for n, line in enumerate(lines, 1):
                out.text(x, y + n * size * 1.3, line, size, fill="on", bold=True)
            out.text(x, y + (len(lines) + 1) * size * 1.3, numbers, size, fill="on")
            return True
    return False


# Curves ---------------------------------------------------------------------------------------------------------------


def curves(comparison: Comparison, what: str) -> Drawing:
    """`what`: "visual" tokens or "flops" before an answer, against the side of a square picture."""
    unit = "tokens" if what == "visual" else "FLOPs"
    title = "Visual tokens of a square picture" if what == "visual" else "FLOPs before an answer, square picture"
    values = [curve.visual if what == "visual" else curve.flops for curve in comparison.curves]
    lines = [[(side, y) for side, y in zip(comparison.sides, line, strict=True) if y] for line in values]
    height, left, right, top, bottom = 360.0, 64.0, 184.0, 44.0, 46.0
    out = Drawing(WIDTH, height, title)
    out.text(0, 20, title, _LARGE, bold=True, room=WIDTH)
    known = [y for line in lines for _, y in line]
    if not known:
        return out
    low, high = floor(log10(min(known))), ceil(log10(max(known)) + 1e-9)
    high = max(high, low + 1)
    first, last = comparison.sides[0], comparison.sides[-1]

    def at(side: float, y: float) -> tuple[float, float]:
        share = (log10(y) - low) / (high - low)
        x = left + (side - first) / (last - first) * (WIDTH - left - right)
        return x, height - bottom - share * (height - top - bottom)

    for power in range(low, high + 1):
        x, y = at(first, 10.0**power)
        out.line(x, y, WIDTH - right, y)
        out.text(x - 8, y + 4, _power(power, unit), _SMALL, fill="soft", anchor="end")
    for side in (first, 500, 1000, 1500, last):
        x, y = at(side, 10.0**low)
        out.line(x, y, x, y + 5, "soft")
        out.text(x, y + 20, f"{side:,}", _SMALL, fill="soft", anchor="middle")
    out.text((left + WIDTH - right) / 2, height - 6, "pixels on a side", _SMALL, fill="soft", anchor="middle")
    ends = []
    for n, line in enumerate(lines):
        if line:
            out.path([at(*point) for point in line], stroke=SERIES[n % len(SERIES)], thick=2.6)
            ends.append((at(*line[-1])[1], n, line[-1][1]))
    ends.sort()
    for (y, n, value), place in zip(ends, _apart([y for y, _, _ in ends], 34, top, height - bottom), strict=True):
        colour, x = SERIES[n % len(SERIES)], WIDTH - right
        out.line(x + 2, y, x + 12, place, colour)
        out.text(x + 16, place, comparison.names[n], _SMALL, fill=colour, bold=True, room=right - 16)
        out.text(x + 16, place + 15, amount(value, unit), _SMALL, fill="soft")
    return out


def _power(power: int, unit: str) -> str:
    """100,000 tokens, 100 T operations."""
    if unit == "tokens":
        return f"{10**power:,}" if power >= 0 else ""
    letters = {0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E"}
    return f"{10 ** (power % 3)} {letters.get(power // 3, '')}".rstrip()


def _apart(wanted: Sequence[float], gap: float, least: float, most: float) -> list[float]:
    """Places near those wanted, in their order, at least a gap from each other, as far as there is room."""
    places = list(wanted)
    for n, (a, _) in enumerate(pairwise(places)):
        places[n + 1] = max(places[n + 1], max(a, places[n]) + gap)
    over = max(0.0, places[-1] - (most - 14)) if places else 0.0
    for n in range(len(places) - 1, -1, -1):
        ceiling = places[n + 1] - gap if n + 1 < len(places) else places[n] - over
        places[n] = max(min(places[n], ceiling), least - 20)
    return places
