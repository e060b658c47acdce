"""Systems of towers: every modality becomes a point on one sphere, where cosine is likeness (CLIP, SigLIP ... ImageBind).

A tower is an encoder, a pool and a map into the shared space. What is compared with what, and how likeness becomes
probability or loss, is a contrast.
Shape letters: B items, N rows of all items, C values per patch, R rows of an item, D width, E width of the shared space,
A and K items of two modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from anyvlm.parts.pool import Map, Pick, Pool
from anyvlm.parts.text import TextEncoder
from anyvlm.parts.uncertain import Spread
from anyvlm.spec import Spec
from anyvlm.system import Checkpoint, Meta, Pixels, Stage
from anyvlm.weights.sources import Source

# Specs ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Tower(Spec):
    """One modality's way to a point: policy (picture -> pixels), encoder, pool, map. Without a map the pool's vector is it.

    `spread`: how sure it is, beside the point (ProLIP).
    """

    policy: Policy
    encoder: Encoder
    pool: Pool
    project: Map | None = None
    spread: Spread | None = None

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
    project: Map | None = None

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
    project: Map | None = None
    spread: Spread | None = None

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

    @property
    def sides(self) -> dict[str, str]:
        """The names of its two sides in a training batch, and the towers that read them."""
        return {self.a: self.a, self.b: self.b}

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
    """A named system of towers by modality: everything that reproduces it. The first contrast is the one people ask about.

    `unit`: points are of length 1, else they are the vectors as the towers make them (VideoCLIP).
    """

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
    unit: bool = True

    def __post_init__(self) -> None:
        for name, tower in self.towers.items():
            if tower.project is None and tower.pool.out(tower.out) != self.shared:
                raise SpecError(f"'{self.name}': rows of {name} are {tower.out} wide, not {self.shared}; map them.")
        if missing := {tower for each in self.contrasts for tower in each.sides.values()} - self.towers.keys():
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


@dataclass(frozen=True)
class Look:
    """What a tower made of items: vectors (B, E), not normed; rows (B, R, E) in the same space, where items have equally many
    and a map takes them; log variances (B, E), where the tower says how sure it is; what was pooled (B, D), before the map.

    `alike_B`: numbers of items, where those of one number are partners of each other too.
    """

    vector_BE: Tensor
    rows_BRD: Tensor | None = None
    project: nn.Module | None = None
    spread_BE: Tensor | None = None
    pooled_BD: Tensor | None = None
    alike_B: Tensor | None = None

    @property
    def point_BE(self) -> Tensor:
        """Of length 1, in fp32 whatever the tower computes in."""
        return F.normalize(self.vector_BE.float(), dim=-1)

    @property
    def rows_BRE(self) -> Tensor:
        """All rows, mapped as the pooled one is."""
        assert self.rows_BRD is not None
        return self.rows_BRD if self.project is None else torch.as_tensor(self.project(self.rows_BRD))


class PixelTower(nn.Module):
    """Parameters: encoder, pool, project, spread."""

    def __init__(self, spec: Tower | SignalTower, shared: int) -> None:
        super().__init__()
        self.encoder, self.pool = spec.encoder.build(), spec.pool.build(spec.out)
        self.project = spec.project.build(spec.pool.out(spec.out), shared) if spec.project is not None else None
        spread = spec.spread if isinstance(spec, Tower) else None
        self.spread = spread.build(spec.out, shared) if spread is not None else None
        self.alone = spec.encoder.alone and spec.pool == Pick(row="first") and spread is None

    def look(self, x: Pixels) -> Look:
        """Of all items."""
        # only encoders with a table of places can read some patches of a picture
        rows: Features = self.encoder(x.x_NC, x.grids) if x.places is None else self.encoder(x.x_NC, x.grids, x.places)
        groups = [x_BRD for _, x_BRD in rows.groups()]
        pooled = [self.pool(x_BRD) for x_BRD in groups]
        x_BD = pooled[0] if len(pooled) == 1 else torch.cat(pooled)
        return _look(x_BD, groups[0] if len(groups) == 1 else None, self.project, self.spread)

    def forward(self, x: Pixels) -> Tensor:
        """Vectors (B, E) of all items, not normed; rows that only `look` returns are not computed."""
        if not self.alone:
            return self.look(x).vector_BE
        x_BD: Tensor = self.encoder.first(x.x_NC, x.grids, x.places)  # type: ignore[operator]
        return x_BD if self.project is None else torch.as_tensor(self.project(x_BD))


class WordTower(nn.Module):
    """Parameters: encoder, pool, project, spread."""

    def __init__(self, spec: TextTower, shared: int) -> None:
        super().__init__()
        self.encoder, self.pool = spec.encoder.build(), spec.pool.build(spec.out)
        self.project = spec.project.build(spec.pool.out(spec.out), shared) if spec.project is not None else None
        self.spread = spec.spread.build(spec.out, shared) if spec.spread is not None else None

    def look(self, x: WordsBatch) -> Look:
        """Of all texts."""
        rows = self.encoder(x.ids_BT, x.seen_BT)
        return _look(self.pool(rows, x.seen_BT), rows, self.project, self.spread)

    def forward(self, x: WordsBatch) -> Tensor:
        """Vectors (B, E) of all texts, not normed."""
        return self.look(x).vector_BE


def _look(x_BD: Tensor, rows: Tensor | None, project: nn.Module | None, spread: nn.Module | None) -> Look:
    vector = x_BD if project is None else project(x_BD)
    return Look(vector, rows, project, None if spread is None else spread(rows, vector), x_BD)


class ContrastModule(nn.Module):
    """Parameters: scale (a logarithm), bias if it has one. Points are normed. `reads_rows`: not of points alone."""

    spec: Contrast
    reads_rows = False

    def logits(self, a_AE: Tensor, b_KE: Tensor) -> Tensor:
        """(A, K)."""
        raise NotImplementedError

    def probabilities(self, logits_AK: Tensor) -> Tensor:
        """(A, K): of each `a`, what it thinks of the candidates `b`."""
        raise NotImplementedError

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """Of partners at the same places; no matrix (B, B) is kept."""
        raise NotImplementedError

    def between(self, a: Look, b: Look) -> Tensor:
        """The loss of what two towers made of partners; here of their points alone."""
        return self.loss(a.point_BE, b.point_BE)


class SoftmaxModule(ContrastModule):
    """Parameters: scale."""

    def __init__(self, spec: Softmax) -> None:
        super().__init__()
        self.spec, self.scale = spec, nn.Parameter(torch.tensor(log(spec.scale)))

    def reset_parameters(self) -> None:
        """As training begins."""
        nn.init.constant_(self.scale, log(self.spec.scale))

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
        self.spec, self.scale, self.begin = spec, nn.Parameter(torch.tensor(log(spec.scale))), spec.bias
        self.bias = nn.Parameter(torch.tensor(spec.bias))

    def reset_parameters(self) -> None:
        """As training begins."""
        nn.init.constant_(self.scale, log(self.spec.scale))
        nn.init.constant_(self.bias, self.begin)

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
        """Points (B, E), of length 1 unless the system says otherwise."""
        return self.sized(self.towers[modality](x).float())

    def sized(self, x_BE: Tensor) -> Tensor:
        """Vectors as points of the system."""
        return F.normalize(x_BE, dim=-1) if self.spec.unit else x_BE

    def look(self, modality: str, x: Pixels | WordsBatch) -> Look:
        """All that a tower says of items."""
        tower = self.towers[modality]
        assert isinstance(tower, PixelTower | WordTower)
        return tower.look(x)  # type: ignore[arg-type]

    def contrast(self, number: int = 0) -> ContrastModule:
        """A contrast."""
        found = self.contrasts[number]
        assert isinstance(found, ContrastModule)
        return found

    def losses(self, batch: Mapping[str, Pixels | WordsBatch], alike_B: Tensor | None = None) -> dict[str, Tensor]:
        """Of every contrast whose sides are both there, by its name "image-text".

        `alike_B`: numbers of items, for contrasts that count those of one number as partners.
        """
        return self.between(self.looks(batch, alike_B))

    def looks(self, batch: Mapping[str, Pixels | WordsBatch], alike_B: Tensor | None = None) -> dict[str, Look]:
        """What its towers made of every side of a batch."""
        towers = {side: tower for c in self.spec.contrasts for side, tower in c.sides.items()}
        return {side: replace(self.look(towers.get(side, side), x), alike_B=alike_B) for side, x in batch.items()}

    def between(self, looks: Mapping[str, Look]) -> dict[str, Tensor]:
        """The losses of what towers made of a batch."""
        return {
            f"{c.a}-{c.b}": self.contrast(n).between(looks[c.a], looks[c.b])
            for n, c in enumerate(self.spec.contrasts)
            if looks.keys() >= {c.a, c.b}
        }
