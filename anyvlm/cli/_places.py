"""Boxes, points and masks of an answer, for people, as JSON and as a picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from anyvlm.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from anyvlm.generate.answer import Answer
    from anyvlm.inputs.regions import Mask

_FORMATS = (".png", ".jpg", ".jpeg", ".webp")


def drawing(path: str, pictures: int) -> Path:
    """The file of `--draw`, refused before anything is computed where it cannot be one."""
    if not pictures:
        raise InputError("--draw needs a picture to draw on; give one before the question.")
    if (file := Path(path).expanduser()).suffix.lower() not in _FORMATS:
        raise InputError(f"--draw {path}: the name must end in {', '.join(_FORMATS)}.")
    return file


def drawn(answer: Answer, image: Image.Image, file: Path) -> None:
    """Write the first picture with what was found in it, whole or not at all."""
    from anyvlm.generate.draw import draw
    from anyvlm.weights.atomic import atomic_file

    with atomic_file(file) as target:
        draw(image, answer.boxes, answer.points, answer.masks).save(target)


def lines(answer: Answer) -> list[str]:
    """One for every place, in pixels."""
    boxes = [f"{box.label or 'box'}: {_numbers(box.xyxy)}" for box in answer.boxes]
    points = [f"{point.label or 'point'}: {_numbers(point.xy)}" for point in answer.points]
    return [*boxes, *points, *map(_mask_line, answer.masks)]


def as_json(answer: Answer) -> dict[str, object]:
    """Boxes as left, top, right, bottom; masks as COCO's uncompressed RLE, or null where their decoder is not loaded."""
    return {
        "boxes": [asdict(box) for box in answer.boxes],
        "points": [asdict(point) for point in answer.points],
        "masks": [_mask_json(mask) for mask in answer.masks],
    }


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _mask_line(mask: Mask) -> str:
    size = "in code; --masks vae-oid.npz decodes it" if mask.grid is None else f"{int(mask.pixels.sum())} pixels"
    return f"mask of {mask.label or 'box'}: {size}"


def _mask_json(mask: Mask) -> dict[str, object]:
    out: dict[str, object] = {"label": mask.label, "xyxy": mask.xyxy, "ids": mask.ids, "area": None, "rle": None}
    if mask.grid is not None:
        out |= {"area": int(mask.pixels.sum()), "rle": {"size": mask.pixels.shape, "counts": mask.runs()}}
    return out
