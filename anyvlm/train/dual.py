"""The step of systems of towers: patches left out as the stage says, then every contrast over the whole batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from anyvlm.dual import Dual
from anyvlm.errors import SpecError
from anyvlm.inputs.text import WordsBatch
from anyvlm.system import Pixels, Stage
from anyvlm.train.drop import dropped

Side = Mapping[str, Pixels | WordsBatch]


def contrast(
    dual: Dual, batch: Side, stage: Stage, draw: torch.Generator | None = None, alike_B: Tensor | None = None
) -> dict[str, Tensor]:
    """The losses of the stage, by name ("image-text"). `draw`: chooses the patches that are left out.

    `alike_B`: numbers of items, for contrasts that count those of one number as partners.
    Raises SpecError where the batch lacks a side of one of them, or the stage leaves out what is no picture.
    """
    return chosen(dual.losses(kept(batch, stage, draw), alike_B), stage)


def chosen(losses: Mapping[str, Tensor], stage: Stage) -> dict[str, Tensor]:
    """Those that the stage names."""
    if missing := sorted(stage.losses.keys() - losses.keys()):
        raise SpecError(f"The stage '{stage.name}' needs the loss '{missing[0]}', of which a side is not in the batch.")
    return {name: losses[name] for name in stage.losses}


def kept(batch: Side, stage: Stage, draw: torch.Generator | None) -> dict[str, Pixels | WordsBatch]:
    """The batch without the patches that the stage leaves out."""
    return {name: _dropped(name, x, stage, draw) for name, x in batch.items()}


def _dropped(name: str, x: Pixels | WordsBatch, stage: Stage, draw: torch.Generator | None) -> Pixels | WordsBatch:
    keep = stage.keep.get(name, 1.0)
    if keep == 1.0:
        return x
    if not isinstance(x, Pixels):
        raise SpecError(f"The stage '{stage.name}' leaves out patches of '{name}', which has none.")
    return dropped(x, keep, draw)
