"""Every kind of file of weights: read lazily and exactly, and refused in one sentence when damaged or unsafe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from anyvlm.errors import WeightsError
from anyvlm.weights.readers import SAFETENSORS, open_tensors
from anyvlm.weights.writers import write_tensors


def some() -> dict[str, Tensor]:
    """Tensors of every type and of awkward shapes."""
    made = {f"type.{name}": torch.arange(7).to(dtype) for name, dtype in SAFETENSORS.items()}
    return made | {
        "scalar": torch.tensor(1.5),
        "empty": torch.empty(0, 3),
        "strided": torch.arange(6.0).reshape(2, 3).T,
    }


def same(a: Tensor, b: Tensor) -> bool:
    plain = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (a, b)]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*plain)


def shards(folder: Path) -> Path:
    """A checkpoint of three parts."""
    folder.mkdir(exist_ok=True)
    write_tensors(folder, {f"w{n}": torch.full((10,), float(n)) for n in range(6)}, limit=80)
    return folder


def test_safetensors_round_trip(tmp_path: Path) -> None:
    tensors = some()
    write_tensors(tmp_path, tensors, {"made by": "anyvlm"})
    found = open_tensors(tmp_path)
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found.shapes[name] == tuple(tensor.shape)
        assert found.dtypes[name] == tensor.dtype
        assert same(found[name], tensor), name


def test_written_files_are_those_of_safetensors(tmp_path: Path) -> None:
    """Their reader reads our file; our reader reads theirs."""
    tensors = {name: tensor.contiguous() for name, tensor in some().items()}
    write_tensors(tmp_path, tensors)
    theirs = load_file(tmp_path / "model.safetensors")
    assert all(same(theirs[name], tensor) for name, tensor in tensors.items())
    save_file(tensors, tmp_path / "theirs.safetensors")
    ours = open_tensors(tmp_path / "theirs.safetensors")
    assert all(same(ours[name], tensor) for name, tensor in tensors.items())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
def test_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    """Each is mapped alone and leaves memory alone; writing there never reaches the file."""
    write_tensors(tmp_path, {"v": torch.ones(5000), "w": torch.zeros(5000)})
    file = tmp_path / "model.safetensors"

    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(str(file))

    before = mapped()
    found = open_tensors(tmp_path)
    v, w = found["v"], found["w"]
    assert mapped() == before + 2
    w.fill_(7)
    assert load_file(file)["w"].sum() == found["w"].sum() == 0
    del w
    assert mapped() == before + 1
    assert v.sum() == 5000


def test_shards(tmp_path: Path) -> None:
    found = open_tensors(shards(tmp_path))
    assert len(list(tmp_path.glob("model-*-of-00003.safetensors"))) == 3
    assert json.loads((tmp_path / "model.safetensors.index.json").read_text())["metadata"] == {"total_size": 240}
    assert {name: tensor[0].item() for name, tensor in found.items()} == {f"w{n}": n for n in range(6)}
    with pytest.raises(KeyError):
        found["w6"]


def test_a_tensor_larger_than_the_limit_is_a_shard(tmp_path: Path) -> None:
    write_tensors(tmp_path, {"small": torch.zeros(1), "large": torch.zeros(100), "last": torch.zeros(1)}, limit=50)
    assert set(open_tensors(tmp_path)) == {"small", "large", "last"}


def edit(folder: Path, **places: str | None) -> None:
    index = folder / "model.safetensors.index.json"
    table = json.loads(index.read_text())
    table["weight_map"] = {k: v for k, v in {**table["weight_map"], **places}.items() if v is not None}
    index.write_text(json.dumps(table))


def test_missing_shard(tmp_path: Path) -> None:
    (shards(tmp_path) / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(WeightsError, match="lacks model-00002-of-00003.safetensors, one part"):
        open_tensors(tmp_path)


def test_missing_extra_and_doubled_tensor(tmp_path: Path) -> None:
    edit(shards(tmp_path / "a"), w9="model-00001-of-00003.safetensors")
    with pytest.raises(WeightsError, match="model-00001-of-00003.safetensors lacks w9"):
        open_tensors(tmp_path / "a")
    edit(shards(tmp_path / "b"), w1=None)
    with pytest.raises(WeightsError, match=r"model-00001-of-00003.safetensors holds w1, which .* places elsewhere"):
        open_tensors(tmp_path / "b")
    save_file({"w0": torch.ones(1), "w5": torch.ones(1)}, shards(tmp_path / "c") / "model-00003-of-00003.safetensors")
    with pytest.raises(WeightsError, match="holds w0, which"):
        open_tensors(tmp_path / "c")


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "notes.txt", ".."])
def test_index_that_points_elsewhere(tmp_path: Path, name: str) -> None:
    save_file({"w": torch.ones(1)}, tmp_path / "secret.safetensors")
    edit(shards(tmp_path / "model"), w0=name)
    with pytest.raises(WeightsError, match="which is not a file of weights beside it; it is refused"):
        open_tensors(tmp_path / "model")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', "\x00"])
def test_damaged_index(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsError, match="is not an index of weights"):
        open_tensors(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    write_tensors(folder, some())
    return (folder / "model.safetensors").read_bytes()


@settings(max_examples=200)
@given(st.data())
def test_truncated_safetensors(whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(WeightsError, match="cut short or damaged"):
        open_tensors(path)


def test_torch_files(tmp_path: Path) -> None:
    tensors = {"w": torch.randn(3, 4), "h": torch.ones(2, dtype=torch.bfloat16)}
    torch.save(tensors, tmp_path / "new.bin")
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "nested.pth")
    torch.save(tensors, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("new.bin", "nested.pth", "old.pt"):
        found = open_tensors(tmp_path / name)
        assert found.shapes == {"w": (3, 4), "h": (2,)}
        assert found.dtypes == {"w": torch.float32, "h": torch.bfloat16}
        assert all(same(found[key], tensor) for key, tensor in tensors.items())


class Evil:
    """Unpickled without care, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "pwned")


