"""A name or a path -> the module with its weights. Nothing is read before every tensor is accounted for.

The module is built on the meta device and tensors are assigned, so weights are never held twice: where the file has the
wanted dtype they stay views of the mapped file.

Two kinds of tensors are known in files of our own names: int8 matrices with a scale for each row (``<name>.q`` and
``<name>.scale``), and low-rank updates of linear layers (``lora.<layer>.a`` and ``.b``, scale inside b), which are added to
the weight, whichever checkpoint it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from anyvlm import registry
from anyvlm.errors import SpecError, WeightsError
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import Layout, Match, audit, choose
from anyvlm.match import AnySystem
from anyvlm.parts.catalog.mask import MASK_CODE_BV
from anyvlm.parts.code.mask import MaskDecoder
from anyvlm.system import VLM, Student, System, VisionSystem
from anyvlm.weights.config import read_directory
from anyvlm.weights.fresh import freshen
from anyvlm.weights.gguf import Gguf
from anyvlm.weights.gguf_tokenizer import read_tokenizer
from anyvlm.weights.readers import Tensors, open_tensors
from anyvlm.weights.sources import Hub, Source, resolve
from anyvlm.weights.systemfile import SUFFIX, read_system


@dataclass(frozen=True)
class Loaded:
    """A system, its module with weights in evaluation mode, and its tokenizer (None for a vision tower)."""

    system: AnySystem
    module: nn.Module
    tokenizer: Tokenizer | None


@dataclass(frozen=True)
class _File:
    """An open checkpoint: its tensors, what is made of them, and its low-rank updates {layer: (a, b)}."""

    tensors: Tensors
    plan: Match
    updates: dict[str, tuple[str, str]]


_Updates = dict[str, list[tuple[Tensors, str, str]]]
"""For the name of a weight: where its low-rank updates are, and the names of their halves a and b."""


def find(name: str | Path, template: Template | None = None) -> AnySystem:
    """The system of a registry name, a directory, a GGUF file, a system file (.json), or a hub repository "owner/name"."""
    if isinstance(name, str) and name in registry.SYSTEMS:
        return _with(registry.system(name), template)
    path = Path(name).expanduser()
    if path.suffix == SUFFIX and not path.is_dir():
        return _with(read_system(path), template)
    if path.exists():
        return read_directory(path, template=template)
    if isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not path.parent.exists():
        source = Hub(repo=name)
        return read_directory(resolve(source, weights=False), source, template).but(name=name)
    if isinstance(name, str) and "/" not in name:
        return registry.system(name)  # raises, naming the nearest
    raise WeightsError(f"There is no file or directory {name}; check the path.")


def _with(system: AnySystem, template: Template | None) -> AnySystem:
    return system.but(template=template) if template is not None and isinstance(system, System) else system


def load_system(
    name: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    template: Template | None = None,
) -> Loaded:
    """Load a system by name or path. `dtype`: of all weights; None keeps the one that most of the checkpoint has.

    `template`: a chat format instead of the system's own. Raises WeightsError (missing, extra or misshapen tensors, each by
    name), SpecError, NetworkError.
    """
    system = find(name, template)
    return Loaded(system, load_module(system, device=device, dtype=dtype), load_tokenizer(system))


def load_module(
    system: AnySystem | Student, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> VLM | nn.Module:
    """The module of a system with the weights of its checkpoints, on `device`, ready for inference."""
    if not system.checkpoints:
        raise WeightsError(f"No weights of '{system.name}' are published in a form that loads: {system.meta.summary}")
    with torch.device("meta"):
        module = system.build()
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    files = _open(system, shapes)
    audit([(_plain_shapes(file), file.plan) for file in files], shapes, system.fresh)
    updates = _updates(files, shapes)
    dtype = dtype or _dtype(files)
    for file in files:
        _fill(module, file, updates, torch.device(device), dtype)
    freshen(module, torch.device(device), dtype)
    return module.eval()


def load_tokenizer(system: AnySystem) -> Tokenizer | None:
    """The tokenizer of a system: of its directory, or the one inside a GGUF file; None if it has none."""
    if isinstance(system, VisionSystem) or system.tokenizer is None:
        return None
    path = resolve(system.tokenizer, weights=False)
    if isinstance(system, System) and any(stream.reads for stream in system.streams.values()):
        return _with_readers(Tokenizer(path), system)
    if path.suffix == ".gguf":
        read = read_tokenizer(path, Gguf(path).metadata)
        bos, eos = (None if id is None else read.tokenizer.id_to_token(id) for id in (read.bos, read.eos))
        return Tokenizer(read.tokenizer, bos=bos, eos=(eos,) if eos else ())
    return Tokenizer(path, added=system.added)


def load_masks(system: System, source: str | Path, *, device: torch.device | str = "cpu") -> MaskDecoder:
    """The decoder of the masks that a system writes. `source`: the authors' file, its directory, or a hub repository with it.

    Raises SpecError for a system that writes no masks, WeightsError if the file is missing or another one.
    """
    if (code := system.masks) is None:
        raise SpecError(f"'{system.name}' writes no masks; load it without a decoder for them.")
    path = Path(source).expanduser()
    if not path.exists() and path.suffix == "" and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", str(source)):
        path = resolve(Hub(repo=str(source)))
    tensors = open_tensors(path / code.file if path.is_dir() else path)
    # the rest is the encoder, and what its training keeps
    shapes = {name: shape for name, shape in tensors.shapes.items() if name.startswith("decoder.") or name == _CODES}
    with torch.device("meta"):
        module = code.build(shapes.get(_CODES, (0, 1))[-1])
    plan = choose(shapes, (MASK_CODE_BV,), lambda _: code)
    audit([(shapes, plan)], {name: tuple(p.shape) for name, p in module.named_parameters()})
    _fill(module, _File(tensors, plan, {}), {}, torch.device(device), torch.float32)
    return module.eval()


_CODES = "_vq_vae._embedding"


def _with_readers(tokenizer: Tokenizer, system: System) -> Tokenizer:
    """With the tokenizers of the streams whose connectors read the prompt."""
    readers = {name: stream.reads.tokenizer for name, stream in system.streams.items() if stream.reads}
    tokenizer.readers = {name: Tokenizer(resolve(source, weights=False)) for name, source in readers.items()}
    return tokenizer


# Opening --------------------------------------------------------------------------------------------------------------


def _open(system: AnySystem | Student, shapes: Mapping[str, tuple[int, ...]]) -> list[_File]:
    """Every checkpoint with its plan; one that is a fallback only if the earlier ones leave something unfilled."""
    files: list[_File] = []
    for checkpoint in system.checkpoints:
        filled = {name for file in files for step in file.plan.steps for name in step.ours}
        if checkpoint.fallback and shapes.keys() <= filled:
            continue
        files.append(_file(_weights(checkpoint.source), checkpoint.layouts, system))
    return files


def _weights(source: Source) -> Tensors:
    return dequantised(open_tensors(resolve(source)))


def _file(tensors: Tensors, layouts: tuple[Layout, ...], system: AnySystem | Student) -> _File:
    ours = [name for name in tensors if name.startswith("lora.")]
    names = [name for name in tensors if not name.startswith("lora.")]
    updates = {name[5:-2]: (name, name[:-1] + "b") for name in ours if name.endswith(".a")}
    if lone := set(ours) ^ {name for pair in updates.values() for name in pair}:
        raise WeightsError(f"The checkpoint's low-rank update {sorted(lone)[0]} has no counterpart; it is incomplete.")
    plan = choose(names, layouts, system.part)
    unread = {layer for layer, (a, _) in updates.items() if any(fnmatchcase(a, glob) for glob in plan.layout.ignore)}
    return _File(tensors, plan, {layer: pair for layer, pair in updates.items() if layer not in unread})


def dequantised(tensors: Tensors) -> Tensors:
    """The same tensors with int8 matrices ``<name>.q`` and their row scales as matrices of the scales' dtype."""
    names = {name[:-2] for name in tensors if name.endswith(".q") and name[:-1] + "scale" in tensors}
    if not names:
        return tensors

    def read(name: str) -> Tensor:
        if name not in names:
            return tensors[name]
        return tensors[f"{name}.q"].to(torch.float32) * tensors[f"{name}.scale"].to(torch.float32)[:, None]

    parts = {f"{name}.{part}" for name in names for part in ("q", "scale")}
    plain = [name for name in tensors if name not in parts]
    shapes = {name: tensors.shapes[name] for name in plain} | {name: tensors.shapes[f"{name}.q"] for name in names}
    dtypes = {name: tensors.dtypes[name] for name in plain} | dict.fromkeys(names, torch.float32)
    return Tensors(shapes, dtypes, read)


