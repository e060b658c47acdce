"""Tables of what parts weigh and of the shapes that they hand on, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from anyvlm.anatomy.path import Step
from anyvlm.anatomy.shares import Move, Share
from anyvlm.cli._words import by, short, volume

_QUIET = "grey50"


def sizes(shares: Sequence[Share]) -> Table:
    """Parameters of every part, those active for a token where some are not, bytes, and the stages that train it."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=_QUIET, pad_edge=False, show_edge=False)
    staged = any(each.moves for each in shares)
    rows = [
        [
            (each.path or "encoder", "bold"), (short(each.count), ""), (short(each.active), "cyan"),
            (volume(2 * each.count), ""), (_moves(each), "") if each.moves else ("frozen", _QUIET),
        ]
        for each in shares
        if each.count
    ]  # fmt: skip
    if len(rows) > 1:
        count, active = sum(each.count for each in shares), sum(each.active for each in shares)
        total = [short(count), short(active), volume(2 * count)]
        rows.append([("together", _QUIET), *((each, _QUIET) for each in total), ("", "")])
    shown = [True, True, any(each.active < each.count for each in shares), True, staged]
    for name, show in zip(("part", "parameters", "active", "at bf16", "trained in"), shown, strict=True):
        if show:
            words = name in ("part", "trained in")
            table.add_column(name, justify="left" if words else "right", no_wrap=name != "trained in", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text, style) for (text, style), show in zip(row, shown, strict=True) if show))
    return table


def _moves(share: Share) -> str:
    return ", ".join(_move(share, move) for move in share.moves)


def _move(share: Share, move: Move) -> str:
    """The stage; in brackets what moves where that is not the part as it is."""
    some = [short(move.trained)] if 0 < move.trained < share.count else []
    if move.added:
        some.append(f"LoRA {short(move.added)}")
    return f"{move.stage} ({' + '.join(some)})" if some else move.stage


def way(steps: Iterable[Step]) -> Table:
    """One line for every step: where, by what, and the shape that comes out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(style=_QUIET, overflow="fold")
    for step in steps:
        of_module = step.name != step.part and step.name[:1].isupper()
        where = Text(step.part, "bold" if of_module else "") if of_module or step.name == step.part else Text(step.name)
        table.add_row(where, step.name if of_module else "", by(step.shape), step.note)
    return table
