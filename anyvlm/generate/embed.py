"""Many pictures and texts -> points, of which those computed before an interruption are not computed again.

A journal beside the output holds every point as soon as it is there, by the digest of what it is of; a line cut off by a kill
is dropped. The output itself appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anyvlm.contrasts import uncertainty
from anyvlm.dual import DualSystem, SignalTower
from anyvlm.errors import InputError, WeightsError
from anyvlm.generate.dual import BATCH, DualModel
from anyvlm.generate.signals import point_signals
from anyvlm.inputs.decode import Item, decoded, workers_for
from anyvlm.inputs.signal import Array, Mel
from anyvlm.inputs.sound import read_sound
from anyvlm.spec import to_json
from anyvlm.weights.atomic import atomic_file

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """An item with its point (E), of length 1, the digest of what it is of, and how many tokens did not fit; or why not.

    `unsure`: the sum of its variances, of models that give them (ProLIP).
    """

    item: Item
    vector: Vector | None = None
    digest: str = ""
    cut: int = 0
    error: str = ""
    unsure: float | None = None

    def json(self) -> dict[str, object]:
        """As a line of JSONL."""
        said: dict[str, object] = {self.item.kind: self.item.content}
        if self.vector is None:
            return said | {"error": self.error}
        said |= {"sha256": self.digest, "vector": [float(value) for value in self.vector]}
        said |= {} if self.unsure is None else {"uncertainty": self.unsure}
        return said | ({"cut": self.cut} if self.cut else {})


def embed_many(
    model: DualModel, items: Sequence[Item], *, batch: int = BATCH, workers: int | None = None, journal: Journal | None = None
) -> Iterator[Entry]:
    """Every item's entry, in order. Broken pictures and empty texts have an error and stop nothing.

    `workers`: processes that decode; None: as many as pay. `journal`: points known before, to which new ones are added.
    """
    count = sum(item.kind == "image" for item in items)
    for kind, run in groupby(items, key=lambda item: item.kind):
        match kind:
            case "image":
                yield from _images(model, list(run), batch, workers_for(count) if workers is None else workers, journal)
            case "text":
                yield from _texts(model, list(run), batch, journal)
            case _:
                yield from _signals(model, kind, list(run), journal)


def _images(
    model: DualModel, items: list[Item], batch: int, workers: int, journal: Journal | None
) -> Iterator[Entry]:
    policy, known = model.image_policy, frozenset(journal.known) if journal else frozenset()
    stream = decoded((item.content for item in items), policy, workers=workers, known=known)
    for some in iter(lambda: list(islice(stream, batch)), []):
        arrays = [each.array for each in some if each.parts]
        made = _pointed(model, arrays)
        for each in some:
            item = Item("image", each.path)
            if each.error:
                yield Entry(item, error=each.error)
            elif each.parts:
                point, unsure = next(made)
                yield _noted(journal, Entry(item, point, each.digest, unsure=unsure))
            else:
                assert journal is not None
                yield replace(journal.known[each.digest], item=item)


def _pointed(model: DualModel, arrays: list[Array]) -> Iterator[tuple[Vector, float | None]]:
    if not arrays:
        return
    look = model.look_arrays(arrays)
    unsure = [None] * len(arrays) if look.spread_BE is None else uncertainty(look).tolist()
    yield from zip(look.point_BE.cpu().numpy(), unsure, strict=True)


def _signals(model: DualModel, kind: str, items: list[Item], journal: Journal | None) -> Iterator[Entry]:
    """One by one: signals are few, and of different lengths."""
    for item in items:
        try:
            digest = f"{kind}:{_digest(item.content)}"
            if journal is not None and digest in journal.known:
                yield replace(journal.known[digest], item=item)
                continue
            point = point_signals(model, kind, [read_signal(model, kind, item.content)])[0]
        except InputError as error:
            yield Entry(item, error=str(error))
            continue
        yield _noted(journal, Entry(item, model.sized(point[None])[0].cpu().numpy(), digest))


def read_signal(model: DualModel, kind: str, path: str) -> Array:
    """What stands in a file for a tower: a sound, or for other senses an array (.npy). Raises InputError."""
    tower = model.system.towers.get(kind)
    if isinstance(tower, SignalTower) and isinstance(tower.policy, Mel):
        return read_sound(path, tower.policy.rate)
    if not isinstance(tower, SignalTower):
        raise InputError(f"'{path}' is for a tower '{kind}'; '{model.system.name}' has {', '.join(model.system.towers)}.")
    try:
        found: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        raise InputError(f"'{path}' cannot be read as an array of numbers; give a .npy file.") from None
    return found


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from None


def _texts(model: DualModel, items: list[Item], batch: int, journal: Journal | None) -> Iterator[Entry]:
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
                yield replace(known[digest], item=item)
            else:
                yield _noted(journal, Entry(item, next(points), digest, next(cuts)))


def _noted(journal: Journal | None, entry: Entry) -> Entry:
    if journal is not None:
        journal.add(entry)
    return entry


_NONE = Item("", "")


class Journal:
    """Points by digest in a file of lines, for one model and its preprocessing; another model's is refused."""

    def __init__(self, path: Path, system: DualSystem) -> None:
        self.path = path
        self.known: dict[str, Entry] = {}
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
                    vector = np.array(data["vector"], np.float32)
                    self.known[data["sha256"]] = Entry(_NONE, vector, data["sha256"], data["cut"], "", data["unsure"])
                end += len(line)
        return end

    def add(self, entry: Entry) -> None:
        """Keep a point."""
        assert entry.vector is not None
        self.known[entry.digest] = entry
        vector = [float(value) for value in entry.vector]
        self._write({"sha256": entry.digest, "vector": vector, "cut": entry.cut, "unsure": entry.unsure})

    def _write(self, data: Mapping[str, object]) -> None:
        self._file.write(json.dumps(data).encode() + b"\n")
        self._file.flush()

    def close(self, *, done: bool) -> None:
        """Stop; the file goes when its output is there."""
        self._file.close()
        if done:
            os.unlink(self.path)


