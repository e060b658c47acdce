"""Many pictures and texts -> points, of which those computed before an interruption are not computed again.

A journal beside the output holds every point as soon as it is there, by the digest of what it is of; a line cut off by a kill
is dropped. The output itself appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anyvlm.dual import DualSystem
from anyvlm.errors import InputError, WeightsError
from anyvlm.generate.dual import BATCH, DualModel
from anyvlm.inputs.decode import Item, decoded, workers_for
from anyvlm.spec import to_json
from anyvlm.weights.atomic import atomic_file

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """An item with its point (E), of length 1, the digest of what it is of, and how many tokens did not fit; or why not."""

    item: Item
    vector: Vector | None = None
    digest: str = ""
    cut: int = 0
    error: str = ""

    def json(self) -> dict[str, object]:
        """As a line of JSONL."""
        said: dict[str, object] = {self.item.kind: self.item.content}
        if self.vector is None:
            return said | {"error": self.error}
        said |= {"sha256": self.digest, "vector": [float(value) for value in self.vector]}
        return said | ({"cut": self.cut} if self.cut else {})


def embed_many(
    model: DualModel, items: Sequence[Item], *, batch: int = BATCH, workers: int | None = None, journal: Journal | None = None
) -> Iterator[Entry]:
    """Every item's entry, in order. Broken pictures and empty texts have an error and stop nothing.

    `workers`: processes that decode; None: as many as pay. `journal`: points known before, to which new ones are added.
    """
    count = sum(item.kind == "image" for item in items)
    for kind, run in groupby(items, key=lambda item: item.kind):
        some = _images if kind == "image" else _texts
        yield from some(model, list(run), batch, workers_for(count) if workers is None else workers, journal)


def _images(
    model: DualModel, items: list[Item], batch: int, workers: int, journal: Journal | None
) -> Iterator[Entry]:
    policy, known = model.image_policy, frozenset(journal.known) if journal else frozenset()
    stream = decoded((item.content for item in items), policy, workers=workers, known=known)
    for some in iter(lambda: list(islice(stream, batch)), []):
        arrays = [each.arrays[0] for each in some if each.arrays]
        points = iter(model.point_arrays(arrays).cpu().numpy() if arrays else ())
        for each in some:
            item = Item("image", each.path)
            if each.error:
                yield Entry(item, error=each.error)
            elif each.arrays:
                yield _noted(journal, Entry(item, next(points), each.digest))
            else:
                assert journal is not None
                yield Entry(item, journal.known[each.digest][0], each.digest)


def _texts(model: DualModel, items: list[Item], batch: int, workers: int, journal: Journal | None) -> Iterator[Entry]:
    known = journal.known if journal else {}
    for start in range(0, len(items), batch):
        some = [(item, f"text:{hashlib.sha256(item.content.encode()).hexdigest()}") for item in items[start : start + batch]]
        new = [item.content for item, digest in some if digest not in known and item.content.strip()]
        made = model.embed(texts=new, batch=batch) if new else None
        points = iter([] if made is None or made.texts is None else made.texts.cpu().numpy())
        cuts = iter(made.cut.get(n, 0) for n in range(len(new))) if made else iter(())
        for item, digest in some:
            if not item.content.strip():
                yield Entry(item, error="The text is empty.")
            elif digest in known and item.content not in new:
                yield Entry(item, known[digest][0], digest, known[digest][1])
            else:
                yield _noted(journal, Entry(item, next(points), digest, next(cuts)))


def _noted(journal: Journal | None, entry: Entry) -> Entry:
    if journal is not None:
        journal.add(entry)
    return entry


class Journal:
    """Points by digest in a file of lines, for one model and its preprocessing; another model's is refused."""

    def __init__(self, path: Path, system: DualSystem) -> None:
        self.path = path
        self.known: dict[str, tuple[Vector, int]] = {}
        self._head = {"model": system.name, "spec": hashlib.sha256(json.dumps(to_json(system)).encode()).hexdigest()}
        end = self._read() if path.is_file() else 0
        try:
            self._file = path.open("r+b" if end else "wb")
        except OSError as error:
            raise WeightsError(f"{path} cannot be written: {error.strerror}.") from None
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._write(self._head)

    def _read(self) -> int:
        """Where the last whole line ends."""
        end = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    data = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    data = None
                if not isinstance(data, dict):
                    break
                if end == 0:
                    if data != self._head:
                        raise InputError(
                            f"{self.path} holds what {data.get('model', 'something else')} computed; delete it to begin anew."
                        )
                else:
                    self.known[data["sha256"]] = np.array(data["vector"], np.float32), data["cut"]
                end += len(line)
        return end

    def add(self, entry: Entry) -> None:
        """Keep a point."""
        assert entry.vector is not None
        self.known[entry.digest] = entry.vector, entry.cut
        self._write({"sha256": entry.digest, "vector": [float(value) for value in entry.vector], "cut": entry.cut})

    def _write(self, data: dict[str, object] | dict[str, str]) -> None:
        self._file.write(json.dumps(data).encode() + b"\n")
        self._file.flush()

    def close(self, *, done: bool) -> None:
        """Stop; the file goes when its output is there."""
        self._file.close()
        if done:
            os.unlink(self.path)


def write_points(path: Path, entries: Sequence[Entry]) -> None:
    """``.jsonl``: a line for every item; ``.npy``: a row (E) for every item in order, not-a-numbers for a broken one, and
    beside it ``<name>.jsonl``, which says what each row is.
    """
    if path.suffix == ".jsonl":
        with atomic_file(path) as part:
            part.write_text("".join(json.dumps(entry.json(), ensure_ascii=False) + "\n" for entry in entries), encoding="utf-8")
        return
    width = next((len(entry.vector) for entry in entries if entry.vector is not None), 0)
    rows = [np.full(width, np.nan, np.float32) if entry.vector is None else entry.vector for entry in entries]
    said = ({key: value for key, value in entry.json().items() if key != "vector"} for entry in entries)
    with atomic_file(path) as part, part.open("wb") as file:
        np.save(file, np.stack(rows) if rows else np.zeros((0, 0), np.float32))
    with atomic_file(path.with_suffix(".npy.jsonl")) as part:
        part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in said), encoding="utf-8")
