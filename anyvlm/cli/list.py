"""`anyvlm list`: every system by name, with what its tests have shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from anyvlm.ledger import Row

_PIPED = 160  # columns where no terminal sets them: one line per system, for grep


def list_systems(json: Json = False) -> None:
    """List every system and what its tests have shown.

    The last column is the outermost ring of tests passed: laws, manifest, parity, golden, behaviour (docs/ledger.md).

    Example: anyvlm list --json
    """
    from anyvlm.ledger import rows
    from anyvlm.registry import SYSTEMS

    known = {row.name: row for row in rows()}
    if json:
        import json as writer

        typer.echo(writer.dumps([_object(name, known.get(name)) for name in SYSTEMS], indent=2, ensure_ascii=False))
    else:
        _print({name: known.get(name) for name in SYSTEMS})


def _object(name: str, row: Row | None) -> dict[str, object]:
    """The facts of one system; only the name of one that the ledger does not have."""
    if row is None:
        return {"name": name}
    return {
        "name": name,
        "family": row.family,
        "parameters": row.parameters,
        "licence": row.license,
        "paper": row.paper,
        "summary": row.summary,
        "ring": row.ring or None,
        "rings": list(row.rings),
    }


def _print(systems: dict[str, Row | None]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from anyvlm.cli._words import short

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    table.add_column("system", no_wrap=True, style="bold")
    table.add_column("family", no_wrap=True)
    table.add_column("parameters", no_wrap=True, justify="right")
    table.add_column("licence")
    table.add_column("ring", no_wrap=True, style="green")
    for name, row in systems.items():
        table.add_row(name, *((row.family, short(row.parameters), row.license, row.ring) if row else ()))
    console.print(table)
