"""The tensors of a checkpoint, by the names in its files: safetensors, GGUF, torch files without code, and numpy's.

Nothing is read until a tensor is asked for. Plain tensors are views of the mapped file, so weights are in memory once,
as pages that the system can share and drop.
"""

from __future__ import annotations

import json
import mmap
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from anyvlm.errors import WeightsError
from anyvlm.weights.gguf import Gguf

# In a directory, the first of these that exists; every other file of weights (adapters, a second format) is left alone.
_NAMES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
# The names of types in safetensors files.
SAFETENSORS = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


class Tensors(Mapping[str, Tensor]):
    """Tensors by name, each read when asked for; `shapes` and `dtypes` are known without reading any."""

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, torch.dtype], read: Callable[[str], Tensor]
    ) -> None:
        self.shapes, self.dtypes, self._read = dict(shapes), dict(dtypes), read

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def open_tensors(path: Path) -> Tensors:
    """The tensors of a file, of a sharded checkpoint (its index file), or of a directory that holds one of these.

    Writing to a returned tensor never changes the file. Raises WeightsError for a file that is missing, damaged, of an
    unknown kind, or not the weights that its index promises.
    """
    if path.is_dir():
        return open_tensors(weights_in(path))
    if not path.is_file():
        raise WeightsError(f"There are no weights at {path}; check the path.")
    if path.name.endswith(".index.json"):
        return _sharded(path)
    if path.suffix not in _READERS:
        raise WeightsError(f"{path} is not a file of weights that can be read ({', '.join(_READERS)}).")
    return _READERS[path.suffix](path)


def weights_in(folder: Path) -> Path:
    """The file of weights in a directory, or the index of a sharded checkpoint. Raises WeightsError."""
    for name in _NAMES:
        if (folder / name).is_file():
            return folder / name
    for suffix in _READERS:
        found = sorted(folder.glob(f"*{suffix}"))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found[:4])
            raise WeightsError(f"{folder} holds several files of weights and no index ({names}); name the one to load.")
    raise WeightsError(
        f"{folder} holds no weights ({', '.join(_NAMES)} or one *.gguf); check the path, or fetch it again."
    )


def _safetensors(path: Path) -> Tensors:
    try:
        file = safe_open(path, framework="pt")  # it checks that header and size of the file agree
        slices = {name: file.get_slice(name) for name in file.keys()}  # type: ignore[no-untyped-call]  # noqa: SIM118
        shapes = {name: tuple(piece.get_shape()) for name, piece in slices.items()}
        dtypes = {name: SAFETENSORS[piece.get_dtype()] for name, piece in slices.items()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is cut short or damaged ({error}); delete it and fetch it again.") from error
    except KeyError as error:
        raise WeightsError(f"{path} holds tensors of the type {error}, which cannot be read.") from error
    with path.open("rb") as header:
        size = int.from_bytes(header.read(8), "little")
        places = {name: tensor["data_offsets"] for name, tensor in json.loads(header.read(size)).items() if name in shapes}

    def read(name: str) -> Tensor:
        start, end = (8 + size + offset for offset in places[name])
        if start == end:
            return torch.empty(shapes[name], dtype=dtypes[name])
        # Every tensor is a mapping of its own, so that its pages leave memory with it (safe_open maps the file as a whole).
        skip = start % mmap.ALLOCATIONGRANULARITY
        with path.open("rb") as data:
            pages = mmap.mmap(data.fileno(), end - start + skip, access=mmap.ACCESS_COPY, offset=start - skip)
        return torch.frombuffer(pages, dtype=dtypes[name], offset=skip).reshape(shapes[name])

    return Tensors(shapes, dtypes, read)


def _gguf(path: Path) -> Tensors:
    file = Gguf(path)
    return Tensors(file.shapes, file.dtypes, file.tensor)


def _torch(path: Path) -> Tensors:
    """A file of torch.save. Only tensors and plain containers are unpickled; anything else is refused."""
    try:
        # files from before torch 1.6 are not zip archives and cannot be mapped
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # an unpickler has no closed list of errors
        raise WeightsError(
            f"{path} is damaged, or holds more than tensors and would run code when opened; it is refused. Use a "
            "safetensors version of these weights."
        ) from error
    for inside in ("state_dict", "model"):  # beside the optimiser's, in files of a training run
        if isinstance(found, dict) and isinstance(found.get(inside), dict):
            found = found[inside]
    if not isinstance(found, dict) or not all(isinstance(k, str) and isinstance(t, Tensor) for k, t in found.items()):
        raise WeightsError(f"{path} is not a table of tensors by name; use a safetensors version of these weights.")
    tensors: dict[str, Tensor] = dict(found)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return Tensors(shapes, {name: tensor.dtype for name, tensor in tensors.items()}, tensors.__getitem__)


def _numpy(path: Path) -> Tensors:
    """An archive of numpy.savez. Arrays of objects, which hold pickles, are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            tensors = {name: torch.from_numpy(archive[name]) for name in archive.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is damaged, or holds more than arrays of numbers; fetch it again.") from error
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return Tensors(shapes, {name: tensor.dtype for name, tensor in tensors.items()}, tensors.__getitem__)


_READERS: dict[str, Callable[[Path], Tensors]] = {
    ".safetensors": _safetensors,
    ".gguf": _gguf,
    ".bin": _torch,
    ".pt": _torch,
    ".pth": _torch,
    ".npz": _numpy,
    ".ckpt": _torch,
}


def _sharded(index: Path) -> Tensors:
    """All shards of an index file as one; the index and the shards must agree on every name."""
    shard_of = _shard_of(index)
    shards: dict[str, Tensors] = {}
    for name in sorted(set(shard_of.values())):
        if Path(name).name != name or Path(name).suffix not in _READERS:
            raise WeightsError(f"{index} points to '{name}', which is not a file of weights beside it; it is refused.")
        if not (index.parent / name).is_file():
            raise WeightsError(
                f"{index.parent} lacks {name}, one part of the checkpoint; fetch it again to complete it."
            )
        shards[name] = open_tensors(index.parent / name)
    for name, shard in shards.items():
        if extra := [tensor for tensor in shard if shard_of.get(tensor) != name]:
            raise WeightsError(
                f"{name} holds {extra[0]}, which {index.name} places elsewhere; the parts are from different versions."
            )
    if lost := [tensor for tensor, name in shard_of.items() if tensor not in shards[name]]:
        raise WeightsError(
            f"{shard_of[lost[0]]} lacks {lost[0]}, which {index.name} places there; fetch the checkpoint again."
        )
    return Tensors(
        {tensor: shards[name].shapes[tensor] for tensor, name in shard_of.items()},
        {tensor: shards[name].dtypes[tensor] for tensor, name in shard_of.items()},
        lambda tensor: shards[shard_of[tensor]][tensor],
    )


def _shard_of(index: Path) -> dict[str, str]:
    try:
        table = json.loads(index.read_text())["weight_map"]
        if not all(isinstance(x, str) for pair in table.items() for x in pair):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{index} is not an index of weights; fetch it again.") from error
    return dict(table)
