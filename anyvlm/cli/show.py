"""`anyvlm show`: a system as a tree of parts with shapes and counts, its prompt, its recipe and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._light import without_torch
from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyvlm.anatomy.parameters import Branch
    from anyvlm.anatomy.path import Step
    from anyvlm.anatomy.shares import Share
    from anyvlm.match import AnySystem
    from anyvlm.spec import Json as JsonObject


def show(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name from `anyvlm list`, or a model's directory.")],
    image: Annotated[str, typer.Option(metavar="WxH", help="Pixels of the picture that is followed through it.")] = "1024x768",
    expand: Annotated[bool, typer.Option("--expand", help="Print the model as one listing: its numbers, its code.")] = False,
    json: Json = False,
) -> None:
    """Show what a system is made of.

    Its parts down to the shape of every tensor, what they weigh and which stages train them, the way of a picture through it,
    its prompt, its recipe, its licence. Nothing is downloaded.

    Example: anyvlm show llava-1.5-7b --image 1024x768
    """
    without_torch()
    from anyvlm.anatomy.parameters import hollow, parameters
    from anyvlm.anatomy.path import path
    from anyvlm.anatomy.shares import shares
    from anyvlm.cli._find import find
    from anyvlm.cli._words import size

    system, pixels = find(name), size(image)
    module = hollow(system)
    tree = parameters(system, module)
    steps = path(system, tree, pixels)
    if json:
        import json as writer

        object = _object(system, tree, shares(system, module), steps, pixels)
        if expand:
            from anyvlm.anatomy.listing import listing

            object["listing"] = listing(system, module, steps)
        typer.echo(writer.dumps(object, indent=2, ensure_ascii=False))
    elif expand:
        from anyvlm.anatomy.listing import listing

        _print(listing(system, module, steps))
    else:
        from rich.console import Console

        from anyvlm.cli._portrait import Facts, portrait

        portrait(Console(highlight=False), system, Facts(tree, shares(system, module), steps, pixels, _tests(system.name)))


def _print(code: str) -> None:
    """In colours where a terminal shows it, as it is where it goes into a file."""
    from rich.console import Console

    if (console := Console()).is_terminal:
        from rich.syntax import Syntax

        console.print(Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True))
    else:
        typer.echo(code)


def _tests(name: str) -> str:
    """What the ledger says of a system."""
    from anyvlm.ledger import row

    found = row(name)
    if found is None or not found.rings:
        return "none recorded"
    compared = "" if found.difference is None else f"; at most {found.difference:.1e} from {found.reference}"
    return f"{', '.join(found.rings)}{compared} ({found.date})"


def _object(
    system: AnySystem, tree: Branch, shares: Sequence[Share], steps: Sequence[Step], image: tuple[int, int]
) -> JsonObject:
    """`parameters` in total and of each module; `shares`: of each part; `spec` is what `anyvlm.spec.from_json` reads.

    `active`: parameters of the language model that one token of text goes through.
    """
    from anyvlm.cli._portrait import code_of
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
        "code": code_of(system),
        "year": meta.year,
        "parameters": tree.count,
        "active": next((share.active for share in shares if share.path == "lm"), None),
        "bytes": {"bf16": 2 * tree.count},
        "rings": list(found.rings) if (found := row(system.name)) else [],
        "parts": {branch.name: branch.count for branch in tree.branches},
        "shares": [
            {
                "path": share.path, "class": type(share.spec).__name__ if share.spec else None, "parameters": share.count,
                "active": share.active, "bytes": {"bf16": 2 * share.count},
                "stages": {move.stage: {"trained": move.trained, "added": move.added} for move in share.moves},
            }
            for share in shares
        ],
        "image": list(image),
        "path": [
            {"part": step.part, "name": step.name, "shape": list(step.shape), "note": step.note or None} for step in steps
        ],
        "spec": to_json(system),
    }  # fmt: skip
