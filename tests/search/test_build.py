"""An index follows its folder: what is new is embedded, what is known is not, what is gone goes, what is broken is told."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from anyvlm.errors import InputError
from anyvlm.search import build
from anyvlm.search.build import update
from anyvlm.search.query import duplicates, query, search
from anyvlm.search.store import Facts, Store
from tests.search.colours import COLOURS, Colours, paint


def paths(index: Path, text: str, k: int = 10, embedder: Colours | None = None) -> list[tuple[str, ...]]:
    embedder, store = embedder or Colours(), Store.open(index)
    found = search(store, embedder, query(embedder, [text], []), k)
    store.close()
    return [one.paths for one in found]


def old(folder: Path) -> None:
    """As if written an hour ago: times of files written this moment are not trusted."""
    hour = time.time() - 3600
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (hour, hour))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name, colour in COLOURS.items():
        paint(root / f"{name}.png", colour)
    paint(root / "deep" / "er" / "dark red.jpg", (180, 10, 10))
    (root / "notes.txt").write_text("no picture")
    old(root)
    return root


def test_the_nearest_come_first(folder: Path, tmp_path: Path) -> None:
    report = update(folder, tmp_path / "index", Colours())
    assert (report.embedded, report.known, report.broken) == (5, 0, {})
    assert paths(tmp_path / "index", "red")[:2] == [("red.png",), ("deep/er/dark red.jpg",)]
    assert len(paths(tmp_path / "index", "red")) == 5 and len(paths(tmp_path / "index", "blue", 2)) == 2


def test_only_what_changed_is_embedded(folder: Path, tmp_path: Path) -> None:
    index, model = tmp_path / "index", Colours()
    update(folder, index, model)
    assert update(folder, index, model).unchanged == 5 and model.embedded == 5

    (folder / "red.png").rename(folder / "moved.png")  # moved: the same content under another name
    (folder / "blue.png").unlink()  # removed
    paint(folder / "green.png", (255, 255, 255))  # changed
    (folder / "copy.png").write_bytes((folder / "yellow.png").read_bytes())  # copied
    report = update(folder, index, model)
    assert (report.embedded, report.known, report.removed) == (1, 2, 2) and model.embedded == 6
    assert paths(index, "red")[0] == ("moved.png",)
    assert ("copy.png", "yellow.png") in paths(index, "yellow")
    assert not any("blue.png" in names for names in paths(index, "blue"))

    paint(folder / "blue.png", COLOURS["blue"])  # what was removed comes back: its row is still there
    assert update(folder, index, model).embedded == 0 and paths(index, "blue")[0] == ("blue.png",)


def test_a_file_touched_in_the_tick_of_its_time_is_seen(tmp_path: Path) -> None:
    """Size and time as before, content not: git calls such files racy."""
    root, index = tmp_path / "pictures", tmp_path / "index"
    file = paint(root / "a.bmp", COLOURS["red"])
    stat = file.stat()
    update(root, index, Colours())
    paint(file, COLOURS["blue"])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size
    assert update(root, index, Colours()).embedded == 1


def test_rows_that_nothing_uses_go_when_they_are_most(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    update(folder, index, Colours())
    reader = Store.open(index)
    before = reader.snapshot()[0]
    copy = before.copy()
    for name in ("red", "green", "blue"):
        (folder / f"{name}.png").unlink()
    update(folder, index, Colours())
    assert np.array_equal(before, copy)  # who reads an older state keeps it
    reader.close()
    store = Store.open(index)
    assert len(store) == 2 and [file.name for file in index.glob("vectors-*")] == ["vectors-1.f16"]
    assert sorted(path for entry in store.files() for path in [entry.path]) == ["deep/er/dark red.jpg", "yellow.png"]
    assert paths(index, "yellow")[0] == ("yellow.png",)


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_listed(folder: Path, tmp_path: Path, workers: int) -> None:
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:40])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "nowhere.png").symlink_to(tmp_path / "missing")
    report = update(folder, tmp_path / "index", Colours(), workers=workers)
    assert report.embedded == 5 and set(report.broken) == {"cut.png", "empty.jpg", "nowhere.png"}
    assert "0 bytes" in report.broken["empty.jpg"]
    paint(folder / "empty.jpg", COLOURS["green"])  # mended
    again = update(folder, tmp_path / "index", Colours(), workers=0)
    assert again.embedded == 1 and set(again.broken) == {"cut.png", "nowhere.png"}


def test_a_picture_that_kills_its_worker_is_broken(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures.process import BrokenProcessPool

    real = build.decoded

    def fragile(paths: list[str], policy: object, *, workers: int) -> object:
        for path in paths:
            if path.endswith("green.png"):
                raise BrokenProcessPool("a process ended")
            yield from real([path], policy, workers=0)

    monkeypatch.setattr(build, "decoded", fragile)
    report = update(folder, tmp_path / "index", Colours(), workers=2)
    assert report.embedded == 4 and "ends" not in report.broken and "end at once" in report.broken["green.png"]


def test_another_model_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    update(folder, index, Colours())
    for other, said in (
        (Colours(name="shapes"), "was made by colours, not by shapes"),
        (Colours(weights="1" * 64), "by colours with other weights .sha256 000000000000, here 111111111111"),
        (Colours(width=5), "width 5 do not fit"),
    ):
        with pytest.raises(InputError, match=said):
            paths(index, "red", embedder=other)
        with pytest.raises(InputError, match=said):
            update(folder, index, other)
    with pytest.raises(InputError, match="is an index of"):
        update(folder / "deep", index, Colours())


def test_a_damaged_index_says_so(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    update(folder, index, Colours())
    (index / "vectors-0.f16").write_bytes(b"1234")
    with pytest.raises(InputError, match="missing or cut off"):
        paths(index, "red")
    (index / "catalogue.sqlite").write_bytes(b"nothing that one could read" * 100)
    with pytest.raises(InputError, match="damaged"):
        paths(index, "red")
    with pytest.raises(InputError, match="no index at"):
        paths(tmp_path, "red")


def test_two_writers_wait_for_each_other(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyvlm.search.store.WAIT", 0.1)
    index = tmp_path / "index"
    store = Store.create(index, Facts(str(folder.resolve()), "colours", "colours", "0" * 64, 4))
    with store.writing(), pytest.raises(InputError, match="Another process is writing"):
        update(folder, index, Colours())


def test_near_duplicates(folder: Path, tmp_path: Path) -> None:
    paint(folder / "reddish.png", (250, 2, 2))
    (folder / "copy.png").write_bytes((folder / "blue.png").read_bytes())
    update(folder, tmp_path / "index", Colours())
    store = Store.open(tmp_path / "index")
    assert duplicates(store, 0.999) == [["blue.png", "copy.png"], ["red.png", "reddish.png"]]


class Slow(Colours):
    def pictures(self, arrays: list[np.ndarray]) -> np.ndarray:
        time.sleep(0.012)  # all 30 batches take longer than three of the waits below
        return super().pictures(arrays)


def killed(root: Path, index: Path, after: float) -> bool:
    """Update in a process of its own that is killed after some seconds; False if it was faster."""
    child = os.fork()
    if not child:
        update(root, index, Slow(), batch=2, workers=0)
        os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path) -> None:
    """kill -9 again and again; each run goes on from what the last one committed, and the end is as if undisturbed."""
    root, index, draw = tmp_path / "pictures", tmp_path / "index", random.Random(0)
    rng = np.random.default_rng(0)
    for n in range(60):
        paint(root / f"{n:03}.bmp", tuple(rng.integers(0, 256, 3).tolist()), size=(6, 6))
    old(root)
    committed, kills = 0, 0
    # on a busy machine the first runs may die before they commit anything, so each may live a little longer
    while (kills < 8 or not committed) and killed(root, index, draw.uniform(0.0, 0.15) * (1 + kills / 8)):
        kills += 1
        if (index / "catalogue.sqlite").is_file():
            store = Store.open(index)
            rows, (matrix, _) = len(store), store.snapshot()
            assert rows >= committed and sum(1 for _ in store.files()) == rows == len(matrix)
            assert np.allclose(np.linalg.norm(matrix.astype(np.float32), axis=1), 1, atol=2e-3)
            committed = rows
            store.close()
    assert kills >= 3
    store = Store.open(index)
    committed = len(store)  # the run that was faster than its kill went on from there too
    store.close()
    last = update(root, index, Colours(), workers=0)
    assert last.embedded == 60 - committed and last.unchanged == committed
    plain = tmp_path / "plain"
    update(root, plain, Colours(), workers=0)
    for text in COLOURS:
        assert paths(index, text, 60) == paths(plain, text, 60)
