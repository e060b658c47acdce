"""`anyvlm paint`: a prompt in, pictures out, as PNG files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import Device, Dtype, Json, Model

if TYPE_CHECKING:
    from anyvlm.generate.answer import Answer

DEFAULT_PAINTER = "janus-pro-1b"
_PICTURE = "Picture"


def paint(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the picture shall show, in quotes.")],
    model: Model = DEFAULT_PAINTER,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="A PNG file; of several pictures the first is FILE-1.png.")
    ] = Path("painting.png"),
    json: Json = False,
    count: Annotated[int, typer.Option(metavar="N", help="How many pictures.", rich_help_panel=_PICTURE)] = 1,
    guidance: Annotated[
        float | None,
        typer.Option(
            metavar="W", help="How closely to follow the prompt, 1 is not at all closer; the authors' if not given.",
            rich_help_panel=_PICTURE,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="T", help="0 takes the likeliest codes; more is more varied; the authors' if not given.",
            rich_help_panel=_PICTURE,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="The same seed gives the same picture; drawn if not given.", rich_help_panel=_PICTURE),
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
) -> None:  # fmt: skip
    """Make pictures of what a prompt says.

    Example: anyvlm paint "a lighthouse at night" --model janus-pro-1b -o lighthouse.png
    """
    begin = time.perf_counter()
    import secrets

    from anyvlm.errors import InputError

    if not prompt.strip():
        raise InputError("The prompt is empty; say in quotes what the picture shall show.")
    if out.suffix.lower() != ".png" or out.is_dir():
        raise InputError(f"The pictures are PNG files, and '{out}' is no name of one; give --out a name that ends in .png.")

    from anyvlm.generate.model import load  # torch comes with it: a wrong name of a file is told sooner
    from anyvlm.generate.painting import painting_of
    from anyvlm.weights.load import find

    painting_of(find(model))  # what cannot paint is refused before weights are fetched
    seed = secrets.randbelow(2**31) if seed is None else seed
    loaded = load(model, device=device, dtype=dtype)
    load_time = time.perf_counter() - begin
    with _bar(quiet=json) as progress:
        answer = loaded.paint(
            prompt, count=count, guidance=guidance, temperature=temperature, seed=seed, progress=progress
        )
    names = _written(answer, out)
    print(_object(loaded.system.name, answer, names, seed, load_time) if json else "\n".join(names))


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[float], None]]:
    """A progress bar on an interactive stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        "painting", BarColumn(), TimeRemainingColumn(), console=console, transient=True,
        disable=quiet or not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("painting", total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _written(answer: Answer, out: Path) -> list[str]:
    """Write every picture whole; returns the names of the files."""
    from anyvlm.weights.atomic import atomic_file

    several = len(answer.images) > 1
    paths = [out.with_stem(f"{out.stem}-{n}") if several else out for n in range(1, len(answer.images) + 1)]
    for path, image in zip(paths, answer.images, strict=True):
        with atomic_file(path) as temporary:
            image.save(temporary, format="PNG")
    return [str(path) for path in paths]


def _object(model: str, answer: Answer, names: list[str], seed: int, load_time: float) -> str:
    """Picture n has the seed `seed` + n. Timings are seconds, as those of `ask`."""
    import json
    from dataclasses import asdict

    timings = {"load": load_time, **asdict(answer.timings)}
    out = {
        "images": names,
        "model": model,
        "seed": seed,
        "usage": asdict(answer.usage),
        "timings": {name: round(value, 4) for name, value in timings.items()},
    }
    return json.dumps(out, indent=2, ensure_ascii=False)
