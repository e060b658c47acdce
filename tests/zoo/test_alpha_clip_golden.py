"""Alpha-CLIP equals the authors' code: SunzeY/AlphaCLIP at e5676c9, run outside the repository on tiny random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.errors import InputError
from anyvlm.generate.regions import point_regions
from anyvlm.inputs.masked import Masked
from anyvlm.inputs.text import WordsBatch
from anyvlm.keys import revert
from anyvlm.parts.catalog.alpha_clip import ALPHA_VISUAL
from anyvlm.system import Checkpoint
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record
from tests.whole import noise
from tests.zoo.test_dual_laws import built

NAMES, REFERENCE = ("alpha-clip-b-16", "alpha-clip-l-14", "alpha-clip-l-14-336"), "SunzeY/AlphaCLIP e5676c9"
FACTS, NUMBERS = stored("alpha_clip")


def system(folder: Path, *files: str) -> DualSystem:
    whole = registry.system(NAMES[0])
    sources = [Directory(path=str(folder / file)) for file in files]
    return whole.but(
        shared=16, towers__image__encoder__width=128, towers__image__encoder__depth=2, towers__image__encoder__heads=2,
        towers__image__encoder__size=48, towers__image__encoder__ffn__hidden=512, towers__text__encoder__width=64,
        towers__text__encoder__depth=2, towers__text__encoder__heads=2, towers__text__encoder__vocab=40,
        towers__text__encoder__ffn__hidden=256,
        checkpoints=tuple(
            Checkpoint(source=source, layouts=each.layouts, fallback=each.fallback)
            for source, each in zip(sources, whole.checkpoints, strict=False)
        ),
    )  # fmt: skip


@torch.no_grad()
def test_points(tmp_path: Path) -> None:
    """From one whole file, and from the vision tower's alone beside CLIP's."""
    theirs = weights(FACTS["shapes"]) | {"logit_scale": torch.tensor(2.0)}
    save_file(theirs, tmp_path / "whole.safetensors")
    eye = {name.removeprefix("visual."): t for name, t in theirs.items() if name.startswith("visual.")}
    save_file(eye, tmp_path / "eye.safetensors")
    whole = load_module(system(tmp_path, "whole.safetensors"), dtype=torch.float32)
    assert isinstance(whole, Dual)
    clip = registry.system("clip-vit-b-16")
    layout = clip.checkpoints[0].layouts[0]
    spec = system(tmp_path)
    rest = {name: t for name, t in whole.state_dict().items() if not name.startswith("towers.image.")}
    (tmp_path / "rest").mkdir()
    text = {n: t.contiguous() for n, t in revert(rest, layout, spec.part)} | {"vision_model.x": torch.zeros(1)}
    save_file(text, tmp_path / "rest" / "model.safetensors")
    parts = load_module(system(tmp_path, "eye.safetensors", "rest"), dtype=torch.float32)
    random = np.random.default_rng(1)
    rgb, alpha = (torch.from_numpy(random.standard_normal((3, c, 48, 48)).astype(np.float32)) for c in (3, 1))
    ids = torch.from_numpy(random.integers(1, 38, (3, 77)))
    for line, end in enumerate((4, 30, 76)):
        ids[line, end], ids[line, end + 1 :] = 39, 0
    x, words = pixels(torch.cat([rgb, alpha], 1), 16), WordsBatch(ids, torch.arange(77) <= ids.argmax(1, keepdim=True))
    for module in (whole, parts):
        worst = max(gap(module.towers["image"](x), NUMBERS["image"]), gap(module.towers["text"](words), NUMBERS["text"]))
        assert worst <= 1e-5, worst
    for name in NAMES:
        record("golden", name, worst, REFERENCE)


def test_alpha_begins_as_nothing_and_then_matters() -> None:
    ours = built(NAMES[0])
    fresh = ours.system.build().towers["image"].encoder.stem
    assert not fresh.alpha.weight.any() and fresh.rgb.weight.any()
    picture = noise(60, 40, 1)
    mask = np.zeros((40, 60), bool)
    mask[:, :30] = True
    left, right, whole = point_regions(ours, [picture] * 3, [mask, ~mask, np.ones_like(mask)])
    torch.testing.assert_close(whole, ours.embed(picture).images[0])
    assert float(left @ right) < 0.999
    stem = ours.module.towers["image"].encoder.stem
    kept = stem.alpha.weight.detach().clone()
    with torch.no_grad():
        stem.alpha.weight.zero_()
        blind = point_regions(ours, [picture] * 2, [mask, Image.fromarray(~mask)])
        stem.alpha.weight.copy_(kept)
    assert torch.equal(blind[0], blind[1])


def test_mask_lies_on_what_it_marks() -> None:
    """Resized and cropped with a picture that is not square."""
    policy = registry.system(NAMES[0]).towers["image"].policy
    assert isinstance(policy, Masked)
    picture = np.zeros((112, 448, 3), np.uint8)
    picture[:, 200:220] = 255
    array = policy.region(Image.fromarray(picture), picture[..., 0] > 0)
    assert array.shape == (4, 224, 224)
    bright, marked = (array[0] > 0).nonzero()[1], (array[3] > 0).nonzero()[1]
    assert abs(int(bright.min()) - int(marked.min())) <= 1 and abs(int(bright.max()) - int(marked.max())) <= 1
    assert np.allclose(array[3].max(), 0.5 / 0.26, atol=1e-6) and np.allclose(array[3].min(), -0.5 / 0.26, atol=1e-6)


def test_masks_that_do_not_fit() -> None:
    ours, picture = built(NAMES[0]), noise(60, 40, 1)
    for masks, said in (
        ([np.ones((60, 40), bool)], "give one of 40 x 60"), ([np.zeros((40, 60), bool)], "marks nothing"), ([], "one mask"),
    ):
        with pytest.raises(InputError, match=said):
            point_regions(ours, [picture], masks)
    with pytest.raises(InputError, match="whole pictures only"):
        point_regions(built("clip-vit-b-32"), [picture], [np.ones((40, 60), bool)])


def test_the_file_of_the_vision_tower_names_all_of_it() -> None:
    spec = registry.system(NAMES[1])
    with torch.device("meta"):
        ours = {n: p for n, p in spec.build().named_parameters() if n.startswith("towers.image.")}
    theirs = dict(revert(ours, ALPHA_VISUAL, spec.part))
    assert len(theirs) == len(ours) and tuple(theirs["conv1_alpha.weight"].shape) == (1024, 1, 14, 14)
