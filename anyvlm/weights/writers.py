"""Tensors to safetensors files: byte-exact, in a fixed order, without a second copy in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from anyvlm.weights.readers import SAFETENSORS

_NAMES = {dtype: name for name, dtype in SAFETENSORS.items()}


def write_tensors(
    folder: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    limit: int = 5_000_000_000,
) -> tuple[Path, ...]:
    """Write ``model.safetensors`` into `folder`, or shards of at most `limit` bytes and their index; returns the files.

    One tensor larger than `limit` is a shard of its own. The write is not atomic by itself: call it inside
    `atomic_directory`, which also turns an OSError (full disk) into a sentence.
    """
    shards = list(_shards(tensors, limit))
    if len(shards) == 1:
        _write(folder / "model.safetensors", tensors, shards[0], metadata)
        return (folder / "model.safetensors",)
    files = [folder / f"model-{n:05}-of-{len(shards):05}.safetensors" for n in range(1, len(shards) + 1)]
    for file, names in zip(files, shards, strict=True):
        _write(file, tensors, names, metadata)
    index = folder / "model.safetensors.index.json"
    place = {name: file.name for file, names in zip(files, shards, strict=True) for name in names}
    total = sum(tensor.nbytes for tensor in tensors.values())
    index.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": place}, indent=2) + "\n")
    return (*files, index)


def _shards(tensors: Mapping[str, Tensor], limit: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, tensor in tensors.items():
        if names and size + tensor.nbytes > limit:
            yield names
            names, size = [], 0
        names.append(name)
        size += tensor.nbytes
    yield names


def _write(file: Path, tensors: Mapping[str, Tensor], names: Sequence[str], metadata: Mapping[str, str] | None) -> None:
    """One file: the length of the header (8 bytes), the header (JSON, padded to 8), the bytes of all tensors."""
    # wide types first, so that every tensor begins at a multiple of its element size
    order = sorted(names, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    end = 0
    for name in order:
        tensor = tensors[name]
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.nbytes],
        }
        end += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little"))
        out.write(text)
        for name in order:
            out.write(_bytes(tensors[name]))


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor (a copy only where it is strided or not on the CPU)."""
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().data if plain.numel() else memoryview(b"")
