"""Parameters that no checkpoint fills: whole parts begin as when they are built, single modules as torch begins them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial

import torch
from torch import nn

from anyvlm.errors import SpecError
from anyvlm.match import AnySystem
from anyvlm.system import VLM, Stage, System


def trains(stage: Stage, fresh: tuple[str, ...]) -> bool:
    """Whether a stage trains all that is fresh."""
    return all(any(fnmatchcase(each, glob) for glob in stage.train) for each in fresh)


def untrained(system: AnySystem) -> str:
    """Why a system cannot answer yet, in one sentence; "" if it can: nothing of it is fresh."""
    if not isinstance(system, System) or not system.fresh:
        return ""
    order = [stage.name for stage in system.stages]
    first = "train that first"
    for n, stage in enumerate(system.stages):
        if trains(stage, system.fresh):
            first = f"train its stages up to '{order[n]}' first" if n else f"train its stage '{order[n]}' first"
            break
    return (
        f"'{system.name}' is untrained: no checkpoint fills {', '.join(system.fresh)}, so that it would answer noise; {first}, "
        "and ask the directory that is saved then."
    )


def freshen(module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Give every parameter that is still on the meta device its first value. Raises SpecError for one that has none."""
    if isinstance(module, VLM):
        for holder, name, build in _parts(module):
            old = holder.get_submodule(name)
            parameters = list(old.parameters())
            if parameters and all(parameter.is_meta for parameter in parameters):
                holder.set_submodule(name, build().to(device, dtype))
    for name, owner in module.named_modules():
        if any(parameter.is_meta for parameter in owner.parameters(recurse=False)):
            if not hasattr(owner, "reset_parameters"):
                raise SpecError(f"{name} is declared fresh but does not know how to begin; it must come from a checkpoint.")
            owner.to_empty(device=device, recurse=False).to(dtype)
            owner.reset_parameters()


def _parts(vlm: VLM) -> Iterator[tuple[nn.Module, str, Callable[[], nn.Module]]]:
    """(where it is held, its name there, how to build it) of all parts that can be built alone."""
    lm, width = vlm.spec.lm, vlm.spec.lm.width
    into = {name: stream.connector.width(stream.encoder.out, width) for name, stream in vlm.spec.streams.items()}
    inserts = (insert for insert in lm.inserts for _ in insert.layers)
    for n, insert in enumerate(inserts):
        yield vlm, f"lm.inserts.{n}", partial(insert.build, width, into[insert.memory])
    for name, stream in vlm.spec.streams.items():
        yield vlm, f"encoders.{name}", stream.encoder.build
        yield vlm, f"connectors.{name}", partial(stream.connector.build, stream.encoder.out, width)
        if stream.join:
            yield vlm, f"joins.{name}", partial(stream.join.build, width)

