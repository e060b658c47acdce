"""VideoCLIP equals facebookresearch/fairseq 3d262bb `examples/MMPT` (on transformers 3.4.0), run outside the repository on the
same tiny random weights; `golden/videoclip.npz` holds vectors and the loss. And the laws of towers, for features of videos.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import anyvlm
from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.errors import InputError
from anyvlm.generate.device import place
from anyvlm.generate.dual import DualModel
from anyvlm.generate.signals import point_signals
from anyvlm.inputs.signal import Rows
from anyvlm.inputs.text import WordsBatch
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.system import Checkpoint, Pixels
from anyvlm.tiny import tiny_dual
from anyvlm.train.dual import contrast
from anyvlm.train.loop import trainable
from anyvlm.weights.load import Loaded, load_module, load_system
from anyvlm.weights.save import save, tensors
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, record
from tests.whole import bytes_and
from tests.zoo.test_laws import assert_equal, stirred
from tests.zoo.test_manifest import fits

REFERENCE = "facebookresearch/fairseq 3d262bb examples/MMPT"
RANDOM = np.random.default_rng(1)
FEATURES = [RANDOM.standard_normal((n, 16)).astype(np.float32) for n in (5, 32, 1)]
WORDS = [RANDOM.integers(6, 40, n).tolist() for n in (3, 10, 61)]
SPECIALS = ("[CLS]", "[SEP]", "[PAD]")


def small() -> DualSystem:
    return tiny_dual(registry.system("videoclip"), vocab=40).but(
        towers__video__encoder__vocab=40, towers__video__encoder__first=1, towers__video__encoder__last=2, tokenizer=None
    )


def given(folder: Path) -> Dual:
    shapes, _ = stored("videoclip")
    save_file(weights(shapes), folder / "model.safetensors")
    spec = small()
    source = Directory(path=str(folder))
    module = load_module(spec.but(checkpoints=(Checkpoint(source=source, layouts=spec.checkpoints[0].layouts),)))
    assert isinstance(module, Dual)
    return module


def videos(module: Dual, features: list[np.ndarray]) -> Pixels:
    encoder = module.spec.towers["video"].encoder
    arrays = [torch.from_numpy(array) for each in features for array in Rows(width=16, most=32).arrays(each)]
    return Pixels(torch.cat(list(map(encoder.cut, arrays))), tuple(encoder.grid(*x.shape[1:]) for x in arrays))


def texts(words: list[list[int]]) -> WordsBatch:
    lines = [[1, *ids, 2] for ids in words]
    width = max(map(len, lines))
    seen_BT = torch.arange(width) < torch.tensor(list(map(len, lines)))[:, None]
    return WordsBatch(torch.tensor([line + [0] * (width - len(line)) for line in lines]), seen_BT)


@torch.no_grad()
def test_vectors_and_loss(tmp_path: Path) -> None:
    module, (_, golden) = given(tmp_path), stored("videoclip")
    ours = {"video": videos(module, FEATURES), "text": texts(WORDS)}
    worst = max(gap(module.points(name, x), golden[name]) for name, x in ours.items())
    worst = max(worst, gap(module.losses(ours)["video-text"], golden["loss"]))
    assert worst <= 1e-5, worst
    assert not torch.allclose(golden["video"].norm(dim=-1), torch.ones(3), atol=0.1)
    record("golden", "videoclip", worst, REFERENCE)


def test_names_at_full_size() -> None:
    system, (tiny, _) = registry.system("videoclip"), stored("videoclip")
    sizes = {32: 768, 48: 3072, 40: 30522, 16: 512}
    theirs = {}
    for key, shape in tiny.items():
        whole = tuple(sizes.get(size, size) for size in shape)
        if ".layer." not in key:
            theirs[key] = whole
        elif ".layer.0." in key:
            depth = 6 if "video_encoder" in key else 12
            theirs |= {key.replace(".0.", f".{n}.", 1): whole for n in range(depth)}
    fits(system, theirs, system.checkpoints[0].layouts, "fairseq")
    assert 176e6 < sum(np.prod(shape) for name, shape in theirs.items() if "pooler" not in name) < 178e6
    record("manifest", "videoclip", 0.0, REFERENCE)


def model() -> DualModel:
    module = stirred(small().but(towers__text__encoder__vocab=300).build().eval())
    assert isinstance(module, Dual)
    return DualModel(module.spec, module, Tokenizer(bytes_and(*SPECIALS)), place("cpu", "fp32"))


def test_together_is_alone() -> None:
    ours, lines = model(), ["a cat", "two dogs on a sofa"]
    seen, read = point_signals(ours, "video", FEATURES), ours.embed(texts=lines).texts
    for n, feature in enumerate(FEATURES):
        torch.testing.assert_close(point_signals(ours, "video", [feature])[0], seen[n], atol=2e-5, rtol=1e-5)
    for n, line in enumerate(lines):
        torch.testing.assert_close(ours.embed(texts=line).texts[0], read[n], atol=2e-5, rtol=1e-5)
    labels, _ = ours.point_labels(lines)
    torch.testing.assert_close(labels, read)
    long = np.concatenate([FEATURES[1], FEATURES[0]])
    assert torch.equal(point_signals(ours, "video", [long])[0], point_signals(ours, "video", [FEATURES[1]])[0])


def test_loss_gradient_and_what_moves() -> None:
    """The sum of both directions, of vectors as they are."""
    module = stirred(small().build())
    assert isinstance(module, Dual)
    (stage,) = module.spec.stages
    moving = trainable(module, stage)
    batch = {"video": videos(module, FEATURES), "text": texts(WORDS)}
    loss = contrast(module, batch, stage)["video-text"]
    ours = torch.autograd.grad(loss, list(moving.values()), retain_graph=True)
    z, same = module.points("video", batch["video"]) @ module.points("text", batch["text"]).T, torch.arange(3)
    both: Tensor = torch.nn.functional.cross_entropy(z, same) + torch.nn.functional.cross_entropy(z.T, same)
    torch.testing.assert_close(loss, both)
    for a, b in zip(ours, torch.autograd.grad(both, list(moving.values())), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert moving.keys() == {name for name, _ in module.named_parameters()}


def test_saved_is_the_same(tmp_path: Path) -> None:
    ours = model()
    loaded = Loaded(ours.system, ours.module, ours.tokenizer)
    save(loaded, tmp_path / "saved")
    again = load_system(tmp_path / "saved")
    assert_equal(tensors(again), tensors(loaded))
    assert isinstance(anyvlm.load(tmp_path / "saved", device="cpu"), DualModel)
    record("laws", "videoclip", 0.0, "the laws of tests/zoo/test_videoclip_golden.py")


def test_bad_features_are_refused() -> None:
    ours = model()
    for wrong in (np.zeros((3, 15)), np.zeros((0, 16)), np.zeros(16), np.full((2, 16), np.nan)):
        with pytest.raises(InputError, match="signal"):
            point_signals(ours, "video", [wrong])
    with pytest.raises(InputError, match="no tower for image"):
        ours.classify(["x.png"], ["a", "b"])
    with pytest.raises(InputError, match="1 to 32 rows"):
        ours.system.towers["video"].encoder.grid(33, 16)
