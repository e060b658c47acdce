"""FC-CLIP's dense rows and its classifier of masks equal bytedance/fc-clip 2b0bbe2 over open_clip 3.3.0, run outside the
repository on the weights of tests/zoo/test_towers_golden.py; and what `classify_masks` says of masks and labels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from anyvlm.dual import Dual, DualSystem
from anyvlm.errors import InputError
from anyvlm.generate.device import place
from anyvlm.generate.dual import DualModel
from anyvlm.generate.masks import classify_masks, point_masks, under
from anyvlm.inputs.prompts import SCENES
from anyvlm.inputs.shortest import Shortest
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import choose, convert
from anyvlm.tiny import tiny_dual
from anyvlm.zoo.clip import CLIP_VIT_B_32
from anyvlm.zoo.fc_clip import FC_CLIP
from tests.golden import FOLDER
from tests.parity import gap, record
from tests.whole import bytes_and
from tests.zoo.test_towers_golden import VOCAB, theirs

GOLDEN = json.loads((FOLDER / "fc_clip.json").read_text())


def picture() -> Image.Image:
    return Image.fromarray((np.random.default_rng(5).random((160, 224, 3)) * 255).astype(np.uint8))


def masks() -> np.ndarray:
    out = np.zeros((4, 160, 224), bool)
    out[0, :100, :130], out[1, 90:, 100:], out[2], out[3, 64:96, 32:192] = True, True, True, True
    return out


def model(system: DualSystem = FC_CLIP) -> DualModel:
    """With the weights of the golden tests, and a picture's policy that leaves this picture's size alone."""
    spec = tiny_dual(system, vocab=VOCAB).but(tokenizer=None, towers__image__policy=Shortest(short=160, longest=400))
    module = spec.build().eval()
    weights = theirs("convnext-mlp")
    module.load_state_dict(dict(convert(weights, choose(weights, spec.checkpoints[0].layouts, spec.part))))
    assert isinstance(module, Dual)
    return DualModel(spec, module, None, place("cpu", "fp32"))


def test_authors() -> None:
    ours = model()
    points = point_masks(ours, picture(), masks())
    texts = F.normalize(torch.from_numpy(np.random.default_rng(6).standard_normal((6, 32)).astype(np.float32)), dim=-1)
    ours.check_labels = lambda labels: tuple(labels)  # type: ignore[method-assign]
    ours.point_labels = lambda labels, templates=None: (texts[:5], {})  # type: ignore[method-assign, assignment]
    found = classify_masks(ours, picture(), masks(), [("a", "b"), "c", ("d", "e")])
    logits = ours.module.contrast().scale.exp().clamp(max=100) * found.cosine
    wanted = torch.tensor(GOLDEN["logits"])[:, :3]  # the last is what FC-CLIP learns for "nothing"
    worst = max(gap(points, torch.tensor(GOLDEN["points"])), gap(logits.detach(), wanted))
    assert worst <= 1e-5, worst
    assert found.labels == ("a", "c", "d") and gap(found.probability, wanted.softmax(-1)) <= 1e-5
    record("golden", "fc-clip", worst, "bytedance/fc-clip 2b0bbe2, open_clip 3.3.0")


def test_the_whole_picture_is_the_tower() -> None:
    ours = model()
    assert gap(point_masks(ours, picture(), masks()[2:3]), ours.embed(picture()).images) <= 1e-6


def test_masks_go_the_way_of_the_picture() -> None:
    policy, mask = Shortest(short=64, longest=96), np.zeros((1, 100, 300), bool)
    mask[0, :, :140] = True
    assert policy.cut(300, 100).sizes == ((32, 96),)
    assert under(policy, mask, (1, 1, 3)).tolist() == [[True, False, False]]
    mask[:] = False
    mask[0, 40, 250] = True  # far smaller than a row
    assert under(policy, mask, (1, 1, 3)).tolist() == [[False, False, True]]


@pytest.mark.parametrize(("width", "height", "nearest", "size"), [
    (640, 480, True, (800, 1067)), (480, 640, True, (1067, 800)), (1000, 100, True, (133, 1333)), (801, 800, True, (800, 801)),
    (640, 480, False, (800, 1066)), (1000, 100, False, (133, 1330)), (800, 600, False, (800, 1066)),
    (600, 800, False, (1066, 800)),
])  # fmt: skip
def test_sizes(width: int, height: int, nearest: bool, size: tuple[int, int]) -> None:
    policy = Shortest(short=800, longest=1333, nearest=nearest)
    assert policy.scaled(width, height) == size
    array = policy.but(short=8, longest=13, multiple=32).arrays(Image.new("RGB", (width, height), (10, 200, 30)))[0]
    assert array.shape == (3, 32, 32) and not array[:, 13:].any() and array[:, 0, 0].all()
    bgr = policy.but(short=8, longest=13, bgr=True, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), rescale=1.0)
    assert bgr.arrays(Image.new("RGB", (width, height), (10, 200, 30)))[0][:, 0, 0].tolist() == [30, 200, 10]


def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    ours = model()
    for given, said in (
        (masks()[:, :9], "picture's 160 x 224"), (masks()[0], "picture's"), (masks()[:0], "at least one"),
        (np.zeros_like(masks()), "Mask 0 is empty"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            point_masks(ours, picture(), given)
    with pytest.raises(InputError, match="no words"):
        classify_masks(ours, picture(), masks(), ["a", ()])
    spec = tiny_dual(CLIP_VIT_B_32, vocab=300).but(tokenizer=None)
    other = DualModel(spec, spec.build(), Tokenizer(bytes_and("<|startoftext|>", "<|endoftext|>")), place("cpu", "fp32"))
    with pytest.raises(InputError, match="does not pool by the mean"):
        point_masks(other, picture(), masks())


def test_prompts() -> None:
    assert len(SCENES) == len(set(SCENES)) == 14 and all("{}" in one for one in SCENES)
    assert FC_CLIP.stages[0].note.endswith("come later") and "mask head comes later" in FC_CLIP.meta.summary
