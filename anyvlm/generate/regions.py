"""Points of regions, for systems whose pictures have a fourth channel (Alpha-CLIP)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anyvlm.dual import Tower
from anyvlm.errors import InputError
from anyvlm.generate.dual import BATCH, DualModel
from anyvlm.inputs.image import ImageSource, read_image
from anyvlm.inputs.masked import Mask, Masked


def point_regions(
    model: DualModel, images: Sequence[ImageSource], masks: Sequence[Mask], *, batch: int = BATCH
) -> Tensor:
    """Points (I, E) of what each mask marks in its picture. Raises InputError."""
    tower = model.system.towers.get("image")
    if not isinstance(tower, Tower) or not isinstance(tower.policy, Masked):
        raise InputError(f"'{model.system.name}' sees whole pictures only; use an Alpha-CLIP system for regions.")
    if len(images) != len(masks) or not masks:
        raise InputError(f"There are {len(images)} pictures and {len(masks)} masks; give one mask for each picture.")
    arrays = [
        tower.policy.region(read_image(image, remote=model.remote), mask) for image, mask in zip(images, masks, strict=True)
    ]
    return torch.cat([model.point_arrays(arrays[start : start + batch]) for start in range(0, len(arrays), batch)])
