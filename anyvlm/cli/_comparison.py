"""A comparison drawn for a terminal: what differs, what it costs."""

from __future__ import annotations

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


def tables(console: Console, found: Comparison) -> None:
    """Print the rows that differ, then all costs."""
    console.print(Text("What differs", "bold"))
    table = _table(found)
    for group in found.differences:
        if rows := group.shown:
            table.add_row(Text(group.title, "bold"))
            for row in rows:
                if row.label == SUMMARY:
                    continue  # too long for a column of a terminal; `anyvlm show` prints it
                table.add_row(Text(row.label, _QUIET), *(value or DASH for value in row.values))
    console.print(table, "", Text("What it costs", "bold"), Text(question(found), _QUIET))
    table = _table(found, "right")
    for n, cost in enumerate(found.costs):
        if n == 0 or cost.group != found.costs[n - 1].group:
            table.add_row(Text(cost.group, "bold"))
        table.add_row(Text(cost.label, _QUIET), *(amount(value, cost.unit) for value in cost.values))
    console.print(table)
    for note in found.notes:
        console.print(Text(note, _QUIET))


def _table(found: Comparison, justify: Literal["left", "right"] = "left") -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("", no_wrap=justify == "right")
    for name in found.names:
        table.add_column(name, justify=justify, overflow="fold", ratio=1 if justify == "left" else None, min_width=12)
    return table
