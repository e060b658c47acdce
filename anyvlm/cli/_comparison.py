"""A comparison drawn for a terminal: what differs, what it costs; as many systems side by side as there is room for."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anyvlm.anatomy.amounts import DASH, amount
from anyvlm.anatomy.compare import Comparison
from anyvlm.anatomy.page import question
from anyvlm.anatomy.words import SUMMARY

_QUIET = "grey50"
_LABEL, _COLUMN = 16, 12
"""Cells of the first column, and of each system's at least; two more part a column from the next."""


def tables(console: Console, found: Comparison) -> None:
    """Print the rows that differ, then all costs."""
    console.print(Text("What differs", "bold"))
    for some in _side_by_side(console, found):
        console.print(_differences(found, some), "")
    console.print(Text("What it costs", "bold"))
    console.print(Text(question(found), _QUIET))
    for some in _side_by_side(console, found):
        console.print(_costs(console, found, some), "")
    for note in found.notes:
        console.print(Text(note, _QUIET))


def _side_by_side(console: Console, found: Comparison) -> Iterator[slice]:
    """Systems by as many as fit into a line."""
    room = max(1, (console.width - _LABEL - 2) // (_COLUMN + 2))
    yield from (slice(n, n + room) for n in range(0, len(found.names), room))


def _differences(found: Comparison, some: slice) -> Table:
    table = _table(found, some, "left")
    for group in found.differences:
        # the summary is too long for a column; `anyvlm show` prints it
        if rows := [row for row in group.shown if row.label != SUMMARY]:
            table.add_row(Text(group.title, "bold"))
            for row in rows:
                table.add_row(Text(row.label, _QUIET), *(Text(value or DASH) for value in row.values[some]))
    return table


def _costs(console: Console, found: Comparison, some: slice) -> Table:
    table = _table(found, some, "right", (console.width - _LABEL - 2) // len(found.names[some]) - 2)
    for n, cost in enumerate(found.costs):
        if n == 0 or cost.group != found.costs[n - 1].group:
            table.add_row(Text(cost.group, "bold"))
        table.add_row(Text(cost.label, _QUIET), *(amount(value, cost.unit) for value in cost.values[some]))
    return table


def _table(found: Comparison, some: slice, justify: Literal["left", "right"], most: int | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("", width=_LABEL)
    for name in found.names[some]:
        title, ratio = "\n".join(wrap(name, _COLUMN + 2)), 1 if most is None else None
        table.add_column(title, justify=justify, overflow="fold", ratio=ratio, max_width=most)
    return table
