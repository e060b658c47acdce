"""What lies under masks: the rows of a picture under each mask are pooled and compared with labels (FC-CLIP).

Source: bytedance/fc-clip 2b0bbe2 `fcclip.py`, `fcclip_transformer_decoder.py` (MaskPooling, get_classification_logits): its
classifier of what training never showed. Here masks are given; the head that draws them comes later.
Shape letters: Q masks, K labels, R rows of a picture, D width, E width of the shared space; pictures and masks are (H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anyvlm.dual import PixelTower
from anyvlm.errors import InputError
from anyvlm.generate.dual import Classes, DualModel
from anyvlm.inputs.image import ImageSource, read_image
from anyvlm.inputs.policy import Policy
from anyvlm.parts.features import Features, Grid, still
from anyvlm.parts.pool import NormedMean, Pick

Masks = npt.NDArray[np.bool_]


def classify_masks(
    model: DualModel, image: ImageSource, masks_QHW: Masks, labels: Sequence[str | Sequence[str]], *,
    templates: Sequence[str] | None = None,
) -> Classes:  # fmt: skip
    """Which label each mask of a picture has. A label may be several words for one thing: the nearest counts.

    Raises InputError for masks of another size than the picture, an empty one, and systems whose rows are no map or whose
    pool is no mean. `cut`: numbers are those of words, counted through.
    """
    words = [(label,) if isinstance(label, str) else tuple(label) for label in labels]
    if not all(words):
        raise InputError("A label has no words; give at least one for each.")
    names = model.check_labels([word for group in words for word in group])
    points_WE, cut = model.point_labels(names, templates)
    cosine_QW = point_masks(model, image, masks_QHW) @ points_WE.T
    cosine = torch.stack([some.max(-1).values for some in cosine_QW.split([len(group) for group in words], -1)], -1)
    contrast = model.module.contrast()
    with torch.inference_mode():
        scale = contrast.get_parameter("scale").exp().clamp(max=100)
    return Classes(cosine, contrast.probabilities(scale * cosine), cut, tuple(group[0] for group in words))


@torch.inference_mode()
def point_masks(model: DualModel, image: ImageSource, masks_QHW: Masks) -> Tensor:
    """Points (Q, E) of what lies under each mask. Raises InputError."""
    picture, tower = read_image(image, remote=model.remote), model.module.towers["image"]
    spec = model.system.towers["image"]
    assert isinstance(tower, PixelTower)
    if not isinstance(spec.pool, NormedMean | Pick) or (isinstance(spec.pool, Pick) and spec.pool.row != "mean"):
        raise InputError(f"'{model.system.name}' does not pool by the mean, so masks cannot choose rows; take fc-clip.")
    if masks_QHW.ndim != 3 or masks_QHW.shape[1:] != (picture.height, picture.width) or not len(masks_QHW):
        raise InputError(
            f"The masks have shape {masks_QHW.shape}; expected at least one of the picture's "
            f"{picture.height} x {picture.width} pixels."
        )
    array = torch.from_numpy(model.image_policy.arrays(picture)[0])
    grid = model.system.towers["image"].encoder.grid(*array.shape[1:])  # type: ignore[union-attr]
    rows: Features = tower.encoder(still(array, spec.encoder).to(model.place.device), (grid,))  # type: ignore[arg-type]
    if prod(grid) != len(rows.x_ND):
        raise InputError(f"The rows of '{model.system.name}' are no map, so masks cannot choose among them; take fc-clip.")
    seen_QR = under(model.image_policy, masks_QHW, grid).to(rows.x_ND.device)
    pooled_QD = tower.pool(rows.x_ND.expand(len(seen_QR), -1, -1), seen_QR)
    return F.normalize((pooled_QD if tower.project is None else tower.project(pooled_QD)).float(), dim=-1)


def under(policy: Policy, masks_QHW: Masks, grid: Grid) -> Tensor:
    """(Q, R): which rows lie under each mask, sent the way of the picture. One that is smaller than a row has the row that it
    covers most of.

    Raises InputError for an empty mask.
    """
    out = []
    for number, mask_HW in enumerate(masks_QHW):
        if not mask_HW.any():
            raise InputError(f"Mask {number} is empty; leave it out.")
        white, black = (policy.arrays(Image.new("RGB", (mask_HW.shape[1], mask_HW.shape[0]), c))[0] for c in ("white", "black"))
        found = policy.arrays(Image.fromarray(np.repeat(mask_HW[:, :, None] * np.uint8(255), 3, -1)))[0]
        share = torch.from_numpy((found - black)[0] / np.maximum((white - black)[0], 1e-6))[None, None]
        sure = F.interpolate(2 * share - 1, grid[1:], mode="bilinear", align_corners=False).flatten() > 0
        if not sure.any():
            sure[F.interpolate(share, grid[1:], mode="area").argmax()] = True
        out.append(sure)
    return torch.stack(out)