@pytest.mark.parametrize("name", ["a.bin", "a.pt", "a.pth"])
def test_pickles_are_refused(tmp_path: Path, name: str) -> None:
    torch.save({"w": Evil(tmp_path / "pwned")}, tmp_path / name)
    with pytest.raises(WeightsError, match="would run code when opened; it is refused"):
        open_tensors(tmp_path / name)
    assert not (tmp_path / "pwned").exists()


def test_torch_files_of_other_things(tmp_path: Path) -> None:
    for n, thing in enumerate([torch.ones(3), [torch.ones(3)], {"a": 1}, {0: torch.ones(1)}]):
        torch.save(thing, tmp_path / f"{n}.pt")
        with pytest.raises(WeightsError, match="is not a table of tensors by name"):
            open_tensors(tmp_path / f"{n}.pt")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(WeightsError, match="is damaged"):
        open_tensors(tmp_path / "junk.pt")


def test_which_file_of_a_directory(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no weights"):
        open_tensors(tmp_path)
    save_file({"b": torch.ones(1)}, tmp_path / "consolidated.safetensors")
    assert set(open_tensors(tmp_path)) == {"b"}
    save_file({"c": torch.ones(1)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(WeightsError, match=r"several files of weights .*adapter_model.safetensors, consolidated"):
        open_tensors(tmp_path)
    torch.save({"d": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    assert set(open_tensors(tmp_path)) == {"d"}
    save_file({"e": torch.ones(1)}, tmp_path / "model.safetensors")
    assert set(open_tensors(tmp_path)) == {"e"}


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There are no weights at"):
        open_tensors(tmp_path / "model.safetensors")
    (tmp_path / "model.h5").touch()
    with pytest.raises(WeightsError, match="is not a file of weights that can be read"):
        open_tensors(tmp_path / "model.h5")
