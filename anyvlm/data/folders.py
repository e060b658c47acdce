"""Pictures in folders: a folder for each class, or captions beside the pictures (cat.jpg, cat.txt)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from anyvlm.data.pairs import Pair
from anyvlm.errors import InputError

SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"])
CAPTIONS = (".txt", ".caption")


def classes(folder: Path) -> tuple[str, ...]:
    """The names of the folders that hold pictures, "_" read as a space; () where captions stand beside the pictures."""
    if any(path.with_suffix(ending).is_file() for path in _pictures(folder) for ending in CAPTIONS):
        return ()
    return tuple(path.name.replace("_", " ") for path in _folders(folder))


def read(folder: Path, names: Sequence[str]) -> Iterator[Pair]:
    """Every picture by name. Raises InputError if there is none."""
    numbers = {path: n for n, path in enumerate(_folders(folder))} if names else {}
    empty = True
    for path in _pictures(folder):
        empty = False
        key = path.relative_to(folder)
        if names:
            if len(key.parts) > 1:  # a picture beside the folders has no class
                yield Pair(str(key), path, (), (numbers[folder / key.parts[0]],))
            continue
        beside = next((file for ending in CAPTIONS if (file := path.with_suffix(ending)).is_file()), None)
        said = beside.read_text(encoding="utf-8", errors="replace") if beside else ""
        yield Pair(str(key), path, tuple(line.strip() for line in said.splitlines() if line.strip()))
    if empty:
        raise InputError(f"There are no pictures in '{folder}'.")


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and next(_pictures(path), None))


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file())
