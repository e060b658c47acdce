"""`anyvlm list`: the catalogue, a line a row, with how far each has come; or every system by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from anyvlm.catalogue import Standing
    from anyvlm.ledger import Row

_PIPED = 210  # columns where no terminal sets them: one line per row, for grep
_GAP = 2  # cells between columns
_FILTERS = "Filters"
_ROOM = {"row": 120, "year": 100, "family": 100, "title": 150}  # columns of a terminal from which these are shown


def list_systems(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="Words that stand in the name, title or summary.")
    ] = None,
    systems: Annotated[bool, typer.Option("--systems", "-s", help="Every name that can be loaded, with what it is.")] = False,
    family: Annotated[
        str | None, typer.Option(metavar="NAME", help="prefix, dual-encoder ...", rich_help_panel=_FILTERS)
    ] = None,
    kind: Annotated[str | None, typer.Option(metavar="NAME", help="model, dataset ...", rich_help_panel=_FILTERS)] = None,
    status: Annotated[
        str | None, typer.Option(metavar="NAME", help="built, planned or 'not a model'.", rich_help_panel=_FILTERS)
    ] = None,
    ring: Annotated[
        str | None, typer.Option(metavar="NAME", help="At least this ring of tests: parity ...", rich_help_panel=_FILTERS)
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="N", help="Has at most N parameters: 350M, 3B.", rich_help_panel=_FILTERS)
    ] = None,
    takes: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME", help="Takes this in its paper: video ...", rich_help_panel=_FILTERS),
    ] = None,
    gives: Annotated[
        list[str] | None,
        typer.Option("--output", metavar="NAME", help="Gives this in its paper: boxes ...", rich_help_panel=_FILTERS),
    ] = None,
    json: Json = False,
) -> None:
    """List the catalogue and what is built of it.

    One line per row: built, with the outermost ring of tests that one of its systems has passed (laws, manifest, parity,
    golden, behaviour; docs/ledger.md), planned, or not a model, with what exists instead.

    Example: anyvlm list --family cross-attention --ring parity --max-params 3B
    """
    from anyvlm.cli._words import number

    wanted = _Wanted(
        words=tuple(words or ()), family=family, kind=kind, status=status, ring=ring, takes=tuple(takes or ()),
        gives=tuple(gives or ()), most=None if max_params is None else number(max_params),
    )  # fmt: skip
    found = wanted.choose()
    if json:
        import json as writer

        listed = [_system(row, one) for row in found for one in row.systems] if systems else [_object(row) for row in found]
        typer.echo(writer.dumps(listed, indent=2, ensure_ascii=False))
    elif systems:
        _print_systems(found)
    else:
        _print(found)


@dataclass(frozen=True)
class _Wanted:
    """What is asked for; None and () ask for nothing."""

    words: tuple[str, ...]
    family: str | None
    kind: str | None
    status: str | None
    ring: str | None
    most: int | None
    takes: tuple[str, ...]
    gives: tuple[str, ...]

    def choose(self) -> tuple[Standing, ...]:
        """The rows wanted, by family, each with those of its systems that are wanted. Names nothing has are an error."""
        from anyvlm.catalogue import STATUSES, standings
        from anyvlm.ledger import RINGS

        rows = standings(_registered())
        families = list(dict.fromkeys(row.entry.family for row in rows))
        _known("family", families, self.family)
        _known("kind", [row.entry.kind for row in rows], self.kind)
        _known("status", STATUSES, self.status)
        _known("ring", RINGS, self.ring)
        _known("input", [name for row in rows for name in row.entry.inputs], *self.takes)
        _known("output", [name for row in rows for name in row.entry.outputs], *self.gives)
        chosen = [found for row in rows if (found := self._of(row))]
        return tuple(sorted(chosen, key=lambda row: families.index(row.entry.family)))

    def _of(self, row: Standing) -> Standing | None:
        entry = row.entry
        if (
            self.family not in (None, entry.family)
            or self.kind not in (None, entry.kind)
            or self.status not in (None, row.status)
            or not set(self.takes) <= set(entry.inputs)
            or not set(self.gives) <= set(entry.outputs)
        ):
            return None
        said = " ".join((entry.name, entry.title, entry.family, entry.kind, entry.paper, entry.repo, entry.instead))
        systems = tuple(one for one in row.systems if self._has(one) and self._says(f"{said} {one.name} {one.summary}"))
        if systems or not row.systems and self.ring is None and self.most is None and self._says(said):
            return replace(row, systems=systems)
        return None

    def _has(self, system: Row) -> bool:
        if self.most is not None and not 0 < system.parameters <= self.most:
            return False
        from anyvlm.ledger import RINGS

        order = ("", *RINGS)
        return self.ring is None or order.index(system.ring) >= order.index(self.ring)

    def _says(self, text: str) -> bool:
        return all(word.lower() in text.lower() for word in self.words)


def _registered() -> list[Row]:
    """The ledger's row of every registered system; only the name of one that the ledger does not have."""
    from anyvlm.ledger import Row, rows
    from anyvlm.registry import SYSTEMS

    known = {row.name: row for row in rows()}
    empty = Row(
        name="", family="", parameters=0, license="", paper="", summary="", rings=(), difference=None, reference="", date=""
    )
    return [known.get(name) or replace(empty, name=name) for name in SYSTEMS]


