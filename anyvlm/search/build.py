"""Bring an index up to date with its folder: new and changed pictures are embedded, moved ones are not, missing ones go.

A file whose size and time are as before is taken as unchanged; of others the content's digest decides. Worker processes read,
decode and resize while the model computes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from anyvlm.errors import InputError
from anyvlm.inputs.decode import AHEAD, GROUP, Decoded, decoded, workers_for
from anyvlm.search.embedder import Embedder, Vectors
from anyvlm.search.store import Entry, Facts, Stamp, Store

SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"])
DEFAULT_NAME = ".anyvlm-index"
_RACY = 2_000_000_000
"""Nanoseconds: a file may change again within the tick of its time, so the time of one as young as this is not trusted."""


@dataclass
class Report:
    """What an update did, counted in files. `broken`: every file of the folder that cannot be read -> why."""

    embedded: int = 0
    known: int = 0
    unchanged: int = 0
    removed: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def update(
    root: Path, out: Path | None, embedder: Embedder, *, batch: int = 32, workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:  # fmt: skip
    """Index the pictures below `root` in `out` (default: a hidden folder inside `root`).

    Every `batch` is committed when it is done. `workers`: processes that decode; None takes as many as pay. `progress` is
    told how many files of how many are done. Raises InputError; a file that cannot be read is reported, not raised.
    """
    begin, report = time.perf_counter(), Report()
    if not root.is_dir():
        raise InputError(f"There is no folder '{root}' to index.")
    root = root.resolve()
    facts = Facts(str(root), embedder.name, embedder.source, embedder.weights, embedder.width)
    store = Store.create(out or root / DEFAULT_NAME, facts)
    try:
        with store.writing():
            before = store.stamps()
            found = dict(pictures(root))
            changed = [path for path, stamp in found.items() if before.get(path) != stamp]
            report.unchanged = len(found) - len(changed)
            fresh = list(_unknown(root, changed, found, store, report))
            count = workers_for(len(fresh)) if workers is None else workers
            done = len(found) - len(fresh)
            for some in _batches(_sturdy([str(root / path) for path in fresh], embedder, count), batch):
                _commit(store, root, found, some, embedder, report)
                done += len(some)
                if progress is not None:
                    progress(done, len(found))
            gone = before.keys() - found.keys()
            report.removed = len(gone)
            store.finish(gone)
            report.broken = store.broken()
    finally:
        store.close()
    report.seconds = time.perf_counter() - begin
    return report


def pictures(root: Path) -> Iterator[tuple[str, Stamp]]:
    """Files with the ending of a picture below a folder, hidden ones left out: path below it with "/", stamp. By name."""
    now = time.time_ns()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith("."):
                path = Path(folder, name)
                try:
                    stat = path.stat()
                except OSError:  # a link to nowhere, or gone this moment: said when it is read
                    yield path.relative_to(root).as_posix(), Stamp(0, 0)
                    continue
                young = stat.st_mtime_ns > now - _RACY
                yield path.relative_to(root).as_posix(), Stamp(stat.st_size, -1 - now if young else stat.st_mtime_ns)


def _unknown(
    root: Path, paths: Sequence[str], found: dict[str, Stamp], store: Store, report: Report
) -> Iterator[str]:
    """The paths whose content has no row yet. Others, moved or copied or only touched, are entered at once."""
    known = []
    for path in paths:
        row, content = None, ""
        if store.knows_size(found[path].size):  # most new files are not even read here
            try:
                with (root / path).open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                row = store.row(content)
            except OSError:
                row = None
        if row is None:
            yield path
        else:
            known.append(Entry(path, found[path], content))
    store.add(known, {}, {})
    report.known += len(known)


def _commit(
    store: Store, root: Path, found: dict[str, Stamp], some: Sequence[Decoded], embedder: Embedder, report: Report
) -> None:
    entries, first, broken = list[Entry](), dict[str, Decoded](), dict[str, tuple[Stamp, str]]()
    for one in some:
        path = Path(one.path).relative_to(root).as_posix()
        if one.error:
            broken[path] = (found[path], one.error)
            continue
        entries.append(Entry(path, found[path], one.digest))
        if one.digest not in first and store.row(one.digest) is None:
            first[one.digest] = one
    vectors: Vectors | Sequence[Vectors] = ()
    if first:
        vectors = embedder.pictures([one.array for one in first.values()])
    store.add(entries, dict(zip(first, vectors, strict=True)), broken)
    report.embedded += len(first)
    report.known += len(entries) - len(first)


def _batches(items: Iterable[Decoded], size: int) -> Iterator[list[Decoded]]:
    some = list[Decoded]()
    for item in items:
        some.append(item)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def _sturdy(paths: list[str], embedder: Embedder, workers: int) -> Iterator[Decoded]:
    """`decoded`, where a picture that kills its worker is a broken file too: those in work then are tried one by one."""
    at = 0
    while at < len(paths):
        try:
            for one in decoded(paths[at:], embedder.policy, workers=workers):
                yield one
                at += 1
            return
        except BrokenProcessPool:
            suspects = paths[at : at + AHEAD * workers + GROUP]
        for path in suspects:
            try:
                yield from decoded([path], embedder.policy, workers=1)
            except BrokenProcessPool:
                yield Decoded(path, error=f"'{path}' makes the process that decodes it end at once.")
            at += 1
