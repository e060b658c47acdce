"""`anyvlm estimate`: whether training or answering fits into a device's memory, and what to change if not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from anyvlm.anatomy.estimate import Verdict
    from anyvlm.anatomy.memory import Load
    from anyvlm.match import AnySystem
    from anyvlm.spec import Json as JsonObject

_LENGTH = 2048  # tokens, where nobody says


def estimate(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name from `anyvlm list`, a model's directory or file.")],
    gpu: Annotated[str, typer.Option("--gpu", metavar="SIZE|NAME", help="24GB, 80GiB, rtx4090, h100 ...; cpu for none.")],
    stage: Annotated[str, typer.Option(metavar="NAME", help="A stage of its recipe, or inference.")] = "inference",
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Samples at a time on this device.")] = 1,
    length: Annotated[
        int | None,
        typer.Option("--length", "--context", metavar="N", min=2, help="Tokens of a sample, pictures and answer included."),
    ] = None,
    images: Annotated[int, typer.Option(metavar="N", min=0, help="Pictures of a sample, 1024 x 768 each.")] = 1,
    dtype: Annotated[str, typer.Option(metavar="NAME", help="bf16, fp16, fp32; int8 or int4 to answer.")] = "bf16",
    lora: Annotated[
        int | None, typer.Option(metavar="R", help="Low-rank updates of this rank instead of the language model's weights.")
    ] = None,
    json: Json = False,
) -> None:
    """Say whether it fits into a device's memory.

    Counted by running the system's modules without data. Nothing is downloaded.

    Example: anyvlm estimate llava-1.5-7b --gpu 24GB --stage tune --batch 8 --length 2048
    """
    from anyvlm.anatomy.estimate import ANSWERING, capacity_of
    from anyvlm.anatomy.estimate import estimate as judged
    from anyvlm.anatomy.memory import BYTES, Load
    from anyvlm.errors import InputError
    from anyvlm.system import System
    from anyvlm.weights.load import find

    if dtype not in BYTES:
        raise InputError(f"The dtype '{dtype}' is not known; use {', '.join(BYTES)}.")
    capacity, found = capacity_of(gpu), find(name)
    longest = found.lm.context if isinstance(found, System) else _LENGTH
    named = [] if stage == ANSWERING else [each.context for each in getattr(found, "stages", ()) if each.name == stage]
    tokens = length or next((context for context in named if context), min(_LENGTH, longest))
    if tokens > longest:
        raise InputError(f"'{found.name}' holds {longest} tokens and not {tokens}; set --length to {longest} or less.")
    pictures = images if not isinstance(found, System) or found.streams else 0
    load = Load(
        batch=batch, length=tokens, pictures=pictures, dtype=dtype, device="cpu" if gpu.lower() == "cpu" else "cuda"
    )
    verdict = judged(found, capacity, load, stage=stage, lora=lora)
    if json:
        import json as writer

        typer.echo(writer.dumps(_object(found, verdict), indent=2, ensure_ascii=False))
    else:
        _print(found, verdict, gpu, lora)


def _object(system: AnySystem, verdict: Verdict) -> JsonObject:
    """Sizes in bytes. `device`: the smallest one by name that holds it, or null."""
    from dataclasses import asdict

    from anyvlm.anatomy.estimate import smallest

    memory = verdict.memory
    return {
        "name": system.name,
        "stage": verdict.stage,
        "fits": verdict.fits,
        "total": memory.total,
        "capacity": verdict.capacity,
        "memory": asdict(memory),
        "load": {**asdict(verdict.load), "size": list(verdict.load.size)},
        "changes": [asdict(change) for change in verdict.changes],
        "device": smallest(memory),
    }


def _print(system: AnySystem, verdict: Verdict, gpu: str, lora: int | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from anyvlm.anatomy.estimate import smallest

    console, memory = Console(highlight=False), verdict.memory
    ok = "fits into" if verdict.fits else "does not fit into"
    console.print(Text(f"{system.name}, {_what(verdict.stage, verdict.load, system, lora)}, {ok} {gpu}.", "bold"), "")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="cyan")
    table.add_column(no_wrap=True, style="grey50")
    parts = {
        "weights": memory.weights, "gradients": memory.gradients, "optimiser": memory.optimiser,
        "activations": memory.activations, "logits": memory.logits, "cache": memory.cache, "framework": memory.framework,
    }  # fmt: skip
    for part, size in parts.items():
        if size:
            table.add_row(part, _gigabytes(size), "█" * round(30 * size / max(memory.total, verdict.capacity)))
    table.add_row("together", _gigabytes(memory.total), _moment(memory.when), style="bold")
    table.add_row("of", _gigabytes(verdict.capacity), "")
    console.print(table, "")
    for change in verdict.changes:
        console.print(Text(f"{change.options}: {change.what}, {_gigabytes(change.total)}"))
    if not verdict.fits:
        if not verdict.changes:
            console.print("Nothing that anyvlm can change makes it fit there.")
        found = smallest(memory)
        console.print(f"As it is, it fits into {found}." if found else "As it is, no single device in the table holds it.")


def _what(stage: str, load: Load, system: AnySystem, lora: int | None) -> str:
    from anyvlm.system import System

    words = "answering" if stage == "inference" else f"stage {stage}"
    tokens = f" of {load.length} tokens" if isinstance(system, System) else ""
    many = f"{load.batch} sample{'s' * (load.batch > 1)}{tokens}"
    return f"{words} with {many} in {load.dtype}" + (f", low-rank updates of rank {lora}" if lora else "")


def _moment(when: str) -> str:
    return {
        "backward": "most on the way back", "update": "most while weights are updated",
        "answer": "most while the prompt is read",
    }[when]  # fmt: skip


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
