"""UniAdapter equals the authors' code: RERV/UniAdapter at 796c124, run outside the repository on the same tiny random weights.

`golden/uniadapter.json` holds what it computed: one adapter in three modes, and of the whole retrieval network rows, points,
matches and the losses of a first step. (Later steps differ: there momentum reaches shared adapters once for each tower.)
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.keys import revert
from anyvlm.match import Match, MatchSystem
from anyvlm.parts.adapted import UniAdapter
from anyvlm.parts.catalog.uniadapter import UNDER_UNIADAPTER, UNIADAPTER
from anyvlm.system import Checkpoint
from anyvlm.train.loop import trainable
from anyvlm.train.match import retrieval
from anyvlm.train.slow import Slow
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import FOLDER
from tests.parity import gap, record
from tests.zoo.test_blip_golden import EYE, SMALL, VOCAB, WHO, pairs, queues, weights

GOLDEN = json.loads((FOLDER / "uniadapter.json").read_text()) if (FOLDER / "uniadapter.json").is_file() else {}
NAME, REFERENCE = "uniadapter-blip-base-coco", "RERV/UniAdapter 796c124"


def system() -> MatchSystem:
    found = registry.system(NAME)
    assert isinstance(found, MatchSystem)
    small = SMALL | {"width": 32, "block__adapter__hidden": 12, "block__rank": 5}
    return found.but(
        encoder=found.encoder.but(**EYE, adapter__hidden=12), policy__size=(32, 32), text=found.text.but(**small), shared=6
    )


def theirs() -> dict[str, Tensor]:
    """Random values in the authors' names."""
    return {name: tensor.contiguous() for name, tensor in revert(weights(system()), UNIADAPTER, system().part)}


def match(folder: Path) -> Match:
    save_file(theirs() | {"image_queue": torch.ones(6, 12), "ptr_queue": torch.zeros(1)}, folder / "model.safetensors")
    here = Checkpoint(source=Directory(path=str(folder)), layouts=(UNIADAPTER,))
    module = load_module(system().but(checkpoints=(here,), fresh=()), dtype=torch.float32)
    assert isinstance(module, Match)
    return module


def test_three_modes(tmp_path: Path) -> None:
    adapter = match(tmp_path).encoder.blocks[1].adapter
    x = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        worst = max(gap(adapter(x, up), torch.tensor(GOLDEN["modes"][up])) for up in ("text", "image", "both"))
    assert worst <= 1e-5, worst


def test_whole_network(tmp_path: Path) -> None:
    ours, batch = match(tmp_path).eval(), pairs(0, WHO)
    with torch.no_grad():
        rows = ours.rows(batch.x_NC, batch.grids)
        found = {
            "rows": rows[:, :3], "image": ours.point_image(rows), "text": ours.point_text(batch.ids_BT, batch.seen_BT),
            "judged": ours.judged(batch.begun(batch.beside), batch.seen_BT, rows),
        }  # fmt: skip
    worst = max(gap(each, torch.tensor(GOLDEN[name])) for name, each in found.items())
    slow = Slow(ours, 12)
    slow.image_QE.copy_(torch.from_numpy(queues()[0]))
    slow.text_QE.copy_(torch.from_numpy(queues()[1]))
    loss = retrieval(ours, batch, slow, 0.2)["contrast"]
    worst = max(worst, abs(float(loss.detach()) - GOLDEN["contrast"]))
    assert worst <= 1e-5, worst
    for name in registry.SYSTEMS:
        if registry.system(name).meta.row == "uniadapter":
            record("golden", name, worst, REFERENCE)


def test_one_way_down_learns_from_both_towers(tmp_path: Path) -> None:
    ours, batch = match(tmp_path), pairs(0, WHO)
    assert ours.encoder.blocks[0].adapter is ours.text.blocks[0].adapter
    trainable(ours, system().stages[0])
    down = ours.encoder.blocks[0].adapter.down.weight
    grads = []
    for point in (ours.point_image(ours.rows(batch.x_NC, batch.grids)), ours.point_text(batch.ids_BT, batch.seen_BT)):
        down.grad = None
        point[:, 0].sum().backward()
        assert down.grad is not None
        grads.append(down.grad.clone())
    assert all(float(grad.abs().sum()) for grad in grads)


@pytest.mark.parametrize("name", [NAME, "uniadapter-blip-base-flickr"])
def test_under_a_tenth_is_trained(name: str) -> None:
    found = registry.system(name)
    with torch.device("meta"):
        whole = found.build()
        moving = trainable(whole, found.stages[0])
    adapters = sum(p.numel() for n, p in moving.items() if ".adapter." in n)
    assert round(adapters / 1e6, 1) == 18.9  # the paper: 19M with a width of 512
    assert sum(p.numel() for p in moving.values()) < 0.1 * sum(p.numel() for p in whole.parameters())
    assert not any(n.endswith(("attn.qkv.weight", "ffn.up.weight", "temperature")) for n in moving)


def test_texts_begin_as_they_are() -> None:
    adapter = UniAdapter(hidden=4).build(8)
    x = torch.randn(2, 3, 8)
    assert not adapter(x, "text").any() and adapter(x, "image").any() and adapter(x, "both").any()


def test_base_files_fill_all_but_what_is_new(tmp_path: Path) -> None:
    """transformers' names of BLIP for questions, whose decoder nothing here reads."""
    new = (".adapter.", ".cross.key.", ".cross.value.")
    own = {n: t for n, t in weights(system()).items() if n.startswith(("encoder.", "text."))}
    own = {n: t for n, t in own.items() if not any(part in n for part in new)}
    files = {n: t.contiguous() for n, t in revert(own, UNDER_UNIADAPTER, system().part)}
    save_file(files | {"text_decoder.cls.predictions.bias": torch.ones(3)}, tmp_path / "model.safetensors")
    layouts = registry.system(NAME).checkpoints[0].layouts
    module = load_module(
        system().but(checkpoints=(Checkpoint(source=Directory(path=str(tmp_path)), layouts=layouts),)), dtype=torch.float32
    )
    found = dict(module.named_parameters())
    assert all(torch.equal(found[n], t) for n, t in own.items())
    assert not found["encoder.blocks.0.adapter.text.weight"].any() and float(found["temperature"]) == pytest.approx(0.07)
    assert float(found["text.blocks.0.cross.key.scale"]) == 1 and found["encoder.blocks.0.adapter.image.weight"].any()
    with pytest.raises(SpecError, match="2 and 1"):
        system().but(text__depth=1).build()
    assert len(VOCAB) == 24