def write_points(path: Path, entries: Sequence[Entry]) -> None:
    """``.jsonl``: a line for every item; ``.npy``: a row (E) for every item in order, not-a-numbers for a broken one, and
    beside it ``<name>.jsonl``, which says what each row is; ``.parquet``: a row for every item, with all that a line says.
    """
    if path.suffix == ".jsonl":
        with atomic_file(path) as part:
            part.write_text("".join(json.dumps(entry.json(), ensure_ascii=False) + "\n" for entry in entries), encoding="utf-8")
        return
    if path.suffix == ".parquet":
        _write_parquet(path, entries)
        return
    width = next((len(entry.vector) for entry in entries if entry.vector is not None), 0)
    rows = [np.full(width, np.nan, np.float32) if entry.vector is None else entry.vector for entry in entries]
    said = ({key: value for key, value in entry.json().items() if key != "vector"} for entry in entries)
    with atomic_file(path) as part, part.open("wb") as file:
        np.save(file, np.stack(rows) if rows else np.zeros((0, 0), np.float32))
    with atomic_file(path.with_suffix(".npy.jsonl")) as part:
        part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in said), encoding="utf-8")


def check_parquet() -> None:
    """Raises InputError where Parquet cannot be written."""
    if find_spec("pyarrow") is None:
        raise InputError("Parquet is written with pyarrow, which is not installed; pip install 'anyvlm[search]'.")


def _write_parquet(path: Path, entries: Sequence[Entry]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    width = next((len(entry.vector) for entry in entries if entry.vector is not None), 0)
    table = pa.table({
        "kind": pa.array([entry.item.kind for entry in entries]),
        "content": pa.array([entry.item.content for entry in entries]),
        "sha256": pa.array([entry.digest or None for entry in entries], pa.string()),
        "vector": pa.array([entry.vector for entry in entries], pa.list_(pa.float32(), width or -1)),
        "cut": pa.array([entry.cut for entry in entries], pa.int32()),
        "uncertainty": pa.array([entry.unsure for entry in entries], pa.float32()),
        "error": pa.array([entry.error or None for entry in entries], pa.string()),
    })  # fmt: skip
    with atomic_file(path) as part:
        pq.write_table(table, part)
