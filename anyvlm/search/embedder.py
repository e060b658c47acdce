"""What makes vectors, as far as an index must know it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from anyvlm.inputs.policy import Policy

if TYPE_CHECKING:
    from anyvlm.generate.dual import DualModel
    from anyvlm.weights.sources import Source

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Pictures and texts -> vectors of length 1 in one space.

    `source`: what loads it again, a name or a path; `weights`: digest of the files it computes with.
    """

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def weights(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def policy(self) -> Policy:
        """What worker processes make of a picture."""
        ...

    def pictures(self, arrays: Sequence[NDArray[np.float32]]) -> Vectors:
        """(n, width) of arrays that the policy made."""
        ...

    def texts(self, lines: Sequence[str]) -> Vectors:
        """(n, width)."""
        ...

    def sounds(self, files: Sequence[str]) -> Vectors:
        """(n, width). Raises InputError where the model hears nothing."""
        ...


class Towers:
    """A `DualModel` as an `Embedder`."""

    def __init__(self, model: DualModel, source: str, weights: str) -> None:
        self.model, self.source, self.weights, self.policy = model, source, weights, model.image_policy
        self.name, self.width = model.system.name, model.width

    def pictures(self, arrays: Sequence[NDArray[np.float32]]) -> Vectors:
        """(n, width) of arrays that the policy made."""
        out: Vectors = self.model.point_arrays(arrays).float().cpu().numpy()
        return out

    def texts(self, lines: Sequence[str]) -> Vectors:
        """(n, width)."""
        points = self.model.embed(texts=list(lines)).texts
        assert points is not None
        out: Vectors = points.float().cpu().numpy()
        return out

    def sounds(self, files: Sequence[str]) -> Vectors:
        """(n, width). Raises InputError where the model hears nothing."""
        from anyvlm.generate.embed import read_signal
        from anyvlm.generate.signals import point_signals

        waves = [read_signal(self.model, "audio", file) for file in files]
        points = point_signals(self.model, "audio", waves)
        out: Vectors = self.model.sized(points).float().cpu().numpy()
        return out


def load_towers(name: str, *, device: str | None = None, dtype: str | None = None) -> Towers:
    """A system of towers by name or path, with the digest of its weights. Raises InputError for a system of another kind."""
    from anyvlm.generate.dual import load

    model = load(name, device=device, dtype=dtype)
    source = str(Path(name).absolute()) if Path(name).exists() else name
    return Towers(model, source, digest([path for file in model.system.checkpoints for path in _files(file.source)]))


def digest(files: Sequence[Path]) -> str:
    """sha256 of the contents of files, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _files(source: Source) -> list[Path]:
    from anyvlm.weights.readers import weights_in
    from anyvlm.weights.sources import resolve

    where = resolve(source)
    main = weights_in(where) if where.is_dir() else where
    return sorted(main.parent.glob("*.safetensors")) if main.suffix == ".json" else [main]  # .json: lists a checkpoint's shards
