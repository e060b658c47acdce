"""`anyvlm remix`: a system with parts of others, written as a file that every verb takes for a system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from anyvlm.anatomy.remix import Part, Report
    from anyvlm.spec import Json as JsonObject
    from anyvlm.system import System


def remix(
    base: Annotated[str, typer.Argument(metavar="NAME|PATH", help="The system to begin with: its recipe, and what stays.")],
    encoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose eye it gets, preprocessing included: siglip-so400m-384.")
    ] = None,
    connector: Annotated[
        str | None, typer.Option(metavar="WORD", help="linear, mlp, shuffle, merger, perceiver or qformer.")
    ] = None,
    lm: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose language model it gets, with tokenizer and prompt: qwen2.5-1.5b.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="What to call it; its parts if not given.")] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE.json", help="The file to write.")] = None,
    json: Json = False,
) -> None:
    """Build a system with another encoder, connector or language model.

    Words of a name may be left out, but the first. Nothing is downloaded. What is new between the parts must be trained.

    Example: anyvlm remix llava-1.5-7b --encoder siglip-so400m-384 --lm qwen2.5-1.5b -o my.system.json
    """
    from anyvlm.anatomy.remix import remix as mixed
    from anyvlm.weights.systemfile import write_system

    system, report = mixed(base, encoder=encoder, connector=connector, lm=lm, name=name)
    if output is not None:
        write_system(system, output)
    if json:
        import json as writer

        typer.echo(writer.dumps(_object(system, report, output), indent=2, ensure_ascii=False))
    else:
        _print(system, report, output)


def _object(system: System, report: Report, output: str | None) -> JsonObject:
    """`spec` is what the file holds."""
    from dataclasses import asdict

    from anyvlm.cli._words import place
    from anyvlm.spec import to_json

    before = None if report.before is None else {**asdict(report.before), "widths": list(report.before.widths)}
    return {
        "name": system.name,
        "base": report.base,
        "parts": [
            {
                "path": part.path, "kind": part.kind, "from": part.origin, "parameters": part.count,
                "weights": [place(source) for source in part.sources],
            }
            for part in report.parts
        ],
        "fresh": list(report.fresh),
        "first_stage": report.first,
        "stages": [{"name": stage.name, "train": list(stage.train)} for stage in report.stages],
        "before": before,
        "after": {**asdict(report.after), "widths": list(report.after.widths)},
        "template": report.template,
        "notes": list(report.notes),
        "file": output,
        "spec": to_json(system),
    }  # fmt: skip


def _print(system: System, report: Report, output: str | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from anyvlm.anatomy.remix import EXAMPLE
    from anyvlm.cli._words import by, short

    console = Console(highlight=False)
    console.print(Text(system.name, "bold"), "")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    for title in ("part", "from", "parameters"):
        table.add_column(title, justify="right" if title == "parameters" else "left", no_wrap=True)
    table.add_column("weights", overflow="fold")
    for part in report.parts:
        table.add_row(part.path, part.origin, short(part.count), Text(_weights(part), "" if part.sources else "magenta"))
    console.print(table, "")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="grey50", no_wrap=True)
    facts.add_column(overflow="fold")
    after, before = report.after, report.before
    into, link, out = after.widths
    was = "" if before is None or before.widths == after.widths else f" (before: {before.widths[0]} to {before.widths[2]})"
    facts.add_row("widths", f"{into} to {out}" + (f", through {link}" if link not in (into, out) else "") + was)
    was = "" if before is None or before.tokens == after.tokens else f" (before: {before.tokens})"
    facts.add_row("picture", f"{by(EXAMPLE)} becomes {after.tokens} tokens{was}")
    was = "" if before is None or before.context == after.context else f" (before: {before.context})"
    facts.add_row("context", f"{after.context} tokens{was}")
    facts.add_row("prompt", f"that of {report.template}")
    facts.add_row("fresh", f"{', '.join(report.fresh)}: stage '{report.first}' must train it first")
    facts.add_row("stages", "; ".join(f"{s.name}: {', '.join(s.train) or 'low-rank updates'}" for s in report.stages))
    for note in report.notes:
        facts.add_row("note", note)
    console.print(facts, "")
    where = f"Written to {output}; `anyvlm show {output}` describes it." if output else "Nothing is written; add -o FILE.json."
    console.print(Text(where))


def _weights(part: Part) -> str:
    from anyvlm.cli._words import place
    from anyvlm.weights.sources import Hub

    names = (source.repo if isinstance(source, Hub) else place(source) for source in part.sources)
    return ", ".join(names) or ("fresh" if part.count else "none needed")
