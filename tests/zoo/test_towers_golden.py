"""EVA-CLIP, MobileCLIP and OpenCLIP's ConvNeXts equal open_clip 3.3.0 and timm 1.0.31 on the same tiny random weights, run
outside the repository; MobileCLIP-S0 equals apple/ml-mobileclip 4144bb1.

`towers_golden.json` holds their points. Weights, pictures and ids follow from seeds; files are written in their names and
loaded through our layouts.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.inputs.text import WordsBatch
from anyvlm.keys import choose, convert, revert
from anyvlm.parts.merge import merge
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from anyvlm.zoo.mobileclip import merged
from tests.parity import gap, pixels, record

GOLDEN = Path(__file__).with_name("towers_golden.json")
REFERENCE = "open_clip 3.3.0, timm 1.0.31"
VOCAB = 40
KINDS = {
    "eva01": "eva01-clip-g-14", "eva02": "eva02-clip-b-16", "eva-last": "eva02-clip-e-14", "mci": "mobileclip-s2",
    "stemmed": "mobileclip-b", "convnext": "clip-convnext-base-w-laion2b",
    "convnext-mlp": "clip-convnext-large-d-320-laion2b-ft", "convnext-eps": "clip-convnext-xxlarge-laion2b-augreg",
    "mci5": "mobileclip2-s3", "vit": "mobileclip2-l-14", "hybrid": "mobileclip-s0",
}  # fmt: skip


def system(kind: str) -> DualSystem:
    return tiny_dual(registry.system(KINDS[kind]), vocab=VOCAB)


def weights(kind: str) -> dict[str, Tensor]:
    """Random values for every parameter, in the order of our names."""
    shapes = {name: tuple(p.shape) for name, p in system(kind).build().named_parameters()}
    random, out = np.random.default_rng(0), {}
    for name in sorted(shapes):
        value = random.standard_normal(shapes[name])
        if name == "contrasts.0.scale":
            value = 2.0 + 0 * value
        elif value.ndim > 1:
            value = value * int(np.prod(shapes[name][1:])) ** -0.5
        else:
            value = 1 + 0.2 * value if "norm" in name and name.endswith("weight") else 0.2 * value
        value = abs(value) + 0.5 if name.endswith(".var") else value
        out[name] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return out


def theirs(kind: str) -> dict[str, Tensor]:
    """The same in open_clip's names."""
    spec = system(kind)
    (layout,) = spec.checkpoints[0].layouts
    return {name: tensor.contiguous() for name, tensor in revert(weights(kind), layout, spec.part)}


def given(side: int = 96) -> tuple[Tensor, Tensor]:
    """Three pictures, and three texts of one length: behind the end, whose id is the largest, there are zeros."""
    random, most = np.random.default_rng(1), max(96, side)
    images = torch.from_numpy(random.standard_normal((3, 3, most, most)).astype(np.float32))[..., :side, :side]
    ids = torch.from_numpy(random.integers(1, VOCAB - 2, (3, 77)))
    for line, end in enumerate((4, 30, 76)):
        ids[line, end], ids[line, end + 1 :] = VOCAB - 1, 0
    return images, ids


def points(module: Dual) -> dict[str, Tensor]:
    """Of what is given."""
    tower = module.spec.towers["image"]
    images, ids = given(tower.policy.size[0])
    seen_BT = torch.arange(77) <= ids.argmax(1, keepdim=True)
    x = pixels(images, tower.encoder.patch)
    return {"image": module.points("image", x), "text": module.points("text", WordsBatch(ids, seen_BT))}


def module(kind: str, folder: Path) -> Dual:
    spec = system(kind)
    save_file(theirs(kind), folder / "model.safetensors")
    source = Directory(path=str(folder))
    loaded = load_module(
        spec.but(checkpoints=(Checkpoint(source=source, layouts=spec.checkpoints[0].layouts),)), dtype=torch.float32
    )
    assert isinstance(loaded, Dual)
    return loaded.eval()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_points(kind: str, tmp_path: Path) -> None:
    ours, golden = points(module(kind, tmp_path)), json.loads(GOLDEN.read_text())
    worst = max(gap(ours[name], torch.tensor(golden[kind][name])) for name in ours)
    assert worst <= 1e-5, worst
    row, kin = registry.system(KINDS[kind]).meta.row, registry.system(KINDS[kind]).towers["image"].encoder
    for name in registry.SYSTEMS:
        found = registry.system(name)
        if isinstance(found, DualSystem) and found.meta.row == row:
            eye = found.towers["image"].encoder
            same = getattr(eye, "block", eye), getattr(kin, "block", kin)
            if type(same[0]) is type(same[1]) and getattr(eye, "side", 0) == getattr(kin, "side", 0):
                record("golden", name, worst, REFERENCE)


@torch.no_grad()
def test_merged_texts_are_the_same(tmp_path: Path) -> None:
    whole = module("hybrid", tmp_path)
    before, plain = points(whole), len(list(whole.parameters()))
    merge(whole.towers["image"].encoder)
    merge(whole.towers["text"].encoder)
    again = merged(system("hybrid")).build().eval()
    again.load_state_dict(whole.state_dict())
    after = points(again)
    assert len(list(again.parameters())) < plain and not torch.equal(before["text"], after["text"])
    assert max(gap(before[name], after[name]) for name in before) <= 1e-5


@torch.no_grad()
def test_merged_branches_are_the_same(tmp_path: Path) -> None:
    """Before and after, and in timm's names after its own merging."""
    whole = module("mci", tmp_path)
    before = points(whole)["image"]
    plain = len(list(whole.parameters()))
    merge(whole.towers["image"].encoder)
    after = points(whole)["image"]
    assert len(list(whole.parameters())) < plain / 2 and gap(before, after) <= 1e-5
    assert not torch.equal(before, after)
    spec = merged(system("mci"))
    again = spec.build().eval()
    again.load_state_dict(whole.state_dict())
    assert gap(points(again)["image"], after) <= 1e-5
    (layout,) = spec.checkpoints[0].layouts
    names = dict(revert(whole.state_dict(), layout, spec.part))
    golden = json.loads(GOLDEN.read_text())["merged"]
    assert sorted(names) == golden
    back = dict(convert(names, choose(names, (layout,), spec.part)))
    assert back.keys() == whole.state_dict().keys()


def test_branches_follow_batches_in_training(tmp_path: Path) -> None:
    whole = module("mci", tmp_path).train()
    before = whole.towers["image"].encoder.stem[0].branches.norm.mean.clone()
    points(whole)
    assert not torch.equal(before, whole.towers["image"].encoder.stem[0].branches.norm.mean)
