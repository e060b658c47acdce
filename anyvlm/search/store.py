"""The index on disk: a matrix that only grows, and a catalogue that says which of its rows count.

    vectors-<n>.f16    rows of `width` half-precision numbers of length 1; written behind the last one, never changed
    catalogue.sqlite   files by path, rows by the digest of the file's content, broken files, the model
    lock               held by the one process that writes

A row counts once the catalogue's transaction that names it is on disk, and the matrix is forced to disk before that. So a
process may be killed at any moment: what was committed stays, and bytes behind the last row are overwritten by the next.
Readers need no lock: rows they know of never change. A removed file's row stays, so that one that comes back is not embedded
again, until more than half of all rows are such; then the rows in use move to a new matrix, in one transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from anyvlm.errors import InputError
from anyvlm.weights.atomic import atomic_file

FORMAT = "1"
WAIT = 10.0  # seconds for another writer
CATALOGUE = "catalogue.sqlite"
_BLOCK = 65_536  # rows moved at a time

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE rows (row INTEGER PRIMARY KEY, digest TEXT UNIQUE NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE INDEX rows_size ON rows (size);
CREATE INDEX rows_unused ON rows (row) WHERE used = 0;
CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, digest TEXT NOT NULL);
CREATE INDEX files_digest ON files (digest);
CREATE TABLE broken (path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, reason TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Stamp:
    """What shows that a file has changed without reading it: its size in bytes and its time in nanoseconds."""

    size: int
    changed: int


@dataclass(frozen=True)
class Entry:
    """A file of the index: path below the indexed folder, stamp, digest (sha256) of its content."""

    path: str
    stamp: Stamp
    digest: str


@dataclass(frozen=True)
class Facts:
    """What an index is of: the folder, and the model that made its vectors.

    `model`: its name; `source`: what loads it, a name or a path; `weights`: digest of its files.
    """

    root: str
    model: str
    source: str
    weights: str
    width: int


class Store:
    """An open index. `create` and `open` make one; writing happens inside `writing()`."""

    def __init__(self, folder: Path, base: sqlite3.Connection) -> None:
        self.folder, self._base = folder, base
        self.facts = self._facts()

    @classmethod
    def create(cls, folder: Path, facts: Facts) -> Self:
        """A new, empty index; or the one that is there, if it is of the same folder and model. Raises InputError."""
        if (folder / CATALOGUE).is_file():
            store = cls.open(folder)
            store.must_be_of(facts.model, facts.weights, facts.width)
            if store.facts.root != facts.root:
                raise InputError(f"{folder} is an index of {store.facts.root}, not of {facts.root}; choose another --out.")
            return store
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                if not (folder / CATALOGUE).is_file():
                    with atomic_file(folder / CATALOGUE) as partial:  # whole or not there, wherever this is killed
                        _lay(partial, facts)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"The index {folder} cannot be written: {error}; choose another place with --out.") from None
        return cls.create(folder, facts)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The index in a folder. Raises InputError where there is none, or one of a format that is not known here."""
        if not (folder / CATALOGUE).is_file():
            raise InputError(f"There is no index at {folder}; `anyvlm index DIR` makes one.")
        try:
            base = sqlite3.connect(folder / CATALOGUE, timeout=30)
            return cls(folder, base)
        except (sqlite3.Error, KeyError) as error:
            raise InputError(f"The index at {folder} is damaged ({error}); delete it and run `anyvlm index` again.") from None

    def _facts(self) -> Facts:
        values = dict(self._base.execute("SELECT name, value FROM facts"))
        if values["format"] != FORMAT:
            raise InputError(f"The index at {self.folder} has format {values['format']}, not {FORMAT}; make it again.")
        return Facts(values["root"], values["model"], values["source"], values["weights"], int(values["width"]))

    def close(self) -> None:
        """Let go of the catalogue."""
        self._base.close()

    def must_be_of(self, model: str, weights: str, width: int) -> None:
        """Raises InputError, by name, unless the index was made by this model with these weights."""
        mine = self.facts
        if mine.model != model:
            raise InputError(
                f"The index at {self.folder} was made by {mine.model}, not by {model}; their vectors do not "
                f"compare. Search with --model {mine.source}, or index anew with --out."
            )
        if mine.weights != weights:
            raise InputError(
                f"The index at {self.folder} was made by {model} with other weights (sha256 {mine.weights[:12]}, here "
                f"{weights[:12]}); index anew with --out."
            )
        self.must_fit(width)

    def must_fit(self, width: int) -> None:
        """Raises InputError for vectors of another width."""
        if width != self.facts.width:
            raise InputError(f"Vectors of width {width} do not fit the index at {self.folder}, of width {self.facts.width}.")

    # Reading ----------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Rows, used or not."""
        found = self._base.execute("SELECT max(row) FROM rows").fetchone()[0]
        return 0 if found is None else int(found) + 1

    def snapshot(self) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """The matrix (rows, width), mapped from disk, and the numbers of its rows that no file uses."""
        with self._reading():
            rows, matrix = len(self), self.matrix
            unused = [row for (row,) in self._base.execute("SELECT row FROM rows WHERE used = 0 ORDER BY row")]
            if not rows:
                return np.empty((0, self.facts.width), np.float16), np.empty(0, np.int64)
            if not matrix.is_file() or matrix.stat().st_size < rows * self.facts.width * 2:
                raise InputError(f"{matrix} is missing or cut off; delete {self.folder} and run `anyvlm index` again.")
            # "c": copied where written, which nothing does; torch complains of arrays that cannot be
            return np.memmap(matrix, np.float16, "c", shape=(rows, self.facts.width)), np.array(unused, np.int64)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """All that is read inside is of one moment."""
        self._base.execute("BEGIN")
        try:
            yield
        finally:
            self._base.execute("ROLLBACK")

    def paths(self, row: int) -> list[str]:
        """The files with the content of a row, by name."""
        found = self._base.execute("SELECT path FROM files JOIN rows USING (digest) WHERE row = ? ORDER BY path", (row,))
        return [path for (path,) in found]

    def files(self) -> Iterator[Entry]:
        """Every file, by name."""
        for path, size, changed, digest in self._base.execute("SELECT path, size, changed, digest FROM files ORDER BY path"):
            yield Entry(path, Stamp(size, changed), digest)

    def stamps(self) -> dict[str, Stamp]:
        """Of every file that was looked at, broken ones too."""
        every = "SELECT path, size, changed FROM files UNION ALL SELECT path, size, changed FROM broken"
        return {path: Stamp(size, changed) for path, size, changed in self._base.execute(every)}

    def broken(self) -> dict[str, str]:
        """Files that could not be read -> why."""
        return dict(self._base.execute("SELECT path, reason FROM broken ORDER BY path"))

    def knows_size(self, size: int) -> bool:
        """Whether some row is of a file of this many bytes: if not, a file of that size is new without being read."""
        return self._base.execute("SELECT 1 FROM rows WHERE size = ? LIMIT 1", (size,)).fetchone() is not None

    def row(self, digest: str) -> int | None:
        """The row of a content."""
        found = self._base.execute("SELECT row FROM rows WHERE digest = ?", (digest,)).fetchone()
        return None if found is None else int(found[0])

    # Writing ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock. Raises InputError if another process writes, or the disk is full."""
        with _locked(self.folder):
            try:
                yield
            except (OSError, sqlite3.Error) as error:
                raise InputError(
                    f"The index at {self.folder} cannot be written: {error}. What was committed is safe; run it again."
                ) from None

    def add(
        self, entries: Sequence[Entry], vectors: Mapping[str, NDArray[np.float32]], broken: Mapping[str, tuple[Stamp, str]]
    ) -> None:
        """Files, the vectors of contents that have no row yet ({digest: (width,)}), and files that cannot be read.

        All or nothing, and on disk when this returns.
        """
        fresh = {digest: vector for digest, vector in vectors.items() if self.row(digest) is None}
        first = len(self)
        if fresh:
            block = np.stack(list(fresh.values()))
            self.must_fit(block.shape[1])
            if not np.isfinite(block).all():
                raise InputError(f"'{self.facts.model}' gave a vector that is not finite; try --dtype fp32.")
            _write(self.matrix, first * block.shape[1] * 2, block.astype(np.float16))
        sizes = {entry.digest: entry.stamp.size for entry in entries}
        with self._base:
            new = [(first + n, digest, sizes[digest]) for n, digest in enumerate(fresh)]
            self._base.executemany("INSERT INTO rows VALUES (?, ?, ?, 1)", new)
            self._base.executemany("DELETE FROM broken WHERE path = ?", [(entry.path,) for entry in entries])
            files = [(entry.path, entry.stamp.size, entry.stamp.changed, entry.digest) for entry in entries]
            self._base.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", files)
            bad = [(path, stamp.size, stamp.changed, reason) for path, (stamp, reason) in broken.items()]
            self._base.executemany("INSERT OR REPLACE INTO broken VALUES (?, ?, ?, ?)", bad)
            self._base.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in broken])

    def finish(self, removed: Iterable[str]) -> None:
        """Drop files that are gone, see which rows are still used, and make the matrix smaller if most are not."""
        gone = [(path,) for path in removed]
        with self._base:
            self._base.executemany("DELETE FROM files WHERE path = ?", gone)
            self._base.executemany("DELETE FROM broken WHERE path = ?", gone)
            now = "(digest IN (SELECT digest FROM files))"
            self._base.execute(f"UPDATE rows SET used = {now} WHERE used != {now}")
        unused = self._base.execute("SELECT count(*) FROM rows WHERE used = 0").fetchone()[0]
        if unused > len(self) / 2:
            self._shrink()
        for left in self.folder.glob("vectors-*"):
            if left.stem != self.matrix.stem:
                with suppress(OSError):  # a reader of another system may hold it
                    left.unlink()

    def _shrink(self) -> None:
        old = self.snapshot()[0]
        keep = [row for (row,) in self._base.execute("SELECT row FROM rows WHERE used = 1 ORDER BY row")]
        number = int(self.matrix.stem.split("-")[1]) + 1
        target = self.folder / f"vectors-{number}.f16"
        target.unlink(missing_ok=True)
        for start in range(0, len(keep), _BLOCK):
            _write(target, start * self.facts.width * 2, old[keep[start : start + _BLOCK]])
        with self._base:
            self._base.execute("DELETE FROM rows WHERE used = 0")
            # upwards, so that no number is taken twice
            self._base.executemany("UPDATE rows SET row = ? WHERE row = ?", [(n, row) for n, row in enumerate(keep)])
            self._base.execute("UPDATE facts SET value = ? WHERE name = 'matrix'", (str(number),))

    @property
    def matrix(self) -> Path:
        """The file of the vectors."""
        number = self._base.execute("SELECT value FROM facts WHERE name = 'matrix'").fetchone()[0]
        return self.folder / f"vectors-{number}.f16"


def _lay(file: Path, facts: Facts) -> None:
    """A catalogue without files."""
    base = sqlite3.connect(file)
    with base:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            base.execute(statement)
        values = {"format": FORMAT, "matrix": "0", "root": facts.root, "width": str(facts.width)}
        values |= {"model": facts.model, "source": facts.source, "weights": facts.weights}
        base.executemany("INSERT INTO facts VALUES (?, ?)", values.items())
    base.close()


def _write(file: Path, offset: int, block: NDArray[np.float16]) -> None:
    """Rows at a place in a file, forced to disk."""
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as out:
        out.seek(offset)
        out.write(np.ascontiguousarray(block).tobytes())
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / "lock", timeout=WAIT):
            yield
    except Timeout:
        raise InputError(f"Another process is writing to the index at {folder}; wait for it to end.") from None
