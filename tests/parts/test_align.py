"""Heads of SAIL and LLM2CLIP equal the authors' code on tiny random weights, run outside the repository.

lezhang7/SAIL at b39de67 (`AlignmentLayer`, its sigmoid loss), microsoft/LLM2CLIP at cba3b45 (`TextProj`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anyvlm.contrasts import MeanSigmoid
from anyvlm.parts.align import Adapter, FirstAndMean, Star
from tests.golden import stored, weights
from tests.parity import gap

FACTS, NUMBERS = stored("align")
STAR = {"f1": "gate", "f2": "up", "g": "down"}


def given() -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(1)
    image, text = (torch.from_numpy(random.standard_normal((5, width)).astype(np.float32)) * 3 for width in (24, 12))
    return image, text


@torch.no_grad()
def test_sail() -> None:
    theirs, out = weights(FACTS["shapes"]["sail"]), []
    for side, width, x in zip(("vision", "text"), (24, 12), given(), strict=True):
        head = Star().build(width, 16)
        state = {f"norm.{n}": theirs[f"{side}_layer_norm.{n}"] for n in ("weight", "bias")}
        state |= {f"{o}.{n}": theirs[f"{side}_mapping_network.{t}.{n}"] for t, o in STAR.items() for n in ("weight", "bias")}
        head.load_state_dict(state)
        out.append(head(x))
    assert gap(out[0], NUMBERS["image"]) <= 1e-5 * float(NUMBERS["image"].abs().max())
    assert gap(out[1], NUMBERS["text"]) <= 1e-5 * float(NUMBERS["text"].abs().max())
    contrast = MeanSigmoid().build()
    assert abs(float(contrast.scale.exp()) - 20) < 1e-4
    contrast.scale.fill_(3.0)
    points = [torch.nn.functional.normalize(x, dim=-1) for x in out]
    assert abs(float(contrast.loss(*points)) - float(NUMBERS["loss"])) <= 1e-5


@torch.no_grad()
def test_llm2clip() -> None:
    theirs, state = weights(FACTS["shapes"]["llm2clip"]), {}
    for n in ("weight", "bias"):
        for block in range(4):
            at = f"text_adaptor.{block}."
            state[f"blocks.{block}.norm.{n}"] = theirs[f"{at}ln.{n}"]
            state |= {f"blocks.{block}.up.{n}": theirs[f"{at}fn.0.{n}"], f"blocks.{block}.down.{n}": theirs[f"{at}fn.3.{n}"]}
        state |= {f"norm.{n}": theirs[f"text_adaptor.4.{n}"], f"map.{n}": theirs[f"text_adaptor.5.{n}"]}
    for unit, name in ((True, "adapter"), (False, "adapter_raw")):
        head = Adapter(unit=unit).build(12, 16)
        head.load_state_dict(state)
        assert gap(head(given()[1]), NUMBERS[name]) <= 1e-5


def test_first_and_mean() -> None:
    pool, x = FirstAndMean(), torch.randn(2, 5, 3)
    assert pool.out(3) == 6
    out = pool.build(3)(x)
    assert torch.equal(out[:, :3], x[:, 0])
    torch.testing.assert_close(out[:, 3:], x[:, 1:].mean(1))
