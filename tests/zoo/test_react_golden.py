"""REACT equals microsoft/react at a1a796f (its fork of open_clip), run outside the repository on tiny random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.inputs.text import WordsBatch
from anyvlm.parts.vision.gated import GatedViT
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.train.loop import trainable
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record

FACTS, NUMBERS = stored("react")
GATED = [n for n in registry.SYSTEMS if registry.system(n).meta.row == "react" and isinstance(
    registry.system(n).towers["image"].encoder, GatedViT)]  # fmt: skip


def given() -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(1)
    images = torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32))
    ids = torch.from_numpy(random.integers(1, 38, (3, 77)))
    for line, end in enumerate((4, 30, 76)):
        ids[line, end], ids[line, end + 1 :] = 39, 0
    return images, ids


def small(act: str = "quick_gelu") -> DualSystem:
    return tiny_dual(registry.system("react-clip-b-32"), vocab=40).but(
        towers__image__encoder__depth=3, towers__image__encoder__gated=2, towers__image__encoder__width=64,
        towers__image__encoder__heads=4, towers__image__encoder__ffn__hidden=256, towers__image__encoder__patch=16,
        towers__image__encoder__gate_ffn__hidden=256, towers__image__encoder__size=48, towers__text__encoder__ffn__hidden=128,
        towers__image__encoder__ffn__act=act, towers__image__encoder__gate_ffn__act=act, towers__text__encoder__ffn__act=act,
    )  # fmt: skip


@pytest.mark.parametrize(("prefix", "act"), [("", "quick_gelu"), ("module.", "gelu")])
@torch.no_grad()
def test_points(prefix: str, act: str, tmp_path: Path) -> None:
    spec, (images, ids) = small(act), given()
    theirs = {prefix + name: tensor for name, tensor in weights(FACTS["shapes"]).items()}
    save_file(theirs, tmp_path / "model.safetensors")
    layouts = spec.checkpoints[0].layouts
    module = load_module(
        spec.but(checkpoints=(Checkpoint(source=Directory(path=str(tmp_path)), layouts=layouts),)), dtype=torch.float32
    )
    assert isinstance(module, Dual)
    x, seen_BT = pixels(images, 16), torch.arange(77) <= ids.argmax(1, keepdim=True)
    gaps = [gap(module.points("image", x), NUMBERS[f"image_{act}"])]
    gaps.append(gap(module.points("text", WordsBatch(ids, seen_BT)), NUMBERS[f"text_{act}"]))
    for name, parameter in module.named_parameters():
        if name.endswith(("gate1", "gate2")):
            parameter.zero_()
    start = module.points("image", x)
    assert not torch.equal(start, NUMBERS[f"image_{act}"])
    assert max(*gaps, gap(start, NUMBERS[f"start_{act}"])) <= 1e-5, gaps
    for name in GATED:
        if registry.system(name).towers["image"].encoder.ffn.act == act:
            record("golden", name, max(gaps), "microsoft/react a1a796f")


@torch.no_grad()
def test_it_begins_as_clip() -> None:
    """Bit for bit; and gated blocks stand in front of the last blocks alone."""
    spec = small()
    gated = spec.build().eval()
    eye = gated.towers["image"].encoder
    assert list(eye.gates) == ["1", "2"]
    plain = spec.but(towers__image__encoder__gated=0).build().eval()
    plain.load_state_dict({n: p for n, p in gated.state_dict().items() if ".gates." not in n})
    x = pixels(given()[0], 16)
    assert torch.equal(gated.points("image", x), plain.points("image", x))
    eye.gates["2"].gate2.fill_(0.1)
    assert not torch.equal(gated.points("image", x), plain.points("image", x))


def test_after_some_steps_only_gates_have_moved() -> None:
    spec = small()
    module, stage = spec.build(), registry.system("react-clip-b-32").stages[0]
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    moving = trainable(module, stage)
    steps, (images, ids) = torch.optim.SGD(moving.values(), lr=0.1), given()
    batch = {"image": pixels(images, 16), "text": WordsBatch(ids, torch.arange(77) <= ids.argmax(1, keepdim=True))}
    for _ in range(3):
        steps.zero_grad()
        sum(module.losses(batch).values()).backward()
        steps.step()
    moved = {n for n, p in module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if ".gates." in n} | {"contrasts.0.scale"}


def test_published_sizes() -> None:
    """Hidden widths that `model_configs/react_*.json` and the code give; the gated blocks of bigG are narrower than its own."""
    big = registry.system("react-openclip-2b-bigg-14-laion2b").towers["image"].encoder
    assert (big.depth, big.gated, big.ffn.hidden, big.gate_ffn.hidden) == (48, 12, 8192, 4 * 1664)
    base = registry.system("react-clip-b-32").towers["image"].encoder
    assert (base.gated, base.gate_ffn.hidden, base.ffn.act, base.gate_ffn.act) == (6, 3072, "quick_gelu", "quick_gelu")
    assert registry.system("react-openclip-2b-b-32").towers["image"].encoder.gate_ffn.act == "gelu"
    assert len(GATED) == 9
