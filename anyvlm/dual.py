"""Systems of towers: every modality becomes a point on one sphere, where cosine is likeness (CLIP, SigLIP ... ImageBind).

A tower is an encoder, a pool and a map into the shared space. What is compared with what, and how likeness becomes
probability or loss, is a contrast.
Shape letters: B items, N rows of all items, C values per patch, R rows of an item, D width, E width of the shared space,
A and K items of two modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.signal import SignalPolicy
from anyvlm.inputs.text import TextPolicy, WordsBatch
from anyvlm.parts.chunked import info_nce, sigmoid
from anyvlm.parts.features import Encoder, Features
from anyvlm.parts.pool import Linear, Pool
from anyvlm.parts.text import TextEncoder
from anyvlm.spec import Spec
from anyvlm.system import Checkpoint, Meta, Pixels, Stage
from anyvlm.weights.sources import Source

# Specs ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Tower(Spec):
    """One modality's way to a point: policy (picture -> pixels), encoder, pool, map. Without a map the pool's vector is it."""

    policy: Policy
    encoder: Encoder
    pool: Pool
    project: Linear | None = None

    @property
    def out(self) -> int:
        """Width of the encoder's rows."""
        return self.encoder.out

    def build(self, shared: int) -> nn.Module:
        """The module."""
        return PixelTower(self, shared)


@dataclass(frozen=True, kw_only=True)
class SignalTower(Spec):
    """The same for sound and other sensors; the points of all arrays of a signal are averaged."""

    policy: SignalPolicy
    encoder: Encoder
    pool: Pool
    project: Linear | None = None

    @property
    def out(self) -> int:
        """Width of the encoder's rows."""
        return self.encoder.out

    def build(self, shared: int) -> nn.Module:
        """The module."""
        return PixelTower(self, shared)


@dataclass(frozen=True, kw_only=True)
class TextTower(Spec):
    """The same for texts."""

    policy: TextPolicy
    encoder: TextEncoder
    pool: Pool
    project: Linear | None = None

    @property
    def out(self) -> int:
        """Width of the encoder's rows."""
        return self.encoder.width

    def build(self, shared: int) -> nn.Module:
        """The module."""
        return WordTower(self, shared)


