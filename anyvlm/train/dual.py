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


def contrast(
    dual: Dual, batch: Mapping[str, Pixels | WordsBatch], stage: Stage, draw: torch.Generator | None = None
) -> dict[str, Tensor]:
    """The losses of the stage, by name ("image-text"). `draw`: chooses the patches that are left out.

    Raises SpecError where the batch lacks a side of one of them, or the stage leaves out what is no picture.
    """
    read = {name: _dropped(name, x, stage, draw) for name, x in batch.items()}
    losses = dual.losses(read)
    if missing := sorted(stage.losses.keys() - losses.keys()):
        raise SpecError(f"The stage '{stage.name}' needs the loss '{missing[0]}', of which a side is not in the batch.")
    return {name: losses[name] for name in stage.losses}


def _dropped(name: str, x: Pixels | WordsBatch, stage: Stage, draw: torch.Generator | None) -> Pixels | WordsBatch:
    keep = stage.keep.get(name, 1.0)
    if keep == 1.0:
        return x
    if not isinstance(x, Pixels):
        raise SpecError(f"The stage '{stage.name}' leaves out patches of '{name}', which has none.")
    return dropped(x, keep, draw)