def _plain_shapes(file: _File) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in file.tensors.shapes.items() if not name.startswith("lora.")}


def _updates(files: list[_File], shapes: Mapping[str, tuple[int, ...]]) -> _Updates:
    """All low-rank updates by the weight they change. Raises WeightsError for one that no weight of a checkpoint takes."""
    filled = {name: shapes[name] for file in files for step in file.plan.steps for name in step.ours}
    updates: _Updates = {}
    for file in files:
        for layer, (a, b) in file.updates.items():
            name = f"{layer}.weight"
            (rank, into), (out, also) = (file.tensors.shapes[tensor] for tensor in (a, b))
            if rank != also or filled.get(name) != (out, into):
                raise WeightsError(
                    f"The low-rank update of {layer} ({out} x {also}, {rank} x {into}) does not fit its weight "
                    f"{filled.get(name, 'which no checkpoint fills')}."
                )
            updates.setdefault(name, []).append((file.tensors, a, b))
    return updates


def _dtype(files: list[_File]) -> torch.dtype:
    """The floating dtype that most values of the checkpoints have."""
    sizes: dict[torch.dtype, int] = {}
    for file in files:
        for name, dtype in file.tensors.dtypes.items():
            if dtype.is_floating_point:
                sizes[dtype] = sizes.get(dtype, 0) + torch.Size(file.tensors.shapes[name]).numel()
    return max(sizes, key=lambda dtype: sizes[dtype], default=torch.float32)


