"""Costs told from sizes are the rows that the module returns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.anatomy.tokens import costs
from anyvlm.errors import InputError
from anyvlm.parts.features import patches
from anyvlm.registry import system
from anyvlm.tiny import tiny

SYSTEMS = [tiny(system(name)) for name in ("anyvlm-pocket", "llava-1.5-7b", "maya")]
MODULES = {spec.name: spec.build().eval() for spec in SYSTEMS}
SIDE = st.integers(1, 5000)


@given(st.sampled_from(SYSTEMS), SIDE, SIDE)
def test_costs_are_rows(spec, width: int, height: int) -> None:
    (cost,) = costs(spec, [(width, height)])
    ((h, w),) = cost.cut.sizes
    stream = spec.streams["image"]
    x = patches(torch.zeros(1, 3, h, w), stream.encoder.patch)
    module = MODULES[spec.name]
    with torch.inference_mode():
        rows = module.connectors["image"](module.encoders["image"](x, cost.patches))
    assert rows.grids == cost.rows and len(rows.x_ND) == cost.tokens


def test_a_system_without_eyes_takes_none() -> None:
    blind = system("smollm2-135m-instruct")
    assert costs(blind, []) == ()
    with pytest.raises(InputError, match="without vision"):
        costs(blind, [(640, 480)])
