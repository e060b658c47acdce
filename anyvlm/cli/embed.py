"""`anyvlm embed`: pictures, texts and sounds in, vectors out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import DEFAULT_TOWERS, Device, Dtype, Model

if TYPE_CHECKING:
    from anyvlm.generate.dual import DualModel
    from anyvlm.generate.embed import Entry
    from anyvlm.inputs.decode import Item

_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def embed(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE|TEXT|AUDIO]...",
            help="Pictures and sounds (files, or names that end like one) and texts, in any order.",
        ),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(metavar="FILE", help='Lines {"image": "a.png"}, {"text": "a cat"}, {"audio": "a.wav"}; - reads stdin.'),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help=".jsonl, .parquet, .npy (rows named in FILE.jsonl); else stdout."),
    ] = None,
    model: Model = DEFAULT_TOWERS,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Computed together.")] = 32,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Processes that decode pictures; as many as pay if not given.")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    """Turn pictures, texts and sounds into vectors of length 1, whose product says how alike they are.

    A broken picture has an error in its line and stops nothing. With --out an interrupted run goes on where it was.

    Example: anyvlm embed photos/*.jpg "a cat on a sofa" -o points.npy
    """
    from anyvlm.errors import InputError

    items = [*map(_item, words or ()), *(_read(jsonl) if jsonl else ())]
    if not items:
        raise InputError("There is nothing to embed; give pictures or texts, or lines with --jsonl.")
    if out is not None and out.suffix not in (".npy", ".jsonl", ".parquet"):
        raise InputError(f"'{out}' must end in .npy, .jsonl or .parquet, which says how it is written.")
    if out is not None and not out.parent.is_dir():
        raise InputError(f"There is no directory '{out.parent}'; make it first.")

    from anyvlm.generate.dual import load
    from anyvlm.generate.embed import check_parquet

    if out is not None and out.suffix == ".parquet":
        check_parquet()

    entries = _entries(load(model, device=device, dtype=dtype), items, out, batch, workers)
    broken = [entry for entry in entries if entry.error]
    for entry in broken:
        print(f"anyvlm: {entry.error}", file=sys.stderr)
    if len(broken) == len(entries):
        raise InputError("Nothing could be embedded; see the lines above.")


def _entries(loaded: DualModel, items: list[Item], out: Path | None, batch: int, workers: int | None) -> list[Entry]:
    """All entries, printed or written."""
    import json

    from rich.console import Console
    from rich.progress import Progress

    from anyvlm.generate.embed import Journal, embed_many, write_points

    journal = None if out is None else Journal(out.with_name(f".{out.name}.part"), loaded.system)
    entries, console = [], Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(loaded.system.name, total=len(items))
        for entry in embed_many(loaded, items, batch=batch, workers=workers, journal=journal):
            progress.advance(task)
            if out is None:
                typer.echo(json.dumps(entry.json(), ensure_ascii=False))
            entries.append(entry)
    if out is not None and journal is not None:
        write_points(out, entries)
        journal.close(done=True)
    return entries


def _item(word: str) -> Item:
    from anyvlm.inputs.decode import Item
    from anyvlm.inputs.sound import SUFFIXES

    path = Path(word)
    if path.suffix.lower() in SUFFIXES:
        return Item("audio", word)
    return Item("image" if path.suffix.lower() in _PICTURES or _is_file(path) else "text", word)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text may be too long for a name
        return False


def _read(name: str) -> list[Item]:
    import json

    from anyvlm.errors import InputError
    from anyvlm.inputs.decode import Item

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"'{name}' cannot be read as lines of JSON.") from None
    items = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except ValueError:
            data = None
        match list(data.items()) if isinstance(data, dict) else None:
            case [(str(kind), str(content))]:
                items.append(Item(kind, content))
            case _:
                raise InputError(f'Line {number} of {name} is not of the form {{"image": "cat.png"}} or {{"text": "a cat"}}.')
    return items
