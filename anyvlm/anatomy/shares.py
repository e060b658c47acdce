"""The parts of a system in the order in which data flows, and what each is of the whole: parameters, active, trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING

from anyvlm.anatomy.parameters import hollow
from anyvlm.dual import DualSystem, SignalTower
from anyvlm.ground import GroundSystem
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.spec import Spec
from anyvlm.system import Stage, System, VisionSystem

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Move:
    """What one stage does to a part: so many of its parameters move, and so many are added in low-rank updates."""

    stage: str
    trained: int
    added: int


@dataclass(frozen=True)
class Share:
    """A part, its spec (None where the system itself makes it), and its parameters: `count`, and of them the `active` ones.

    Active are those that one token of text goes through: of experts the ones that its router prefers, of weights by kind
    those for text. `moves`: the stages that train some of it.
    """

    path: str
    spec: Spec | None
    count: int
    active: int
    moves: tuple[Move, ...] = ()


def parts(system: AnySystem) -> Iterator[tuple[str, Spec]]:
    """The path of every part's parameters, and its spec."""
    match system:
        case VisionSystem():
            yield "", system.encoder
        case MatchSystem():
            yield "encoder", system.encoder
            yield "text", system.text
            if system.captioner is not None:
                yield "lm", system.captioner
        case GroundSystem():
            yield "encoder", system.encoder
            yield "pyramid", system.pyramid
            yield "text", system.text
        case DualSystem():
            for name, tower in system.towers.items():
                yield f"towers.{name}.encoder", tower.encoder
                yield f"towers.{name}.pool", tower.pool
                if tower.project is not None:
                    yield f"towers.{name}.project", tower.project
                if not isinstance(tower, SignalTower) and tower.spread is not None:
                    yield f"towers.{name}.spread", tower.spread
            for n, contrast in enumerate(system.contrasts):
                yield f"contrasts.{n}", contrast
        case System():
            for name, stream in system.streams.items():
                yield f"encoders.{name}", stream.encoder
                yield f"connectors.{name}", stream.connector
                if stream.join is not None:
                    yield f"joins.{name}", stream.join
            yield "lm", system.lm
            if system.painting is not None:
                yield "painter", system.painting.tables


def shares(system: AnySystem, module: nn.Module | None = None) -> tuple[Share, ...]:
    """Every part, then what the system has beside them (a map into a shared space), by the name of its module.

    `module`: what it builds, if it has been made.
    """
    module = hollow(system) if module is None else module
    counts = {name: prod(parameter.shape) for name, parameter in module.named_parameters()}
    idle = _idle(module, counts)
    at = "encoder." if isinstance(system, VisionSystem) else ""  # where its stages look for what it builds
    moved = [(stage.name, _trained(stage, counts, at), _added(stage, module)) for stage in system.stages]
    specs: dict[str, Spec | None] = dict(parts(system))
    for name in counts:
        if not any(_below(name, path) for path in specs):
            specs[name.partition(".")[0]] = None
    out = []
    for path, spec in specs.items():
        count = sum(n for name, n in counts.items() if _below(name, path))
        away = sum(n for name, n in idle.items() if _below(name, path))
        sums = [
            Move(stage, *(sum(n for name, n in some.items() if _below(name, path)) for some in both)) for stage, *both in moved
        ]
        out.append(Share(path, spec, count, count - away, tuple(move for move in sums if move.trained or move.added)))
    return tuple(out)


def _below(name: str, path: str) -> bool:
    return not path or name == path or name.startswith(f"{path}.")


def _trained(stage: Stage, counts: dict[str, int], at: str) -> dict[str, int]:
    return {name: n for name, n in counts.items() if any(fnmatchcase(f"{at}{name}", glob) for glob in stage.train)}


def _added(stage: Stage, module: nn.Module) -> dict[str, int]:
    """Parameters of low-rank updates, by the name of the layer that they are added to."""
    from torch import nn

    lora = stage.lora
    if lora is None:
        return {}
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
    return {
        name: lora.rank * (layer.in_features + layer.out_features)
        for name, layer in layers.items()
        if any(fnmatchcase(name, glob) for glob in lora.on)
    }


def _idle(module: nn.Module, counts: dict[str, int]) -> dict[str, int]:
    """Of every parameter of experts and copies, how many values a token of text does not meet."""
    from anyvlm.parts.by_kind import Copies
    from anyvlm.parts.moe import MoEModule

    out = dict[str, int]()
    for path, each in module.named_modules():
        if isinstance(each, MoEModule):
            below = [name for name in counts if _below(name, f"{path}.experts")]
            out |= {name: counts[name] * (each.spec.experts - each.spec.top) // each.spec.experts for name in below}
        elif isinstance(each, Copies):
            kinds = [name for name, _ in each.named_children() if name != "text"]
            out |= {name: counts[name] for kind in kinds for name in counts if _below(name, f"{path}.{kind}")}
    return out
