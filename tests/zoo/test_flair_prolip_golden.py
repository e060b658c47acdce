"""FLAIR and ProLIP equal their authors' code, run outside the repository on tiny random weights.

ExplainableML/flair at 0f9ce05 (`get_logits`, `get_logits_as_clip`, `FlairLoss` after `torch.manual_seed(7)`), and
naver-ai/prolip at 59f6324 (`forward`, `ProLIPLoss`, `inclusion_test`; its `get_logits` cannot run).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm import registry
from anyvlm.contrasts import ConditionedModule, ProbabilisticModule, included
from anyvlm.dual import Dual, DualSystem, Look
from anyvlm.errors import InputError
from anyvlm.generate.uncertain import fine_scores, inclusions, look_images, look_texts, uncertainties
from anyvlm.inputs.text import WordsBatch
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record
from tests.whole import noise
from tests.zoo.test_dual_laws import TEXTS, built, pictures

FLAIR, PROLIP = stored("flair"), stored("prolip")
SCALES = {"logit_scale": torch.tensor(2.0), "logit_bias": torch.tensor(-3.0)}


def loaded(spec: DualSystem, tensors: dict[str, Tensor], folder: Path) -> Dual:
    save_file(tensors, folder / "model.safetensors")
    layouts = spec.checkpoints[0].layouts
    here = spec.but(checkpoints=(Checkpoint(source=Directory(path=str(folder)), layouts=layouts),))
    module = load_module(here, dtype=torch.float32)
    assert isinstance(module, Dual)
    return module


@pytest.mark.parametrize("prefix", ["", "module."])
@torch.no_grad()
def test_flair(prefix: str, tmp_path: Path) -> None:
    (facts, numbers), names = FLAIR, [n for n in registry.SYSTEMS if registry.system(n).meta.row == "flair"]
    spec = tiny_dual(registry.system(names[0]), vocab=40).but(
        shared=64, contrasts__0__width=64, contrasts__0__pool__heads=8, towers__image__encoder__depth=2,
        **{f"towers__{n}__encoder__{k}": v for n in ("image", "text") for k, v in (("width", 64), ("heads", 4))},
        towers__image__encoder__ffn__hidden=256, towers__text__encoder__ffn__hidden=256,
    )  # fmt: skip
    theirs = {prefix + name: tensor for name, tensor in (weights(facts["shapes"]) | SCALES).items()}
    module = loaded(spec, theirs, tmp_path)
    random = np.random.default_rng(1)
    x = pixels(torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32)), 16)
    ids = torch.from_numpy(random.integers(1, 38, (6, 77)))
    for line, end in enumerate((4, 30, 76, 9, 12, 50)):
        ids[line, end], ids[line, end + 1 :] = 39, 0
    image, contrast = module.look("image", x), module.contrast()
    assert isinstance(contrast, ConditionedModule)

    def read(ids: Tensor) -> Look:
        return module.look("text", WordsBatch(ids, torch.arange(77) <= ids.argmax(1, keepdim=True)))

    ours = {
        "fine": contrast.fine_logits(contrast.fine(image, read(ids))),
        "coarse": contrast.logits(image.point_BE, read(ids).point_BE) - contrast.bias,  # theirs leaves the bias out
    }
    for name, some in (("loss", ids), ("loss_one", ids[::2])):
        torch.manual_seed(7)
        ours[name] = contrast.between(image, read(some))
    gaps = {name: gap(value, numbers[name]) / max(1.0, float(numbers[name].abs().max())) for name, value in ours.items()}
    assert max(gaps.values()) <= 1e-5, gaps
    for name in names:
        record("golden", name, max(gaps.values()), "ExplainableML/flair 0f9ce05")
    with pytest.raises(InputError, match="equally many"):
        contrast.between(image, read(ids[:4]))


@torch.no_grad()
def test_prolip(tmp_path: Path) -> None:
    (facts, numbers), names = PROLIP, [n for n in registry.SYSTEMS if registry.system(n).meta.row == "prolip"]
    spec = tiny_dual(registry.system("prolip-b-16"), vocab=40).but(
        towers__image__encoder__depth=2, towers__image__encoder__width=64, towers__image__encoder__heads=4,
        towers__image__encoder__ffn__hidden=256, towers__text__encoder__ffn__hidden=128, towers__text__encoder__context=12,
    )  # fmt: skip
    theirs = weights(facts["shapes"]) | SCALES
    for name in ("visual.uncertainty_proj.bias", "text.text_uncertainty_projection.bias"):
        theirs[name] = theirs[name] - 3
    module = loaded(spec, theirs, tmp_path)
    random = np.random.default_rng(1)
    x = pixels(torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32)), 16)
    image = module.look("image", x)
    text = module.look("text", WordsBatch(torch.from_numpy(random.integers(0, 40, (3, 12))), None))
    contrast = module.contrast()
    assert isinstance(contrast, ProbabilisticModule)
    one = Probe(contrast)
    ours = {
        "image": image.point_BE, "image_spread": image.spread_BE, "text": text.point_BE, "text_spread": text.spread_BE,
        "loss": contrast.between(image, text), "ppcl": contrast.pairwise(image, text),
        "inclusion": one.inclusion(image, text), "vib": one.bottleneck(image, text),
        "included": included(image, text, contrast.spec.eps),
    }  # fmt: skip
    gaps = {name: gap(value, numbers[name]) / max(1.0, float(numbers[name].abs().max())) for name, value in ours.items()}
    assert max(gaps.values()) <= 1e-5, gaps
    for name in names:
        record("golden", name, max(gaps.values()), "naver-ai/prolip 59f6324")


class Probe:
    """The terms of the loss one by one, with `sharp` as the stored values have it."""

    def __init__(self, contrast: ProbabilisticModule) -> None:
        self.base = contrast.spec

    def _with(self, a: Look, b: Look, **fields: float) -> Tensor:
        module = self.base.but(sharp=0.01, **fields).build()
        return module.between(a, b) - module.pairwise(a, b)

    def inclusion(self, a: Look, b: Look) -> Tensor:
        return self._with(a, b, inclusion=1.0, bottleneck=0.0)

    def bottleneck(self, a: Look, b: Look) -> Tensor:
        return self._with(a, b, inclusion=0.0, bottleneck=1.0)


def test_a_loss_that_explodes_is_left_out() -> None:
    contrast = registry.system("prolip-b-16").contrasts[0].but(sharp=1e5).build()
    point = torch.nn.functional.normalize(torch.randn(2, 8), dim=-1)
    a, b = Look(point, spread_BE=torch.full((2, 8), -30.0)), Look(-point, spread_BE=torch.full((2, 8), 3.0))
    assert float(contrast.lies_in(b, a)) == 0.0


def test_uncertainty_and_inclusion() -> None:
    ours = built("prolip-b-16")
    seen, read = look_images(ours, pictures()), look_texts(ours, TEXTS)
    torch.testing.assert_close(seen.point_BE, ours.embed(pictures()).images)
    assert uncertainties(ours, seen).shape == (3,) and bool((uncertainties(ours, read) > 0).all())
    torch.testing.assert_close(inclusions(ours, seen, read), -inclusions(ours, read, seen))
    wide = Look(read.vector_BE, spread_BE=read.spread_BE + 3)
    assert bool((inclusions(ours, read, wide) > 0).all())  # a narrow distribution lies in a wide one of the same mean
    with pytest.raises(InputError, match="without variances"):
        uncertainties(built("clip-vit-b-32"), look_texts(built("clip-vit-b-32"), TEXTS))


def test_fine_likeness() -> None:
    ours = built("flair-b-16-merged30m")
    fit, alone = fine_scores(ours, pictures(), TEXTS), fine_scores(ours, pictures()[1:2], TEXTS[:1])
    assert fit.cosine.shape == fit.probability.shape == (3, 3)
    torch.testing.assert_close(alone.cosine[0, 0], fit.cosine[1, 0], atol=2e-5, rtol=1e-5)
    assert not torch.allclose(fit.cosine, ours.scores(pictures(), TEXTS).cosine)
    with pytest.raises(InputError, match="points only"):
        fine_scores(built("clip-vit-b-32"), [noise(30, 30, 1)], ["a cat"])


def test_underscores_become_spaces() -> None:
    assert registry.system("prolip-b-16").towers["text"].policy.clean("A_Red, cat_ !") == "a red cat"
