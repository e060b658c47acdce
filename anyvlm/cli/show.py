"""`anyvlm show`: a system as a tree of parts with shapes and counts, its prompt, its recipe and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._light import without_torch
from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from anyvlm.anatomy.parameters import Branch
    from anyvlm.match import AnySystem
    from anyvlm.spec import Json as JsonObject


def show(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name from `anyvlm list`, or a model's directory.")],
    json: Json = False,
) -> None:
    """Show what a system is made of.

    Its parts down to the shape of every tensor, its prompt, its recipe, its licence. Nothing is downloaded.

    Example: anyvlm show llava-1.5-7b
    """
    without_torch()
    from anyvlm.anatomy.parameters import parameters
    from anyvlm.cli._find import find

    system = find(name)
    tree = parameters(system)
    if json:
        import json as writer

        typer.echo(writer.dumps(_object(system, tree), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        from anyvlm.cli._portrait import portrait

        portrait(Console(highlight=False), system, tree, _tests(system.name))


def _tests(name: str) -> str:
    """What the ledger says of a system."""
    from anyvlm.ledger import row

    found = row(name)
    if found is None or not found.rings:
        return "none recorded"
    compared = "" if found.difference is None else f"; at most {found.difference:.1e} from {found.reference}"
    return f"{', '.join(found.rings)}{compared} ({found.date})"


def _object(system: AnySystem, tree: Branch) -> JsonObject:
    """`parameters` in total and of each part; `spec` is what `anyvlm.spec.from_json` reads."""
    from anyvlm.cli._words import link
    from anyvlm.ledger import row
    from anyvlm.spec import to_json

    meta = system.meta
    return {
        "name": system.name,
        "summary": meta.summary,
        "family": meta.family,
        "licence": meta.license,
        "paper": link(meta.paper),
        "year": meta.year,
        "parameters": tree.count,
        "rings": list(found.rings) if (found := row(system.name)) else [],
        "parts": {branch.name: branch.count for branch in tree.branches},
        "spec": to_json(system),
    }
