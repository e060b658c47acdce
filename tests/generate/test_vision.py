"""An encoder alone: a directory of transformers in, the rows of its model out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf
from PIL import Image

import anyvlm
from anyvlm.errors import InputError
from anyvlm.generate import model
from anyvlm.generate.memory import AT_ONCE
from anyvlm.generate.vision import VisionModel
from anyvlm.parts.features import Features
from tests.commands import run
from tests.parity import gap, saved, stirred

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 42, "patch_size": 14}
PICTURES = [Image.effect_noise((30 + 7 * n, 60), 80).convert("RGB") for n in range(AT_ONCE + 2)]


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, hf.BaseImageProcessor, Path]:
    """A tiny random DINOv2 with its processor, and the directory both were saved to."""
    theirs = stirred(hf.Dinov2Model(hf.Dinov2Config(**SMALL, mlp_ratio=2)))
    folder = saved(theirs, tmp_path_factory.mktemp("tower"))
    square = {"height": 42, "width": 42}
    processor = hf.models.bit.image_processing_pil_bit.BitImageProcessorPil(size={"shortest_edge": 48}, crop_size=square)
    processor.save_pretrained(folder)
    return theirs, processor, folder


def test_rows_are_those_of_transformers(tower: tuple[torch.nn.Module, hf.BaseImageProcessor, Path]) -> None:
    """Of more pictures than are encoded in one go, each of a size of its own."""
    theirs, processor, folder = tower
    ours = anyvlm.load(folder, device="cpu", dtype="fp32")
    assert isinstance(ours, VisionModel) and ours.system.name == folder.name
    rows = ours.encode(PICTURES)
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(processor(PICTURES, return_tensors="np")["pixel_values"])).last_hidden_state[:, 1:]
    assert rows.grids == ((1, 3, 3),) * len(PICTURES)
    assert gap(torch.stack(rows.items()), wanted) <= 1e-5
    one: Features = ours.encode(PICTURES[3])
    assert one.grids == ((1, 3, 3),) and gap(one.x_ND, wanted[3]) <= 1e-5
    assert not one.x_ND.is_inference()  # a probe can be trained on it


def test_best_dtype_of_the_machine(tower: tuple[torch.nn.Module, hf.BaseImageProcessor, Path]) -> None:
    """Packed where the processor multiplies bf16: near the exact rows."""
    exact, near = (anyvlm.load(tower[2], device="cpu", dtype=dtype) for dtype in ("fp32", None))
    assert isinstance(exact, VisionModel) and isinstance(near, VisionModel)
    want = exact.encode(PICTURES[0]).x_ND
    assert gap(near.encode(PICTURES[0]).x_ND.float(), want) < 0.05 * want.abs().max()


def test_no_pictures(tower: tuple[torch.nn.Module, hf.BaseImageProcessor, Path]) -> None:
    ours = anyvlm.load(tower[2], device="cpu")
    assert isinstance(ours, VisionModel)
    with pytest.raises(InputError, match="at least one"):
        ours.encode([])


def test_what_wants_an_answer_refuses_it_before_anything_is_fetched(tmp_path: Path) -> None:
    env = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    for words in (("ask", "What is this?"), ("chat",)):
        assert "'dinov2-small' is an encoder alone" in run(*words, "--model", "dinov2-small", env=env).sentence
    with pytest.raises(InputError, match="encoder alone"):
        model.load("clip-vit-l-14-vision")