@dataclass(frozen=True, kw_only=True)
class Contrast(Spec):
    """Contract of contrasts: items `a` against items `b`, both names of towers. `scale`: of cosines, where training begins."""

    a: str = "image"
    b: str = "text"
    scale: float

    def build(self) -> ContrastModule:
        """The module, which holds what is learned."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Softmax(Contrast):
    """Each item has one partner among all (InfoNCE): probabilities of candidates sum to 1."""

    scale: float = 1 / 0.07

    def build(self) -> ContrastModule:
        """The module."""
        return SoftmaxModule(self)


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Contrast):
    """Each pair alone fits or does not (2303.15343): every candidate has a probability of its own. `bias` is added."""

    scale: float = 10.0
    bias: float = -10.0

    def build(self) -> ContrastModule:
        """The module."""
        return SigmoidModule(self)


@dataclass(frozen=True, kw_only=True)
class DualSystem(Spec):
    """A named system of towers by modality: everything that reproduces it. The first contrast is the one people ask about."""

    name: str
    towers: dict[str, Tower | TextTower | SignalTower]
    shared: int
    contrasts: tuple[Contrast, ...]
    meta: Meta
    tokenizer: Source | None = None
    added: tuple[str, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    fresh: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        for name, tower in self.towers.items():
            if tower.project is None and tower.out != self.shared:
                raise SpecError(f"'{self.name}': rows of {name} are {tower.out} wide, not {self.shared}; map them.")
        if missing := {side for each in self.contrasts for side in (each.a, each.b)} - self.towers.keys():
            raise SpecError(f"'{self.name}' contrasts '{sorted(missing)[0]}' but has no such tower.")

    def build(self) -> Dual:
        """The module, with random weights."""
        return Dual(self)

    def part(self, prefix: str) -> Spec:
        """The spec whose parameters lie under a prefix: "towers.image.encoder.", "towers.text.", "contrasts.0." or ""."""
        at: object = self
        for step in prefix.rstrip(".").split(".") if prefix else ():
            match at:
                case dict():
                    at = at.get(step)
                case tuple():
                    at = at[int(step)] if step.isdecimal() and int(step) < len(at) else None
                case _:
                    at = getattr(at, step, None)
        if not isinstance(at, Spec):
            raise SpecError(f"The system '{self.name}' has no part at '{prefix}'.")
        return at


# Modules --------------------------------------------------------------------------------------------------------------


class PixelTower(nn.Module):
    """Parameters: encoder, pool, project."""

    def __init__(self, spec: Tower | SignalTower, shared: int) -> None:
        super().__init__()
        self.encoder, self.pool = spec.encoder.build(), spec.pool.build(spec.out)
        if spec.project is not None:
            self.project = spec.project.build(spec.out, shared)
        self.maps = spec.project is not None

    def forward(self, x: Pixels) -> Tensor:
        """Vectors (B, E) of all items, not normed."""
        rows: Features = self.encoder(x.x_NC, x.grids)
        pooled = [self.pool(x_BRD) for _, x_BRD in rows.groups()]
        x_BD = pooled[0] if len(pooled) == 1 else torch.cat(pooled)
        out: Tensor = self.project(x_BD) if self.maps else x_BD
        return out


class WordTower(nn.Module):
    """Parameters: encoder, pool, project."""

    def __init__(self, spec: TextTower, shared: int) -> None:
        super().__init__()
        self.encoder, self.pool = spec.encoder.build(), spec.pool.build(spec.out)
        if spec.project is not None:
            self.project = spec.project.build(spec.out, shared)
        self.maps = spec.project is not None

    def forward(self, x: WordsBatch) -> Tensor:
        """Vectors (B, E) of all texts, not normed."""
        x_BD = self.pool(self.encoder(x.ids_BT, x.seen_BT), x.seen_BT)
        out: Tensor = self.project(x_BD) if self.maps else x_BD
        return out


class ContrastModule(nn.Module):
    """Parameters: scale (a logarithm), bias if it has one. Points are normed."""

    spec: Contrast

    def logits(self, a_AE: Tensor, b_KE: Tensor) -> Tensor:
        """(A, K)."""
        raise NotImplementedError

    def probabilities(self, logits_AK: Tensor) -> Tensor:
        """(A, K): of each `a`, what it thinks of the candidates `b`."""
        raise NotImplementedError

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """Of partners at the same places; no matrix (B, B) is kept."""
        raise NotImplementedError


class SoftmaxModule(ContrastModule):
    """Parameters: scale."""

    def __init__(self, spec: Softmax) -> None:
        super().__init__()
        self.spec, self.scale = spec, nn.Parameter(torch.tensor(log(spec.scale)))

    def logits(self, a_AE: Tensor, b_KE: Tensor) -> Tensor:
        """(A, K)."""
        return self.scale.exp() * (a_AE @ b_KE.T)

    def probabilities(self, logits_AK: Tensor) -> Tensor:
        """Each line sums to 1."""
        return logits_AK.softmax(-1)

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """The mean of both directions."""
        return info_nce(a_BE, b_BE, self.scale.exp())


class SigmoidModule(ContrastModule):
    """Parameters: scale, bias."""

    def __init__(self, spec: Sigmoid) -> None:
        super().__init__()
        self.spec, self.scale = spec, nn.Parameter(torch.tensor(log(spec.scale)))
        self.bias = nn.Parameter(torch.tensor(spec.bias))

    def logits(self, a_AE: Tensor, b_KE: Tensor) -> Tensor:
        """(A, K)."""
        return self.scale.exp() * (a_AE @ b_KE.T) + self.bias

    def probabilities(self, logits_AK: Tensor) -> Tensor:
        """Each pair alone."""
        return logits_AK.sigmoid()

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """The sum over pairs by the number of items."""
        return sigmoid(a_BE, b_BE, self.scale.exp(), self.bias)


class Dual(nn.Module):
    """Parameters lie under `towers.<modality>.{encoder,pool,project}.` and `contrasts.<n>.`."""

    def __init__(self, spec: DualSystem) -> None:
        super().__init__()
        self.spec = spec
        self.towers = nn.ModuleDict({name: tower.build(spec.shared) for name, tower in spec.towers.items()})
        self.contrasts = nn.ModuleList(contrast.build() for contrast in spec.contrasts)

    def points(self, modality: str, x: Pixels | WordsBatch) -> Tensor:
        """Points (B, E) of length 1."""
        return F.normalize(self.towers[modality](x), dim=-1)

    def contrast(self, number: int = 0) -> ContrastModule:
        """A contrast."""
        found = self.contrasts[number]
        assert isinstance(found, ContrastModule)
        return found

    def losses(self, batch: Mapping[str, Pixels | WordsBatch]) -> dict[str, Tensor]:
        """Of every contrast whose modalities are both there, by its name "image-text"."""
        points = {name: self.points(name, x) for name, x in batch.items()}
        return {
            f"{c.a}-{c.b}": self.contrast(n).loss(points[c.a], points[c.b])
            for n, c in enumerate(self.spec.contrasts)
            if points.keys() >= {c.a, c.b}
        }
