"""An encoder with a connector behind it gives what both give, side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from anyvlm.parts.catalog.dinov2 import DINOV2_S
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.pool import Glance
from anyvlm.parts.vision.bridged import Bridged

EYE = DINOV2_S.but(width=12, depth=1, heads=2, patch=2, size=8, ffn__hidden=16)
SPEC = Bridged(encoder=EYE, connector=Shuffle(r=2, then=Projector(depth=2)), width=20, patch=2)


def test_rows_of_both_stand_side_by_side() -> None:
    torch.manual_seed(0)
    grids = (SPEC.grid(8, 4), SPEC.grid(8, 8), SPEC.grid(8, 8))
    x_NC, module = torch.randn(8 + 16 + 16, 12), SPEC.build().eval()
    rows = module(x_NC, grids)
    assert SPEC.out == 32 and rows.grids == tuple(map(SPEC.rows, grids)) == ((1, 2, 1), (1, 2, 2), (1, 2, 2))
    seen = module.encoder(x_NC, grids)
    said = module.connector(seen)
    torch.testing.assert_close(rows.x_ND[:, :20], F.layer_norm(said.x_ND, (20,), eps=1e-6))
    first = seen.items()[2].reshape(4, 4, 12)[:2, 2:].mean((0, 1))  # the upper right quarter of the last picture
    torch.testing.assert_close(rows.items()[2][1, 20:], F.layer_norm(first, (12,), eps=1e-6))


def test_a_glance_weighs_rows_by_each_vector() -> None:
    torch.manual_seed(0)
    module, x_BRD = Glance(heads=3, hidden=10).build(8), torch.randn(2, 5, 8)
    means = [(x_BRD * (x_BRD @ look).softmax(1)[..., None]).sum(1) for look in module.look]
    torch.testing.assert_close(module(x_BRD), module.down(F.gelu(module.up(torch.cat(means, 1)))))
