"""Patches left out: half of them reach the first block, each with its own place; nothing left out changes nothing."""

from __future__ import annotations

import pytest
import torch

from anyvlm.dual import Dual
from anyvlm.errors import SpecError
from anyvlm.system import Pixels
from anyvlm.train.drop import dropped
from tests.zoo.test_dual_laws import built


def batch(side: int, patch: int) -> Pixels:
    x_NC = torch.randn(3 * side**2, 3 * patch**2, generator=torch.Generator().manual_seed(0))
    return Pixels(x_NC, ((1, side, side),) * 3)


@pytest.mark.parametrize("name", ["clip-vit-b-16", "siglip-vit-b-16-256"])
def test_kept_patches_keep_their_places(name: str) -> None:
    module, x = built(name).module, batch(3, 16)
    assert isinstance(module, Dual)
    seen: list[int] = []
    hook = module.towers["image"].encoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    with torch.no_grad():
        whole, all_kept = module.points("image", x), module.points("image", dropped(x, 1.0))
        torch.testing.assert_close(whole, all_kept)
        half = dropped(x, 0.5, torch.Generator().manual_seed(1))
        module.points("image", half)
    hook.remove()
    cls = int(module.spec.towers["image"].encoder.cls)
    assert seen == [9 + cls, 9 + cls, 4 + cls]
    assert half.grids == ((1, 1, 4),) * 3 and half.places is not None
    for n, (rows, places) in enumerate(zip(half.x_NC.split(4), half.places.split(4), strict=True)):
        assert torch.equal(rows, x.x_NC[9 * n + places]) and len(set(places.tolist())) == 4
    assert half.places.tolist() != dropped(x, 0.5, torch.Generator().manual_seed(2)).places.tolist()


def test_a_share_must_leave_something() -> None:
    for keep in (0.0, 1.5):
        with pytest.raises(SpecError, match="above 0"):
            dropped(batch(3, 16), keep)
    with pytest.raises(SpecError, match="leaves none"):
        dropped(batch(3, 16), 0.1)