# Filling --------------------------------------------------------------------------------------------------------------


def _fill(module: nn.Module, file: _File, updates: _Updates, device: torch.device, dtype: torch.dtype) -> None:
    for repeat, of in file.plan.ties:
        if not torch.equal(file.tensors[repeat], file.tensors[of]):
            raise WeightsError(f"{repeat} should equal {of}, to which the system ties it, but does not.")
    places = _places(module)
    shapes = file.tensors.shapes
    # the largest first, while little else is in memory: dequantising takes a multiple of what comes out
    for step in sorted(file.plan.steps, key=lambda step: -sum(prod(shapes[name]) for name in step.theirs)):
        # ops only move numbers, so the smaller type goes through them; what is updated is rounded once, after the sum
        through = torch.float32 if any(name in updates for name in step.ours) else dtype
        tensors = step.load([file.tensors[name].to(through) for name in step.theirs])
        for name, tensor in zip(step.ours, tensors, strict=True):
            for source, a, b in updates.get(name, ()):
                tensor = torch.addmm(tensor, source[b].to(torch.float32), source[a].to(torch.float32))
            _assign(places[name], tensor.to(device, dtype))


def _places(module: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Where each parameter is held, by its first name: a tied one in several modules."""
    first: dict[int, str] = {}
    places: dict[str, list[tuple[nn.Module, str]]] = {}
    for path, owner in module.named_modules():
        for leaf, parameter in owner.named_parameters(recurse=False):
            name = first.setdefault(id(parameter), f"{path}.{leaf}" if path else leaf)
            places.setdefault(name, []).append((owner, leaf))
    return places


def _assign(places: list[tuple[nn.Module, str]], tensor: Tensor) -> None:
    parameter = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
    for owner, leaf in places:
        setattr(owner, leaf, parameter)
