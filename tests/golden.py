"""Shared by golden tests: stored outputs of authors' code on seeded weights, and those weights again."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm.keys import Layout, export_steps
from anyvlm.system import System

FOLDER = Path(__file__).parent / "zoo" / "golden"


def stored(name: str) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Facts (names and shapes, prompts, positions, greedy tokens) and numbers."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        numbers = {key: torch.from_numpy(file[key]) for key in file.files}
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")), numbers


def weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """What the authors' code was given: for every name its own noise, matrices scaled by their inputs, norms around 1."""
    out = {}
    for name, shape in shapes.items():
        noise = np.random.default_rng([0, zlib.crc32(name.encode())]).standard_normal(shape).astype(np.float32)
        if len(shape) > 1 and max(shape[1:]) > 1:
            noise *= np.float32(np.prod(shape[1:]) ** -0.5)
        else:
            noise = noise * np.float32(0.2) + np.float32("norm" in name and name.endswith("weight"))
        out[name] = torch.from_numpy(np.asarray(noise))
    return out


def seeded(name: str, shape: Sequence[int]) -> Tensor:
    """The same with torch's generator, as other scripts did it."""
    noise = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if len(shape) > 1:
        return noise * noise[0].numel() ** -0.5
    scale = ("norm" in name or "ln_" in name) and name.endswith("weight")
    return 1 + 0.2 * noise if scale else 0.2 * noise


def ordered(shapes: Mapping[str, Sequence[int]]) -> dict[str, npt.NDArray[np.float64]]:
    """The same from one stream of numbers, in the order of the names."""
    random, out = np.random.default_rng(0), {}
    for name in sorted(shapes):
        value = np.asarray(random.standard_normal(tuple(shapes[name])))
        if value.ndim > 1:
            out[name] = value * int(np.prod(shapes[name][1:])) ** -0.5
        else:
            out[name] = 1 + 0.2 * value if "norm" in name and name.endswith("weight") else 0.2 * value
    return out


def saved(shapes: Mapping[str, Sequence[int]], folder: Path) -> Path:
    """The folder, holding these weights in a file."""
    save_file(weights(shapes), folder / "model.safetensors")
    return folder


def patterns(system: System, layout: Layout) -> dict[str, list[object]]:
    """How the files of a system name its tensors: name without the layer's number -> how many there are, their shape."""
    with torch.device("meta"):
        ours = dict(system.build().named_parameters())
    found: dict[str, list[object]] = {}
    for step in export_steps(ours, layout, system.part):
        for key, tensor in zip(step.theirs, step.export([ours[own] for own in step.ours]), strict=True):
            pattern = re.sub(r"(layers)\.\d+\.", r"\1.{}.", key)
            count, shape = found.setdefault(pattern, [0, list(tensor.shape)])
            assert shape == list(tensor.shape)
            found[pattern][0] = int(str(count)) + 1
    return found
