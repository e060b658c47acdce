"""`anyvlm evaluate`: how well a model classifies or retrieves the pictures of a data set, without having seen it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import DEFAULT_TOWERS, Device, Dtype, Json, Model

if TYPE_CHECKING:
    from anyvlm.data.pairs import PairSet


def evaluate(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder, shards (x-{000..123}.tar), .csv, .tsv or .parquet.")],
    model: Model = DEFAULT_TOWERS,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="classify or retrieve; what the data allow if not given.")
    ] = None,
    templates: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="imagenet, or a file of sentences with {}; those of the data if not given."),
    ] = None,
    image: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of a table that holds pictures.")] = None,
    caption: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that holds captions.")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that holds labels.")] = None,
    device: Device = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Measure zero-shot classification or retrieval, with 95 % intervals.

    Example: anyvlm evaluate pictures --task classify --templates imagenet
    """
    from anyvlm.data.pairs import Columns, read_pairs
    from anyvlm.errors import InputError
    from anyvlm.evaluate import pairs

    if task not in (None, "classify", "retrieve"):
        raise InputError(f"There is no task '{task}'; it is classify or retrieve.")
    found = read_pairs(data, Columns(image, caption, label))
    wanted = task or pairs.task_of(found)
    around = _templates(templates, found) if wanted == "classify" else ()

    from anyvlm.search.embedder import load_towers

    embedder = load_towers(model, device=device, dtype=dtype)
    scores = pairs.classify(embedder, found, around) if wanted == "classify" else pairs.retrieve(embedder, found)
    if json:
        import json as writer

        typer.echo(writer.dumps({"data": data, "model": embedder.name, **asdict(scores)}, indent=2, ensure_ascii=False))
        return
    for key, reason in scores.broken.items():
        typer.echo(f"left out: {key}: {reason}", err=True)
    for name, one in scores.metrics.items():
        typer.echo(f"{name:26} {one.value:7.2%}  ({one.low:.2%} to {one.high:.2%})")
    typer.echo(f"{scores.count} pictures, {embedder.name}")


def _templates(asked: str | None, data: PairSet) -> tuple[str, ...]:
    import os

    from anyvlm.errors import InputError
    from anyvlm.inputs.prompts import IMAGENET

    if asked is None:
        return data.templates or ("a photo of a {}.",)
    if asked == "imagenet":
        return IMAGENET
    if not os.path.isfile(asked):
        raise InputError(f"There are no templates '{asked}'; give imagenet, or a file with one sentence a line.")
    with open(asked, encoding="utf-8") as file:
        return tuple(line.strip().replace("{c}", "{}") for line in file if line.strip())
