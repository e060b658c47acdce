"""GGUF files (llama.cpp): metadata, tensors, and the facts of the decoder inside.

Every length in the header is checked against the size of the file before it is used; the data is mapped, and not read
until a tensor is asked for. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from torch import Tensor

from anyvlm.errors import WeightsError

_V = TypeVar("_V", bool, int, float, str)
Value = bool | int | float | str | list["Value"]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _FLOAT32 = 8, 9, 6
_DTYPES = {
    GGMLQuantizationType.F32: torch.float32,
    GGMLQuantizationType.F16: torch.float16,
    GGMLQuantizationType.BF16: torch.bfloat16,
    GGMLQuantizationType.F64: torch.float64,
    GGMLQuantizationType.I8: torch.int8,
    GGMLQuantizationType.I16: torch.int16,
    GGMLQuantizationType.I32: torch.int32,
    GGMLQuantizationType.I64: torch.int64,
}


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies. `shape` in torch's order; `start` and `size` in bytes of the file."""

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int
    size: int


class Gguf:
    """An open GGUF file: `metadata`, and its tensors with their `shapes` and `dtypes` as `tensor` returns them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                # Private pages: torch can view them without a copy, and the file can never be written through them.
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} is empty or cannot be read; fetch it again.") from error
        self.metadata, self._stored = _Header(path, self._data).read()
        self.shapes = {name: stored.shape for name, stored in self._stored.items()}
        self.dtypes = {name: _DTYPES.get(stored.kind, torch.float32) for name, stored in self._stored.items()}

    def tensor(self, name: str) -> Tensor:
        """A view of the file for plain types; quantised ones are dequantised to fp32."""
        stored = self._stored[name]
        if dtype := _DTYPES.get(stored.kind):
            count = prod(stored.shape)
            return torch.frombuffer(self._data, dtype=dtype, count=count, offset=stored.start).view(stored.shape)
        rows = np.frombuffer(self._data, np.uint8, stored.size, stored.start).reshape(*stored.shape[:-1], -1)
        try:
            return torch.from_numpy(dequantize(rows, stored.kind))
        except NotImplementedError as error:
            raise WeightsError(f"{self.path}: {name} is stored as {stored.kind.name}, which cannot be read.") from error


class _Header:
    """A cursor over the header that refuses to step outside the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at = path, data, 0

    def read(self) -> tuple[dict[str, Value], dict[str, _Stored]]:
        """All metadata and the place of every tensor."""
        if self.data[:4] != b"GGUF":
            raise WeightsError(f"{self.path} is not a GGUF file; it does not begin with 'GGUF'.")
        self.at = 4
        version = self.number("I")
        if version not in (2, 3):
            raise WeightsError(f"{self.path} is GGUF version {version}; versions 2 and 3 can be read. Convert it again.")
        tensors, entries = self.number("Q"), self.number("Q")
        metadata: dict[str, Value] = {}
        for _ in range(entries):
            key = self.string()
            metadata[key] = self.value(self.number("I"))
        places = [self.place() for _ in range(tensors)]
        align = metadata.get("general.alignment", 32)
        if type(align) is not int or align < 1:
            raise self.damaged()
        start = -(-self.at // align) * align
        stored = {name: _Stored(shape, kind, start + offset, size) for name, shape, kind, offset, size in places}
        if len(stored) < len(places) or any(x.start + x.size > len(self.data) for x in stored.values()):
            raise self.damaged()
        return metadata, stored

    def damaged(self) -> WeightsError:
        return WeightsError(
            f"{self.path} ({len(self.data)} bytes) is cut short or damaged: its header points outside the file. Delete "
            "it and fetch it again."
        )

    def take(self, size: int) -> int:
        """Step over `size` bytes; returns where they begin."""
        if size > len(self.data) - self.at:
            raise self.damaged()
        self.at += size
        return self.at - size

    def number(self, code: str) -> int:
        found = struct.unpack_from(f"<{code}", self.data, self.take(struct.calcsize(f"<{code}")))[0]
        return int(found)

    def string(self) -> str:
        size = self.number("Q")
        start = self.take(size)
        try:
            return self.data[start : start + size].decode()
        except UnicodeDecodeError as error:
            raise self.damaged() from error

    def value(self, kind: int) -> Value:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            item, count = self.number("I"), self.number("Q")
            if item == _STRING:
                self.take(8 * count)  # every string is at least its length field: refuses an absurd count at once
                self.at -= 8 * count
                return [self.string() for _ in range(count)]
            if item in _SCALARS:
                width = struct.calcsize(f"<{_SCALARS[item]}")
                return list(struct.unpack_from(f"<{count}{_SCALARS[item]}", self.data, self.take(width * count)))
            raise self.damaged()
        if kind not in _SCALARS:
            raise self.damaged()
        code = _SCALARS[kind]
        found: bool | int | float = struct.unpack_from(f"<{code}", self.data, self.take(struct.calcsize(f"<{code}")))[0]
        return float(str(np.float32(found))) if kind == _FLOAT32 else found  # 1e-05, not 9.999999747378752e-06

    def place(self) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int, int]:
        """One line of the tensor table: name, shape, type, offset in the data section, size in bytes."""
        name = self.string()
        dims = [self.number("Q") for _ in range(self.number("I"))]
        number, offset = self.number("I"), self.number("Q")
        try:
            kind = GGMLQuantizationType(number)
            block, size = GGML_QUANT_SIZES[kind]
        except (ValueError, KeyError) as error:
            raise WeightsError(f"{self.path}: {name} has the unknown type {number}; update the gguf package.") from error
        if not dims or 0 in dims or dims[0] % block:
            raise self.damaged()
        return name, tuple(reversed(dims)), kind, offset, prod(dims) // block * size


