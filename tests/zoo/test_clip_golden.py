"""CLIP equals the authors' code: openai/CLIP at d05afc4, run outside the repository on the same tiny random weights.

`clip_golden.json` holds what its `encode_image`, `encode_text` and `forward` gave. Weights, pictures and ids follow from seeds;
files are written in the authors' own names, as open_clip's are too, and loaded through their layouts.
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
from anyvlm.keys import revert
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import ordered
from tests.parity import gap, pixels, record

GOLDEN = json.loads(Path(__file__).with_name("clip_golden.json").read_text())
REFERENCE = "openai/CLIP d05afc4"
VOCAB = 40
KINDS = {"resnet": "clip-rn50", "vit": "clip-vit-b-32"}
SHOWN = {"resnet": "clip-rn", "vit": "clip-vit-"}


def system(kind: str) -> DualSystem:
    found = tiny_dual(registry.system(KINDS[kind]), vocab=VOCAB)
    return found.but(towers__image__encoder__depth=2) if kind == "vit" else found


def weights(kind: str) -> dict[str, Tensor]:
    """Random values for every parameter, in the order of our names."""
    shapes = {name: tuple(p.shape) for name, p in system(kind).build().named_parameters()}
    out = {}
    for name, value in ordered(shapes).items():
        if name.endswith("scale"):
            value = np.full_like(value, 2.0)
        value = abs(value) + 0.5 if name.endswith(".var") else value
        out[name] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return out


def theirs(kind: str) -> dict[str, Tensor]:
    """The same in the authors' names."""
    spec = system(kind)
    (layout,) = (one for one in spec.checkpoints[0].layouts if one.name == "open_clip")
    return {name: tensor.contiguous() for name, tensor in revert(weights(kind), layout, spec.part)}


def given() -> tuple[Tensor, Tensor]:
    """Three pictures, and three texts of one length: behind the end, whose id is the largest, there are zeros."""
    random = np.random.default_rng(1)
    images = torch.from_numpy(random.standard_normal((3, 3, 96, 96)).astype(np.float32))
    ids = torch.from_numpy(random.integers(1, VOCAB - 2, (3, 77)))
    for line, end in enumerate((4, 30, 76)):
        ids[line, end], ids[line, end + 1 :] = VOCAB - 1, 0
    return images, ids


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_points_and_logits(kind: str, tmp_path: Path) -> None:
    spec, (images, ids) = system(kind), given()
    extra = {"visual.bn1.num_batches_tracked": torch.tensor(7)} if kind == "resnet" else {}
    save_file(theirs(kind) | extra, tmp_path / "model.safetensors")
    source = Directory(path=str(tmp_path))
    here = spec.but(checkpoints=(Checkpoint(source=source, layouts=spec.checkpoints[0].layouts),))
    module = load_module(here, dtype=torch.float32)
    assert isinstance(module, Dual)
    side = spec.towers["image"].policy.size[0]
    seen_BT = torch.arange(77) <= ids.argmax(1, keepdim=True)
    words = WordsBatch(ids, seen_BT)
    x = pixels(images[..., :side, :side], spec.towers["image"].encoder.patch)
    out = {
        "image": module.towers["image"](x), "text": module.towers["text"](words),
        "logits": module.contrast().logits(module.points("image", x), module.points("text", words)),
    }  # fmt: skip
    worst = max(gap(out[name], torch.tensor(GOLDEN[kind][name])) for name in out)
    assert worst <= 1e-5, worst
    for name in registry.SYSTEMS:
        found = registry.system(name)
        if name.startswith(SHOWN[kind]) and isinstance(found, DualSystem) and found.meta.row == "clip":
            record("golden", name, worst, REFERENCE)
