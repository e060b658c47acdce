"""`anyvlm classify`: pictures and labels in, the probability of every label out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import DEFAULT_TOWERS, Device, Dtype, Json, Model

if TYPE_CHECKING:
    from anyvlm.generate.dual import Classes

_BARS = 20  # cells of a probability of 1


def classify(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures (files; - reads one from stdin).")],
    labels: Annotated[
        str, typer.Option("--labels", "-l", metavar="A,B,C|FILE", help="Labels, or a file with one on each line.")
    ],
    templates: Annotated[
        str | None,
        typer.Option(
            metavar="imagenet|FILE",
            help="Sentences with {} for the label, whose vectors are averaged: OpenAI's eighty, or one on each line of a file. "
            "The model's own sentence if not given.",
        ),
    ] = None,
    model: Model = DEFAULT_TOWERS,
    json: Json = False,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    """Say which of these labels pictures have.

    Example: anyvlm classify cat.png --labels cat,dog,"red sofa"
    """
    from anyvlm.cli._pictures import picture
    from anyvlm.errors import InputError
    from anyvlm.inputs.prompts import IMAGENET

    names = _lines(labels) if Path(labels).is_file() else [label.strip() for label in labels.split(",") if label.strip()]
    if not names:
        raise InputError("There are no labels; give them as --labels cat,dog.")
    around = None if templates is None else IMAGENET if templates == "imagenet" else _lines(templates)
    pictures = [picture(image, remote=False) for image in images]

    from anyvlm.generate.dual import load  # torch comes with it: a missing picture is told sooner

    loaded = load(model, device=device, dtype=dtype)
    loaded.check_labels(names)
    found = loaded.classify(pictures, names, templates=around)
    if json:
        import json as writer

        typer.echo(writer.dumps(_object(loaded.system.name, images, found), indent=2, ensure_ascii=False))
    else:
        _print(images, found)


def _lines(path: str) -> list[str]:
    from anyvlm.errors import InputError

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"'{path}' cannot be read as text; give a file with one entry on each line.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _object(model: str, images: list[str], found: Classes) -> dict[str, object]:
    """`cut`: of labels whose sentence did not fit, how many tokens were given up."""
    rows = [
        {"image": image, "best": best, "probabilities": dict(zip(found.labels, map(_short, row), strict=True))}
        for image, best, row in zip(images, found.best, found.probability.tolist(), strict=True)
    ]
    return {"model": model, "pictures": rows, "cut": {found.labels[n]: lost for n, lost in found.cut.items()}}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _print(images: list[str], found: Classes) -> None:
    width = max(map(len, found.labels))
    for image, row in zip(images, found.probability.tolist(), strict=True):
        if len(images) > 1:
            typer.echo(image)
        for value, label in sorted(zip(row, found.labels, strict=True), reverse=True):
            typer.echo(f"{label:<{width}}  {100 * value:5.1f} %  {'█' * round(_BARS * value)}".rstrip())
    for n, lost in found.cut.items():
        typer.echo(f"note: '{found.labels[n]}' is too long for the model; its last {lost} tokens were not read", err=True)
