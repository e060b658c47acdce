"""Files and directories appear whole or not at all: after errors, on a full disk, and after kill -9."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anyvlm.errors import WeightsError
from anyvlm.weights import atomic
from anyvlm.weights.atomic import atomic_directory, atomic_file


def fill(folder: Path, text: str, files: int = 3) -> None:
    for n in range(files):
        (folder / f"{n}.txt").write_text(text)
    (folder / "spec.json").write_text(text)


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.bin"
    for text in ("one", "two"):
        with atomic_file(target) as partial:
            partial.write_text(text)
            assert not target.exists() or target.read_text() == "one"
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_file_survives_an_error(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(target) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_directory_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_directory(target, marker="spec.json") as partial:
        fill(partial, "one")
        (partial / "only-in-one").touch()
    with atomic_directory(target, marker="spec.json") as partial:
        fill(partial, "two")
    assert {path.name for path in target.iterdir()} == {"0.txt", "1.txt", "2.txt", "spec.json"}
    assert (target / "spec.json").read_text() == "two"
    assert list(tmp_path.iterdir()) == [target]


def test_directory_survives_an_error(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_directory(target, marker="spec.json") as partial:
        fill(partial, "old")
    with pytest.raises(ZeroDivisionError), atomic_directory(target, marker="spec.json") as partial:
        (partial / "0.txt").write_text("new")
        raise ZeroDivisionError
    assert (target / "0.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_files_of_the_user_are_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "thesis" / "chapter.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    for target in (precious.parent, precious):
        refused = pytest.raises(WeightsError, match="was not written by anyvlm")
        with refused, atomic_directory(target, marker="spec.json"):
            pytest.fail("nothing may be computed before the refusal")
    assert precious.read_text() == "years of work"


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with atomic_directory(tmp_path / "model", marker="spec.json") as partial:
        fill(partial, "new")
    assert (tmp_path / "model" / "spec.json").is_file()


def test_a_link_keeps_pointing(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "disk")
    with atomic_directory(tmp_path / "model", marker="spec.json") as partial:
        fill(partial, "new")
    assert (tmp_path / "model").is_symlink()
    assert (tmp_path / "disk" / "spec.json").is_file()


def test_two_renames_where_the_kernel_cannot_swap(tmp_path: Path) -> None:
    for name in ("new", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    atomic._replace(tmp_path / "new", tmp_path / "target")
    assert (tmp_path / "target" / "a").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "target"]


def test_what_a_killed_writer_left_is_removed_a_day_later(tmp_path: Path) -> None:
    """Only that: another writer may be at work, and other names are none of our business."""
    yesterday = time.time() - 25 * 60 * 60
    for name, age in ((".a[1].old.partial", yesterday), (".a[1].new.partial", time.time()), (".b.old.partial", yesterday)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half.bin").write_bytes(bytes(100))
        os.utime(tmp_path / name, (age, age))
    with atomic_directory(tmp_path / "a[1]", marker="spec.json") as partial:
        fill(partial, "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a[1].new.partial", ".b.old.partial", "a[1]"]
    os.utime(tmp_path / ".a[1].new.partial", (yesterday, yesterday))
    with atomic_file(tmp_path / "a[1]" / "spec.json") as file:
        file.write_text("{}")
    assert (tmp_path / ".a[1].new.partial").exists()  # beside another target


FULL = """
import resource, sys
from pathlib import Path
from anyvlm.errors import WeightsError
from anyvlm.weights.atomic import atomic_directory
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as on a disk with that much space for the file
try:
    with atomic_directory(Path(sys.argv[1]), marker="spec.json") as partial:
        (partial / "spec.json").write_text("new")
        (partial / "0.txt").write_bytes(bytes(1_000_000))
except WeightsError as error:
    print(error)
"""


def test_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_directory(target, marker="spec.json") as partial:
        fill(partial, "old")
    done = subprocess.run([sys.executable, "-c", FULL, str(target)], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(f"Could not write {target}: file too large."), done
    assert {path.read_text() for path in target.iterdir()} == {"old"}
    assert list(tmp_path.iterdir()) == [target]


KILLED = """
import sys
from pathlib import Path
from anyvlm.weights.atomic import atomic_directory
for n in range(100_000):
    with atomic_directory(Path(sys.argv[1]), marker="spec.json") as partial:
        for name in ("0.txt", "1.txt", "2.txt", "spec.json"):
            (partial / name).write_text(str(n) * 5_000)
    print(n, flush=True)
"""


def test_kill_in_the_middle(tmp_path: Path) -> None:
    target = tmp_path / "model"
    chance = random.Random(0)
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()  # one directory stands; from here on it is being replaced
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        process.wait()
        process.stdout.close()
        assert {path.name for path in target.iterdir()} == {"0.txt", "1.txt", "2.txt", "spec.json"}
        assert len({path.read_text() for path in target.iterdir()}) == 1
