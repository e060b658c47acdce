"""The layout of one prompt, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anyvlm.anatomy.layout import Fold, Run, folded, outlined, planned
from anyvlm.cli._words import by

if TYPE_CHECKING:
    from anyvlm.anatomy.tokens import Cost
    from anyvlm.inputs.messages import Message
    from anyvlm.inputs.plan import Plan
    from anyvlm.inputs.tokenizer import Tokenizer
    from anyvlm.system import System

_QUIET = "grey50"
_STYLES = {"text": "", "control": "cyan", "rows": "magenta", "memory": "magenta"}


def lay(
    system: System, costs: Sequence[Cost], messages: Sequence[Message], plan: Plan | None, tokenizer: Tokenizer | None, *,
    json: bool,
) -> None:  # fmt: skip
    """Print what stands where. Without a tokenizer text has no numbers, and places behind it have none."""
    runs = outlined(system, messages, costs) if plan is None or tokenizer is None else planned(plan, tokenizer)
    if json:
        import json as writer

        layout = [
            {"what": run.what, "tokens": run.tokens, "text": run.text or None, "grid": run.grid, "index": run.index}
            for run in runs
        ]
        out = {"model": system.name, "context": system.lm.context, "layout": layout}
        typer.echo(writer.dumps(out, indent=2, ensure_ascii=False))
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    table.add_column("from", justify="right", style=_QUIET, no_wrap=True)
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("", overflow="fold")
    at: int | None = 0
    for fold in folded(runs):
        table.add_row("" if at is None else str(at), _count(fold), _what(fold), _said(fold))
        at = None if at is None or fold.tokens is None else at + fold.tokens
    end = "text is not counted, as the tokenizer is not in the cache" if at is None else f"{at} tokens"
    console = Console(highlight=False)
    console.print(table)
    console.print()
    console.print(Text(f"{end[0].upper()}{end[1:]}; {system.name} holds {system.lm.context}.", _QUIET))


def _count(fold: Fold) -> str:
    return "?" if fold.tokens is None else "" if fold.runs[0].what == "memory" else str(fold.tokens)


def _what(fold: Fold) -> Text:
    kinds = list(dict.fromkeys(run.what for run in fold.runs))
    return Text(", ").join(Text(kind, _STYLES[kind]) for kind in kinds)


def _said(fold: Fold) -> Text:
    inner = Text(" ").join(_one(run) for run in fold.runs)
    return inner if fold.times == 1 else Text.assemble((f"{fold.times} × ", "bold"), inner)


def _one(run: Run) -> Text:
    if run.grid is not None:
        number = "" if run.index is None else f" of picture {run.index + 1}"
        grid = run.grid if run.grid[0] > 1 else run.grid[1:]
        beside = " in a memory beside the prompt" if run.what == "memory" else ""
        return Text(f"{by(grid)} rows{number}{beside}", _STYLES[run.what])
    return Text(run.text.replace("\n", "↵"), _STYLES[run.what])
