"""Score anyvlm-pocket-embed on what its recipe never showed it: icons of an unseen drawing style, and ten photographs.

    pip install scikit-image scikit-learn && pip install --no-deps gradio
    python benchmarks/pocket_embed.py              # prints two tables, --json for the numbers

Retrieval: 1,531 icons and their 1,531 names, both directions. Photographs: zero-shot among ten labels, of which each is right
once; nothing was tuned to them. Needs the extra `train`. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

import anyvlm
from anyvlm.data.held_out import naming
from anyvlm.data.icons import HELD_OUT, open_atlas
from anyvlm.data.score import wilson
from anyvlm.errors import InputError
from anyvlm.generate.dual import DualModel
from anyvlm.train.pocket_embed import report

PHOTOGRAPHS = {
    "skimage/data/astronaut.png": "astronaut",
    "skimage/data/chelsea.png": "cat",
    "skimage/data/coffee.png": "cup of coffee",
    "skimage/data/horse.png": "horse",
    "skimage/data/motorcycle_left.png": "motorcycle",
    "skimage/data/rocket.jpg": "rocket",
    "sklearn/datasets/images/flower.jpg": "flower",
    "gradio/media_assets/images/cheetah1.jpg": "cheetah",
    "gradio/media_assets/images/lion.jpg": "lion",
    "gradio/media_assets/images/tower.jpg": "tower",
}


def main(
    model: Annotated[str, typer.Option(help="a name or a path of a system of towers")] = "anyvlm-pocket-embed",
    limit: Annotated[int | None, typer.Option(help="only so many icons, among as many names")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="write the numbers here")] = None,
) -> None:
    """Print recall and what each photograph is taken for."""
    loaded = anyvlm.load(model)
    if not isinstance(loaded, DualModel):
        raise InputError(f"'{model}' does not compare pictures and texts; name a system of towers.")
    items = list(naming())[:limit]
    names = [thing.text for thing in open_atlas((HELD_OUT,)).names[:limit]]
    points = loaded.embed([Image.fromarray(item.image) for item in items], names)
    assert points.images is not None and points.texts is not None
    found = report(points.images @ points.texts.T, torch.arange(len(items)))
    table = Table(f"style {HELD_OUT}, {len(items)} names", "recall", "95 % interval")
    for name, (share, low, high) in found.items():
        table.add_row(name, f"{share:.1%}", f"{low:.1%} to {high:.1%}")
    Console().print(table)

    classes = loaded.classify([where(file) for file in PHOTOGRAPHS], tuple(PHOTOGRAPHS.values()))
    right = [best == truth for best, truth in zip(classes.best, PHOTOGRAPHS.values(), strict=True)]
    low, high = wilson(sum(right), len(right))
    table = Table("photograph", "shows", "taken for", title=f"{sum(right)} of {len(right)} right ({low:.0%} to {high:.0%})")
    for file, truth, best in zip(PHOTOGRAPHS, PHOTOGRAPHS.values(), classes.best, strict=True):
        table.add_row(Path(file).name, truth, best)
    Console().print(table)
    if as_json:
        photographs = {"right": sum(right), "items": len(right), "best": dict(zip(PHOTOGRAPHS, classes.best, strict=True))}
        as_json.write_text(json.dumps({"retrieval": found, "photographs": photographs}, indent=1) + "\n")


def where(file: str) -> Path:
    """The path of a photograph inside an installed package."""
    package, _, inside = file.partition("/")
    found = find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"{package} is not installed; the top of this script says how to get it.")
    return Path(found.origin).parent / inside


if __name__ == "__main__":
    typer.run(main)
