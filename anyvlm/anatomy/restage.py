"""The stages of a recipe for a system with other parts: what has become fresh must be trained, what is gone cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch

from anyvlm.system import Stage, System
from anyvlm.weights.fresh import trains

ALIGN = Stage(
    name="align", train=(), lr=1e-3, batch=256, epochs=1, note="put in front by anyvlm remix, with the numbers of LLaVA's"
)


def restaged(stages: Sequence[Stage], system: System) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
    """The stages for `system`, and sentences about those that are gone.

    Globs of parts that are no more become those of the part that took their place. One stage at least trains all that is
    fresh; where none of the recipe's can, one is put in front.
    """
    with torch.device("meta"):
        names = [name for name, _ in system.build().named_parameters()]
    out: list[Stage] = []
    notes: list[str] = []
    for stage in stages:
        gone = [glob for glob in stage.train if not _hits(glob, names)]
        new = [part for glob in gone if (part := _part(glob)) in system.fresh]
        train = tuple(dict.fromkeys([*(glob for glob in stage.train if glob not in gone), *new]))
        if gone and "next_token" not in stage.losses:
            notes.append(f"The stage '{stage.name}' is left out: its losses are for parts that are no more.")
        elif train or stage.lora:
            rates = {glob: rate for glob, rate in stage.rates.items() if _hits(glob, names)}
            out.append(stage.but(train=train, rates=rates))
    return _covering(out, system.fresh, names), tuple(notes)


def _covering(stages: list[Stage], fresh: tuple[str, ...], names: list[str]) -> tuple[Stage, ...]:
    """With a stage that trains all of `fresh`: the first that trains some of it, or one in front."""
    for n, stage in enumerate(stages):
        if trains(stage, fresh):
            return tuple(stages)
        if "next_token" in stage.losses and any(_touches(glob, fresh, names) for glob in stage.train):
            rest = (glob for glob in stage.train if glob not in fresh and not _within(glob, fresh, names))
            return (*stages[:n], stage.but(train=(*fresh, *rest)), *stages[n + 1 :])
    return (ALIGN.but(train=fresh), *stages)


def _touches(glob: str, fresh: tuple[str, ...], names: list[str]) -> bool:
    """Whether something that a glob names is fresh."""
    return any(any(fnmatchcase(name, each) for each in fresh) for name in names if fnmatchcase(name, glob))


def _within(glob: str, fresh: tuple[str, ...], names: list[str]) -> bool:
    """Whether all that a glob names is fresh."""
    return all(any(fnmatchcase(name, each) for each in fresh) for name in names if fnmatchcase(name, glob))


def _hits(glob: str, names: list[str]) -> bool:
    return any(fnmatchcase(name, glob) for name in names)


def _part(glob: str) -> str:
    """connectors.image.queries -> connectors.image.*"""
    return ".".join([*glob.split(".")[:2], "*"])