@dataclass(frozen=True, kw_only=True)
class DecoderFacts:
    """What the metadata says about the decoder, in our words; None where the file does not say.

    `head`: width of one attention head. `scaling`: "linear", "yarn", "longrope" or None, with `factor` and `original`
    (context before scaling). `divisors`: what Llama 3 divides each rotary frequency by; `short`, `long`: the same
    within and beyond the original context (Phi-3). `window`: how far back a token looks.
    """

    architecture: str
    vocab: int
    width: int
    depth: int
    heads: int
    kv_heads: int
    head: int
    hidden: int
    context: int
    eps: float
    theta: float
    tied: bool
    scaling: str | None
    factor: float | None
    original: int | None
    divisors: tuple[float, ...] | None
    short: tuple[float, ...] | None
    long: tuple[float, ...] | None
    window: int | None


def decoder_facts(file: Gguf) -> DecoderFacts:
    """The facts of the decoder in a file. Raises WeightsError for one that is lacking or differs between layers."""
    architecture = _metadata(file, "general.architecture", str)
    if architecture is None:
        raise WeightsError(f"{file.path} does not say its architecture; convert it again with a recent llama.cpp.")

    def maybe(key: str, kind: type[_V]) -> _V | None:
        return _metadata(file, f"{architecture}.{key}", kind)

    def need(key: str, kind: type[_V]) -> _V:
        if (found := maybe(key, kind)) is None:
            raise WeightsError(f"{file.path} does not say {architecture}.{key}; convert it again with a recent llama.cpp.")
        return found

    def factors(name: str) -> tuple[float, ...] | None:
        return tuple(file.tensor(name).tolist()) if name in file.shapes else None

    if "token_embd.weight" not in file.shapes:
        raise WeightsError(f"{file.path} holds no token_embd.weight: it is not a language model, or only one part of one.")
    width, heads = need("embedding_length", int), need("attention.head_count", int)
    if not heads or width % heads:
        raise WeightsError(f"{file.path} claims {heads} attention heads of a width of {width}; it is damaged.")
    scaling = maybe("rope.scaling.type", str)
    return DecoderFacts(
        architecture=architecture,
        vocab=file.shapes["token_embd.weight"][0],
        width=width,
        depth=need("block_count", int),
        heads=heads,
        kv_heads=maybe("attention.head_count_kv", int) or heads,
        head=maybe("attention.key_length", int) or width // heads,
        hidden=need("feed_forward_length", int),
        context=need("context_length", int),
        eps=need("attention.layer_norm_rms_epsilon", float),
        theta=maybe("rope.freq_base", float) or 10_000.0,
        tied="output.weight" not in file.shapes,
        scaling=None if scaling == "none" else scaling,
        factor=maybe("rope.scaling.factor", float),
        original=maybe("rope.scaling.original_context_length", int),
        divisors=factors("rope_freqs.weight"),
        short=factors("rope_factors_short.weight"),
        long=factors("rope_factors_long.weight"),
        window=maybe("attention.sliding_window", int),
    )


def _metadata(file: Gguf, key: str, kind: type[_V]) -> _V | None:
    found = file.metadata.get(key)
    if found is not None and type(found) is not kind:
        raise WeightsError(f"{file.path}: {key} is {str(found)[:60]}, expected one {kind.__name__}.")
    return found
