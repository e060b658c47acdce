"""What pictures and videos cost in several systems, side by side, the cheapest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anyvlm.anatomy.tokens import Offer, offers
from anyvlm.cli.tokens import ALL
from anyvlm.errors import InputError
from anyvlm.inputs.plan import Size
from anyvlm.system import System

_QUIET = "grey50"
_FULL = 8  # cells of the bar of a whole context
_PIPED = 160  # columns where no terminal sets them: one line a row, for grep
_SHOWN = 3  # kinds of arrays of a picture that are told in full


def side_by_side(
    names: Sequence[str], sizes: Sequence[Size], *, fps: float | None, frames: int | None, json: bool
) -> None:
    """Print them. Raises InputError if a system that is named has no prompt or refuses, or if none is left of all."""
    everyone = ALL in names
    found, refused = offers(_systems(names), sizes, fps=fps, frames=frames)
    if refused and not everyone:
        raise InputError(next(iter(refused.values())))
    if not found:
        raise InputError("No system takes these pictures and videos together; count them apart.")
    if json:
        _write(found, refused)
    else:
        _print(found, refused)


def _systems(names: Sequence[str]) -> list[System]:
    from anyvlm.cli._find import find
    from anyvlm.registry import SYSTEMS, system

    if ALL in names:
        every = [system(name) for name in SYSTEMS]
        return [each for each in every if isinstance(each, System) and each.streams]
    out = []
    for name in names:
        each = find(name)
        if not isinstance(each, System):
            raise InputError(f"'{each.name}' has no prompt; `anyvlm show {each.name}` describes it.")
        out.append(each)
    return out


def _write(found: Sequence[Offer], refused: dict[str, str]) -> None:
    import json

    rows = [
        {
            "model": name, "tokens": offer.tokens, "exact": not offer.least, "places": offer.places, "context": offer.context,
            "share": offer.places / offer.context,
            "resized": [[(w, h) for h, w in cost.cut.sizes] for cost in offer.costs],
        }
        for offer in found
        for name in offer.systems
    ]  # fmt: skip
    typer.echo(json.dumps({"systems": rows, "refused": refused}, indent=2, ensure_ascii=False))


def _print(found: Sequence[Offer], refused: dict[str, str]) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    table.add_column("system", overflow="fold")
    table.add_column("resized to", justify="right", overflow="fold")
    for name in ("tiles", "tokens", "context"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("share of it", no_wrap=True)
    for offer in found:
        first, others = offer.systems[0], len(offer.systems) - 1
        title = Text.assemble((first, "bold"), (f" and {others} more" if others else "", _QUIET))
        count = Text(f"{'≥ ' if offer.least else ''}{offer.tokens}", "cyan")
        arrays = sum(len(cost.cut.sizes) for cost in offer.costs)
        table.add_row(title, _resized(offer), str(arrays), count, str(offer.context), _share(offer))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED
    console.print(table)
    console.print()
    console.print(Text(_below(found, refused), _QUIET))


def _resized(offer: Offer) -> str:
    counted = Counter(size for cost in offer.costs for size in cost.cut.sizes)
    shown = [f"{w} × {h}" for h, w in list(counted)[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(counted) > _SHOWN else "")


def _share(offer: Offer) -> Text:
    """A bar, and a number; words where rows take no place of the sequence."""
    if offer.beside:
        return Text("in a memory beside it", _QUIET)
    share = offer.places / offer.context
    cells = min(_FULL, max(1, round(share * _FULL)))
    return Text.assemble(("━" * cells, "cyan" if share <= 1 else "red"), ("─" * (_FULL - cells), _QUIET), f" {share:6.1%}")


def _below(found: Sequence[Offer], refused: dict[str, str]) -> str:
    systems = sum(len(offer.systems) for offer in found)
    said = [f"{systems} systems, text not counted; systems in which all of this is the same share a line."]
    if any(offer.least for offer in found):
        said.append("≥: these write words among the rows; with one --model their tokenizer counts them.")
    if refused:
        said.append(f"{len(refused)} refuse this (--json says why).")
    return " ".join(said)
