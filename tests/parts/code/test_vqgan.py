"""VQGANs equal those of the authors, both ways, and keep their shapes.

vqgan.json was made by `chameleon/inference/vqgan.py` of facebookresearch/chameleon dbbe47f and `janus/models/vq_model.py` of
deepseek-ai/Janus 1daa72f, run in fp32 with the weights of `seeded` below, their own names and the pictures of `pictures`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anyvlm.errors import InputError, SpecError
from anyvlm.keys import Keys, Layout, Mount, convert, match, revert
from anyvlm.parts.catalog.vqgan import VQGAN_LLAMAGEN, vqgan_taming
from anyvlm.parts.code.code import unpatched
from anyvlm.parts.code.vqgan import VQGAN, VQGANModule
from anyvlm.parts.features import patches
from tests.golden import seeded
from tests.parity import gap, record

GOLDEN = json.loads((Path(__file__).parent / "vqgan.json").read_text())
META = VQGAN(vocab=24, width=8, patch=4, base=32, levels=(1, 1, 2), depth=1, latent=16)
JANUS = VQGAN(vocab=24, width=8, patch=2, levels=(1, 1), latent=16, attend=True, unit=True)
CASES = {"chameleon": (META, vqgan_taming(3)), "janus": (JANUS, VQGAN_LLAMAGEN)}
REFERENCE = {"chameleon": "facebookresearch/chameleon dbbe47f vqgan.py", "janus": "deepseek-ai/Janus 1daa72f vq_model.py"}
NAMES = {"chameleon": ("chameleon-7b", "chameleon-34b"), "janus": ("janus-pro-1b", "janus-pro-7b", "janus-1.3b")}


def pictures(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(5)) * 2 - 1


def filled(spec: VQGAN, keys: Keys) -> VQGANModule:
    """Seeded by the names that the authors' files have."""
    module, layout = spec.build().eval(), Layout(name="theirs", mounts=(Mount(theirs="", ours="", keys=keys),))
    ours = dict(module.state_dict())
    theirs = {name: seeded(name, tuple(tensor.shape)) for name, tensor in revert(ours, layout, lambda _: spec)}
    module.load_state_dict(dict(convert(theirs, match(theirs, layout, lambda _: spec))))
    return module


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_both_ways(name: str) -> None:
    (spec, keys), golden = CASES[name], GOLDEN[name]
    module, ids = filled(spec, keys), torch.tensor(golden["ids"])
    assert torch.equal(module.encode(pictures(4 * spec.patch)), ids)
    worst = gap(module.decode(ids), torch.tensor(golden["pixels"]).view(golden["shape"]))
    assert worst <= 1e-5, worst
    for entry in NAMES[name]:
        record("golden", entry, worst, REFERENCE[name])


@given(h=st.integers(1, 5), w=st.integers(1, 5), count=st.integers(1, 3), spec=st.sampled_from([META.but(groups=8), JANUS]))
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_shapes(h: int, w: int, count: int, spec: VQGAN) -> None:
    """Codes -> pixels -> codes; as an encoder the same codes as rows."""
    module = spec.build().eval()
    ids = torch.randint(spec.vocab, (count, h, w))
    pixels = module.decode(ids)
    assert pixels.shape == (count, 3, h * spec.patch, w * spec.patch)
    assert spec.grid(*pixels.shape[2:]) == (1, h, w)
    again = module.encode(pixels)
    assert again.shape == ids.shape and 0 <= int(again.min()) <= int(again.max()) < spec.vocab
    rows = module(patches(pixels, spec.patch), ((1, h, w),) * count)
    assert rows.x_ND.shape == (count * h * w, 1) and rows.grids == ((1, h, w),) * count


@given(h=st.integers(1, 4), w=st.integers(1, 4), side=st.integers(1, 4), count=st.integers(1, 3))
def test_patches_come_together_again(h: int, w: int, side: int, count: int) -> None:
    pixels = torch.randn(count, 3, h * side, w * side)
    assert torch.equal(unpatched(patches(pixels, side).unflatten(0, (count, -1)), (1, h, w)), pixels)


def test_what_it_refuses() -> None:
    with pytest.raises(InputError, match="17 x 16"):
        META.grid(16, 17)
    with pytest.raises(SpecError, match="patches of 4 pixels"):
        META.but(patch=8)
    with pytest.raises(SpecError, match="no half that makes pictures"):
        META.but(draws=False).build().decode(torch.zeros(1, 2, 2, dtype=torch.long))