def _known(what: str, options: Sequence[str], *asked: str | None) -> None:
    from anyvlm.errors import InputError

    for name in asked:
        if name is not None and name not in options:
            raise InputError(f"No {what} is called '{name}'; there are {', '.join(dict.fromkeys(options))}.")


# Told as data ---------------------------------------------------------------------------------------------------------


def _object(row: Standing) -> dict[str, object]:
    from anyvlm.cli._words import link

    facts: dict[str, object] = asdict(row.entry) | {"paper": link(row.entry.paper)}
    return facts | {"status": row.status, "ring": row.ring or None, "systems": [_system(row, one) for one in row.systems]}


def _system(row: Standing, one: Row) -> dict[str, object]:
    """The facts of one system; only the name of one that the ledger does not have."""
    if not one.family:
        return {"name": one.name}
    return {
        "name": one.name,
        "row": one.row or None,
        "family": row.entry.family,
        "lineage": one.family,
        "parameters": one.parameters,
        "licence": one.license,
        "paper": one.paper,
        "summary": one.summary,
        "ring": one.ring or None,
        "rings": list(one.rings),
    }


# Told to people -------------------------------------------------------------------------------------------------------


def _print(rows: Sequence[Standing]) -> None:
    from rich.text import Text

    from anyvlm.catalogue import STATUSES

    console, table = _table()
    shown = [name for name in ("title", "family", "year") if console.width >= _ROOM[name]]
    table.add_column("row", no_wrap=True, style="bold")
    for name in shown:
        table.add_column(name, no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("systems", no_wrap=True, justify="right")
    table.add_column("size", no_wrap=True)
    lines = []
    for row in rows:
        facts = {"title": row.entry.title, "family": row.entry.family, "year": str(row.entry.year or "")}
        status = f"built, {row.ring}" if row.ring else row.status
        many = str(len(row.systems)) if row.systems else ""
        lines.append((row.entry.name, *(facts[name] for name in shown), status, many))
    widest = [max(map(len, cells)) for cells in zip(("row", *shown, "status", "systems"), *lines, strict=True)]
    room = max(console.width - sum(widest) - _GAP * len(widest), 4)
    for row, (*cells, status, many) in zip(rows, lines, strict=True):
        size = _size(row)
        size.truncate(room, overflow="ellipsis")
        table.add_row(*cells, Text(status, "green" if row.systems else "grey50"), many, size)
    console.print(table)
    count = Counter(row.status for row in rows if row.entry.year)
    told = ", ".join(f"{count[status]} {status}" for status in STATUSES if count[status])
    names = sum(len(row.systems) for row in rows)
    console.print(f"\n{count.total()} rows: {told or 'none'}. {names} names to load (--systems)", style="grey50")


def _size(row: Standing) -> Text:
    """Parameters of its systems; of what is not built the smallest size in its paper's words, or what exists instead."""
    from rich.text import Text

    from anyvlm.cli._words import short

    counts = [one.parameters for one in row.systems if one.parameters]
    if not counts:
        return Text(row.entry.instead or row.entry.size, "grey50")
    least, most = short(min(counts)), short(max(counts))
    return Text(least if least == most else f"{least} to {most}")


def _print_systems(rows: Sequence[Standing]) -> None:
    from anyvlm.cli._words import short

    console, table = _table()
    table.add_column("system", no_wrap=True, style="bold")
    shown = [name for name in ("row", "family") if console.width >= _ROOM[name]]
    for name in shown:
        table.add_column(name, no_wrap=True)
    table.add_column("parameters", no_wrap=True, justify="right")
    table.add_column("licence")
    table.add_column("ring", no_wrap=True, style="green")
    families = {one.name: row.entry.family for row in rows for one in row.systems}
    for one in sorted((one for row in rows for one in row.systems), key=lambda one: one.name):
        facts = {"row": one.row, "family": families[one.name]}
        known = (*(facts[name] for name in shown), short(one.parameters), one.license, one.ring) if one.family else ()
        table.add_row(one.name, *known)
    console.print(table)


def _table() -> tuple[Console, Table]:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED
    return console, Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), show_edge=False, pad_edge=False)
