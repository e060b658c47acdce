"""What systems of many senses are asked beside pictures and texts: points of sounds and other signals, and sums of points.

Shape letters: I signals, B arrays, E width of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.dual import SignalTower
from anyvlm.errors import InputError
from anyvlm.generate.dual import BATCH, DualModel
from anyvlm.inputs.signal import Array
from anyvlm.system import Pixels


@torch.inference_mode()
def point_signals(model: DualModel, modality: str, signals: Sequence[Array], *, batch: int = BATCH) -> Tensor:
    """Points (I, E) of waves or arrays, which the policy of that tower reads.

    The points of several clips are averaged and not made longer again, as ImageBind's authors do. Raises InputError.
    """
    tower = model.system.towers.get(modality)
    if not isinstance(tower, SignalTower):
        senses = ", ".join(name for name, each in model.system.towers.items() if isinstance(each, SignalTower))
        raise InputError(f"'{model.system.name}' has no tower for signals of '{modality}'; it has {senses or 'none'}.")
    if not len(signals):
        raise InputError("There are no signals; give at least one.")
    out = []
    for start in range(0, len(signals), batch):
        clips = [tower.policy.arrays(np.asarray(signal)) for signal in signals[start : start + batch]]
        arrays = [torch.from_numpy(array) for some in clips for array in some]
        x_NC = torch.cat([tower.encoder.cut(array) for array in arrays]).to(model.place.device)
        grids = tuple(tower.encoder.grid(*array.shape[-2:]) for array in arrays)
        points = model.module.points(modality, Pixels(x_NC, grids)).float()
        out += [some.mean(0) for some in points.split([len(some) for some in clips])]
    return torch.stack(out)


def combine(points: Sequence[Tensor], weights: Sequence[float] | None = None) -> Tensor:
    """The sum of points (..., E) of any senses, of length 1: a picture of a beach and the sound of waves.

    `weights`: of each, 1 where None; a negative one takes away. Raises InputError where nothing is left.
    """
    shares = [1.0] * len(points) if weights is None else list(weights)
    if not points or len(shares) != len(points):
        raise InputError(f"There are {len(points)} points and {len(shares)} weights; give a point, and a weight for each.")
    total = sum((share * point for share, point in zip(shares, points, strict=True)), torch.zeros(()))
    if not bool((total.norm(dim=-1) > 0).all()):
        raise InputError("The points cancel out, so that their sum has no direction; change the weights.")
    return F.normalize(total, dim=-1)
