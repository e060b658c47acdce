"""`anyvlm diagram`: a system as a drawing at slide size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from anyvlm.anatomy.cards import Count, Scheme
    from anyvlm.match import AnySystem


def diagram(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name from `anyvlm list`, or a model's directory.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write; NAME.svg here if not given.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(metavar="NAME", help="In the colours of this stage: what it trains, what is frozen.")
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Write a PNG of 2560 × 1440 pixels beside it.")] = False,
    json: Json = False,
) -> None:
    """Draw a system: its parts, its stack of layers, what every stage trains.

    Read off the spec; nothing is downloaded.

    Example: anyvlm diagram flamingo-9b -o flamingo.svg --png
    """
    from anyvlm.cli._light import without_torch

    without_torch()
    from anyvlm.anatomy.cards import scheme
    from anyvlm.anatomy.diagram import diagram as draw
    from anyvlm.cli._find import find
    from anyvlm.weights.atomic import atomic_file

    system = find(name)
    count = counted(system)
    drawing = draw(system, count, stage)
    path = Path(f"{system.name}.svg") if out is None else out
    files = {path: drawing.file().encode()}
    if png:
        from anyvlm.anatomy.sheet import png as pixels

        files[path.with_suffix(".png")] = pixels(drawing, zoom=2)
    for each, content in files.items():
        with atomic_file(each) as partial:
            partial.write_bytes(content)
    if json:
        import json as writer

        typer.echo(writer.dumps(_object(scheme(system, count), list(files)), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(map(str, files)))


def counted(system: AnySystem) -> Count:
    """Parameters below a path, in words."""
    from anyvlm.anatomy.parameters import parameters
    from anyvlm.cli._words import short

    tree = parameters(system)

    def count(path: str) -> str:
        branch = tree.find(path) if path else tree
        return short(branch.count) if branch is not None and branch.count else ""

    return count


def _object(plan: Scheme, files: list[Path]) -> dict[str, object]:
    """The files, and every card with what each stage does to it."""
    cards = [*(card for lane in plan.lanes for card in lane), *plan.beside, plan.body.card, *plan.outputs]
    names = [stage.name for stage in plan.stages]
    told = [
        {"label": card.label, "title": card.title, "lines": list(card.lines)}
        | {"stages": dict(zip(names, card.states, strict=False))}
        for card in cards
    ]
    return {"name": plan.title, "files": list(map(str, files)), "stages": names, "cards": told}
