"""What a model says about the photographs inside two wheels: an honest look, not a score, and nothing was tuned to them.

    pip install scikit-image && pip install --no-deps gradio
    python benchmarks/photos.py                    # anyvlm-pocket; --model takes any name or path
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import anyvlm
from anyvlm.errors import InputError
from anyvlm.generate.model import Model

PHOTOGRAPHS = {
    "skimage/data/astronaut.png": "a woman in a space suit",
    "skimage/data/chelsea.png": "a cat's face",
    "skimage/data/coffee.png": "a cup of coffee with a spoon",
    "skimage/data/coins.png": "old coins in rows, grey",
    "skimage/data/hubble_deep_field.jpg": "galaxies",
    "skimage/data/horse.png": "a horse in black on white",
    "skimage/data/moon.png": "the surface of the moon, grey",
    "skimage/data/motorcycle_left.png": "a motorcycle in a garage",
    "skimage/data/rocket.jpg": "a rocket lifting off",
    "skimage/data/clock_motion.png": "a clock, blurred",
    "gradio/media_assets/images/cheetah1.jpg": "a cheetah",
    "gradio/media_assets/images/lion.jpg": "a lion",
    "gradio/media_assets/images/tower.jpg": "the Eiffel tower",
}


def main(model: Annotated[str, typer.Option(help="a name or a path")] = "anyvlm-pocket") -> None:
    """Print one line per photograph: its name, what it shows, what the model says."""
    loaded = anyvlm.load(model)
    if not isinstance(loaded, Model):
        raise InputError(f"'{model}' is an encoder alone; name a system that answers.")
    table = Table("photograph", "shows", "“What is in the picture?”")
    for file, shows in PHOTOGRAPHS.items():
        package, _, inside = file.partition("/")
        found = find_spec(package)
        if found is None or found.origin is None:
            raise SystemExit(f"{package} is not installed; the top of this script says how to get it.")
        picture = Path(found.origin).parent / inside
        table.add_row(picture.name, shows, loaded.ask(picture, "What is in the picture?", max_tokens=32).text)
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
