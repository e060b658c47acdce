"""The last map of a vision tower, trained on a few pictures of each class and held near where it began (ProLIP, 2410.05270).

Everything in front of the map is frozen, so its vectors are computed once for many views; training is then seconds.
Source: astra-vision/ProLIP b43e795 `methods/ProLIP.py`.
Shape letters: B pictures, K classes, D width in front of the map, E width of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.dual import Dual, PixelTower
from anyvlm.errors import SpecError
from anyvlm.system import Pixels

SCALE, EPS = 100.0, 1e-4
"""Of cosines; of Adam."""


def last_map(dual: Dual) -> nn.Linear:
    """What is trained: the weight of the vision tower's map. Raises SpecError where there is none."""
    tower = dual.towers["image"]
    if not isinstance(tower, PixelTower) or not isinstance(tower.project, nn.Linear):
        raise SpecError(f"The vision tower of '{dual.spec.name}' does not end in a linear map; take one that does: a CLIP.")
    return tower.project


@torch.no_grad()
def unmapped(dual: Dual, x: Pixels) -> Tensor:
    """(B, D): what stands in front of the map, of pictures whose grids are alike."""
    tower = dual.towers["image"]
    assert isinstance(tower, PixelTower)
    ((_, x_BRD),) = tower.encoder(x.x_NC, x.grids).groups()
    out: Tensor = tower.pool(x_BRD)
    return out


def fit(
    dual: Dual, views: Sequence[Tensor], labels_B: Tensor, classes_KE: Tensor, *, shots: int, stay: float | None = None,
    lr: float = 1e-5, epochs: int = 300,
) -> float:  # fmt: skip
    """Train the map in place and return the last loss: cross-entropy over classes and `stay` times the squared distance.

    `views`: (B, D) of each augmented view of the same pictures, one an epoch, in turn; `classes_KE`: points of class names;
    `stay`: 1 / shots if None.
    """
    if not views:
        raise SpecError("There are no views to train on; compute at least one with `unmapped`.")
    project = last_map(dual)
    weight, bias = project.weight, project.bias
    start, stay = weight.detach().clone(), 1 / shots if stay is None else stay
    steps = torch.optim.Adam([weight], lr=lr, eps=EPS)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(steps, epochs)
    loss = weight.new_zeros(())
    for epoch in range(epochs):
        x_BD = views[(epoch + 1) % len(views)]
        points_BE = F.normalize(F.linear(x_BD, weight, None if bias is None else bias.detach()), dim=-1)
        away = (weight - start).square().sum()
        loss = F.cross_entropy(SCALE * points_BE @ classes_KE.T, labels_B) + stay * away
        steps.zero_grad()
        loss.backward()
        steps.step()
        falling.step()
    return float(loss.detach())
