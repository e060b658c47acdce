"""PaliGemma's masks equal those of big_vision at commit 5f95305, evaluators/proj/paligemma/transfers/segmentation.py.

Its `get_reconstruct_masks` was run outside this repository (jax 0.10.2, flax 0.12.8) on the weights and ids of
`mask_weights.py`; masks.npz keeps what came out, and what its evaluator makes of it in a picture of 131 x 97 pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyvlm import registry
from anyvlm.errors import SpecError, WeightsError
from anyvlm.generate.answer import Answer, Growing
from anyvlm.generate.engine import Delta
from anyvlm.inputs.boxes import Box, Locations
from anyvlm.inputs.plan import Plan, Seen
from anyvlm.inputs.regions import Mask
from anyvlm.parts.code.mask import MaskDecoder
from anyvlm.system import System
from anyvlm.weights.load import load_masks
from tests.parity import record
from tests.parts.mask_weights import IDS, weights

GOLDEN = np.load(Path(__file__).parent / "masks.npz")
REFERENCE = "big_vision 5f95305"
SIZE = (131, 97)
PALIGEMMA = [name for name in registry.SYSTEMS if registry.SYSTEMS[name].startswith("paligemma:")]


def paligemma() -> System:
    system = registry.system("paligemma-3b-mix-224")
    assert isinstance(system, System)
    return system


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "vae-oid.npz"
    np.savez(path, **weights())
    return path


@pytest.fixture(scope="module")
def decoder(file: Path) -> MaskDecoder:
    return load_masks(paligemma(), file)


def written(n: int) -> str:
    """What PaliGemma would write for mask n."""
    locations = "".join(f"<loc{step:04d}>" for step in GOLDEN["locs"][n])
    return locations + "".join(f"<seg{id:03d}>" for id in IDS[n]) + " cat"


def answer(text: str, decoder: MaskDecoder | None) -> Answer:
    system = paligemma()
    plan = Plan((1,), (0,), (False,), (), (Seen("image", system.streams["image"].policy.cut(*SIZE), 0),))
    growing = Growing(plan, 0.0, system.boxes, decoder)
    growing.push(Delta(0, 5, text, "stop"))
    return growing.answer()


@torch.no_grad()
def test_masks_are_those_of_the_authors(decoder: MaskDecoder) -> None:
    worst = float(np.abs(decoder(torch.from_numpy(IDS)).numpy() - GOLDEN["masks"]).max())
    assert worst <= 1e-5, worst
    for name in PALIGEMMA:
        record("golden", name, worst, REFERENCE)


def test_an_answer_holds_masks(decoder: MaskDecoder) -> None:
    """Each pixel of the original picture, as the authors' evaluator paints it."""
    wanted = np.unpackbits(GOLDEN["pixels"])[: 2 * SIZE[0] * SIZE[1]].reshape(2, SIZE[1], SIZE[0]).astype(bool)
    found = answer(" ; ".join(map(written, range(2))), decoder)
    assert [mask.label for mask in found.masks] == ["cat", "cat"] == [box.label for box in found.boxes]
    for mask, box, pixels in zip(found.masks, found.boxes, wanted, strict=True):
        assert mask.xyxy == box.xyxy and mask.pixels.dtype == np.bool_
        assert np.array_equal(mask.pixels, pixels) and pixels.any() and not pixels.all()


def test_boxes_without_a_decoder() -> None:
    found = answer(written(0), None)
    assert len(found.boxes) == 1 and found.masks[0].ids == tuple(IDS[0])
    with pytest.raises(WeightsError, match=r"vae-oid\.npz"):
        _ = found.masks[0].pixels


def test_what_is_no_mask(decoder: MaskDecoder) -> None:
    assert answer(written(0).replace("<seg000>", ""), decoder).masks == ()  # fifteen of sixteen
    assert answer("<loc0010><loc0010><loc0010><loc0900>" + "<seg001>" * 16, decoder).masks == ()  # no extent
    thin = answer("<loc0001><loc0010><loc0002><loc0900>" + "<seg001>" * 16, decoder)
    assert not thin.masks[0].pixels.any()  # less than a pixel high
    assert answer("<loc0000><loc0000><loc0900><loc0900>" + "<seg128>" * 16, decoder).masks == ()  # there are 128


def test_a_decoder_that_is_missing_or_another(file: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights"):
        load_masks(paligemma(), tmp_path)
    with pytest.raises(WeightsError, match="check the path"):
        load_masks(paligemma(), tmp_path / "nowhere" / "vae-oid.npz")
    (tmp_path / "vae-oid.npz").write_bytes(b"no archive")
    with pytest.raises(WeightsError, match="damaged"):
        load_masks(paligemma(), tmp_path)
    some = weights()
    del some["decoder.6.weight"]
    np.savez(tmp_path / "vae-oid.npz", **some)
    with pytest.raises(WeightsError, match=r"ups\.1\.weight"):
        load_masks(paligemma(), tmp_path)
    np.savez(tmp_path / "vae-oid.npz", codes=np.array([{}], dtype=object))
    with pytest.raises(WeightsError, match="numbers"):
        load_masks(paligemma(), tmp_path)["codes"]
    system = registry.system("llava-1.5-7b")
    assert isinstance(system, System)
    with pytest.raises(SpecError, match="no masks"):
        load_masks(system, file)


@given(st.lists(st.integers(0, 127), min_size=16, max_size=16), st.sampled_from(["", " a cat", " cat "]))
def test_masks_are_read_as_they_are_written(ids: list[int], label: str) -> None:
    text = "<loc0000><loc0100><loc0500><loc1023>" + "".join(f"<seg{id:03d}>" for id in ids) + label
    (mask,), (box,) = (read(text, (640, 480)) for read in (Locations().masks, Locations().read))
    assert isinstance(mask, Mask) and mask.ids == tuple(ids)
    assert isinstance(box, Box) and (mask.label, mask.xyxy) == (box.label, box.xyxy) == (label.strip(), box.xyxy)
