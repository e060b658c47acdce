"""`anyvlm classify`: pictures and labels in, the probability of every label out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import DEFAULT_TOWERS, Device, Dtype, Json, Model

if TYPE_CHECKING:
    from PIL import Image

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
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1|MASK",
            help="Look at this part of the picture, in pixels, or at what is not black in a mask; once, or once for every "
            "picture. For systems that see regions (Alpha-CLIP).",
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
    pictures = tuple(picture(image, remote=False) for image in images)
    masks = [_mask(one, image) for one, image in zip(_each(region, len(images)), pictures, strict=True)] if region else []

    from anyvlm.generate.dual import load  # torch comes with it: a missing picture is told sooner

    loaded = load(model, device=device, dtype=dtype)
    loaded.check_labels(names)
    if masks:
        from anyvlm.generate.regions import point_regions

        found = loaded.classify_points(point_regions(loaded, pictures, masks), names, templates=around)
    else:
        found = loaded.classify(pictures, names, templates=around)
    if json:
        import json as writer

        typer.echo(writer.dumps(_object(loaded.system.name, images, found), indent=2, ensure_ascii=False))
    else:
        _print(images, found)


def _each(regions: list[str], pictures: int) -> list[str]:
    from anyvlm.errors import InputError

    if len(regions) not in (1, pictures):
        raise InputError(f"There are {len(regions)} regions for {pictures} pictures; give one, or one for every picture.")
    return regions * pictures if len(regions) == 1 else regions


def _mask(region: str, image: Image.Image) -> Image.Image:
    """White where to look, of the picture's size."""
    from PIL import Image, ImageDraw

    from anyvlm.cli._pictures import picture
    from anyvlm.errors import InputError

    if Path(region).is_file():
        return picture(region, remote=False)
    try:
        x0, y0, x1, y1 = map(float, region.split(","))
    except ValueError:
        raise InputError(f"'{region}' is no region; give X0,Y0,X1,Y1 in pixels, or the file of a mask.") from None
    if not (0 <= x0 < x1 <= image.width and 0 <= y0 < y1 <= image.height):
        raise InputError(f"The region {region} does not lie in a picture of {image.width} x {image.height}.")
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rectangle((x0, y0, x1 - 1, y1 - 1), fill=255)
    return mask


def _lines(path: str) -> list[str]:
    from anyvlm.errors import InputError

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"'{path}' cannot be read as text; give a file with one entry on each line.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _object(model: str, images: list[str], found: Classes) -> dict[str, object]:
    """`cut`: of labels whose sentence did not fit, how many tokens were given up."""
    rows: list[dict[str, object]] = [
        {"image": image, "best": best, "probabilities": dict(zip(found.labels, map(_short, row), strict=True))}
        for image, best, row in zip(images, found.best, found.probability.tolist(), strict=True)
    ]
    if found.unsure is not None:
        rows = [row | {"uncertainty": _short(value)} for row, value in zip(rows, found.unsure.tolist(), strict=True)]
    return {"model": model, "pictures": rows, "cut": {found.labels[n]: lost for n, lost in found.cut.items()}}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _print(images: list[str], found: Classes) -> None:
    width = max(map(len, found.labels))
    unsure = [""] * len(images) if found.unsure is None else [f"uncertainty {value:.4g}" for value in found.unsure.tolist()]
    for image, row, how in zip(images, found.probability.tolist(), unsure, strict=True):
        if len(images) > 1:
            typer.echo(image)
        if how:
            typer.echo(how)
        for value, label in sorted(zip(row, found.labels, strict=True), reverse=True):
            typer.echo(f"{label:<{width}}  {100 * value:5.1f} %  {'█' * round(_BARS * value)}".rstrip())
    for n, lost in found.cut.items():
        typer.echo(f"note: '{found.labels[n]}' is too long for the model; its last {lost} tokens were not read", err=True)
