"""Pictures with captions or labels, read from where people keep them: one stream of samples, whatever the container.

    shards-{00000..00041}.tar   webdataset (tars.py)          pairs.csv, pairs.tsv, pairs.parquet   tables (tables.py)
    a folder of folders         a class each (folders.py)     a folder of pictures and .txt files   captions beside them
    a folder of shards          all of them, by name

Nothing is decoded here, and torch is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anyvlm.errors import InputError


@dataclass(frozen=True)
class Pair:
    """A picture (its file, or the bytes of it) with what is said about it. `key`: the same for rows of the same picture.

    `labels`: numbers of its classes, several where several are true of it; None where the data set has no classes.
    """

    key: str
    image: Path | bytes
    captions: tuple[str, ...] = ()
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Columns:
    """Names of columns in a table; None looks for the usual ones."""

    image: str | None = None
    caption: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class PairSet:
    """A data set: iterate it as often as needed. `classes`: names by number; `templates`: sentences that come with it."""

    where: str
    classes: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    columns: Columns = Columns()

    def __iter__(self) -> Iterator[Pair]:
        from anyvlm.data import folders, tables, tars

        files = expand(self.where)
        for path in files:
            match kind(path):
                case "tar":
                    yield from tars.read(path)
                case "table":
                    yield from tables.read(path, self.columns, self.classes)
                case _:
                    yield from folders.read(path, self.classes)


def read_pairs(where: str | Path, columns: Columns | None = None) -> PairSet:
    """The data set at a path, or of shards "name-{000..123}.tar". Raises InputError, also while it is iterated."""
    from anyvlm.data import folders, tables, tars

    where, columns = str(where), columns or Columns()
    first = expand(where)[0]
    match kind(first):
        case "tar":
            return PairSet(where, tars.names(first.parent, "classnames.txt"), tars.templates(first.parent), columns)
        case "table":
            return PairSet(where, tables.classes([*expand(where)], columns), (), columns)
        case _:
            return PairSet(where, folders.classes(first), tars.templates(first), columns)


def expand(where: str) -> list[Path]:
    """The files that are read: the path itself, the shards of a folder of shards, or of a pattern with {000..123}."""
    if found := re.search(r"\{(\d+)\.\.(\d+)\}", where):
        first, last = found[1], found[2]
        if int(first) > int(last):
            raise InputError(f"'{where}' counts from {first} to {last}; the first must not be larger.")
        numbers = (str(n).zfill(len(first)) for n in range(int(first), int(last) + 1))
        return [path for n in numbers for path in expand(where[: found.start()] + n + where[found.end() :])]
    path = Path(where)
    if not path.exists():
        raise InputError(f"There is no data set at '{where}'; give a folder, a .tar, .csv, .tsv or .parquet file.")
    if path.is_dir():
        return sorted(shard for shard in path.iterdir() if kind(shard) == "tar") or [path]
    if kind(path) == "folder":
        raise InputError(f"'{where}' is not a data set that can be read: a folder, .tar, .csv, .tsv or .parquet.")
    return [path]


def kind(path: Path) -> str:
    """"tar", "table" or "folder"."""
    name = path.name.lower()
    if path.is_dir():
        return "folder"
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return "tar"
    return "table" if name.endswith((".csv", ".tsv", ".parquet")) else "folder"
