"""What the pocket recipe tells rows to say, and that its stages draw what they declare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anyvlm.data.sample import SIDE, Box, Sample
from anyvlm.data.scenes import GENERATORS
from anyvlm.tiny import tiny
from anyvlm.train.pocket import CELLS, COUNTED, NONE, SHARES, cover, draw, objects, settle, vocabulary
from anyvlm.zoo.pocket import POCKET


def sample(*boxes: Box) -> Sample:
    return Sample(np.zeros((SIDE, SIDE, 3), np.uint8), boxes, (), "")


def test_a_box_is_shared_among_the_rows_it_covers() -> None:
    share = cover(Box(28, 56, 70, 84, "cat")).view(CELLS, CELLS)
    assert torch.isclose(share.sum(), torch.tensor(1.0))
    assert share.nonzero().tolist() == [[2, 1], [2, 2]]
    torch.testing.assert_close(share[2, 1:3], torch.tensor([28 / 42, 14 / 42]))


@pytest.mark.network
def test_objects_say_their_name_and_how_many_of_it_there_are() -> None:
    names = vocabulary()
    two, letter = [Box(0, 0, 20, 20, names[0]), Box(50, 0, 70, 20, names[0])], Box(9, 9, 10, 30, "B")
    truth = objects([sample(*two), sample(letter, Box(0, 0, 90, 40, '"rose"')), sample(Box(0, 0, 20, 20, names[0]))])
    assert truth.picture_O.tolist() == [0, 0, 1, 2]
    assert [names[n] for n in truth.name_O] == [names[0], names[0], "B", names[0]]
    assert truth.number_O.tolist() == [1, 1, NONE, 0], "less one; letters are not counted"
    many = objects([sample(*[two[0]] * (COUNTED + 1))])
    assert set(many.number_O.tolist()) == {NONE}


@pytest.mark.network
def test_pictures_without_known_names_are_no_objects() -> None:
    assert len(objects([sample()]).name_O) == 0


def test_every_stage_draws_from_what_it_declares() -> None:
    for stage in POCKET.stages:
        assert set(stage.data) == set(SHARES[stage.name]) <= set(GENERATORS)
        assert abs(sum(SHARES[stage.name].values()) - 1) < 1e-9


@pytest.mark.network
def test_the_samples_of_a_step_follow_from_its_number() -> None:
    stage = POCKET.stages[-1]
    again = draw(stage, 3, 4)
    for a, b in zip(draw(stage, 3, 4), again, strict=True):
        assert a.turns == b.turns and a.boxes == b.boxes
    assert [s.turns for s in draw(stage, 4, 4)] != [s.turns for s in again]


def test_settling_is_the_mean_of_what_was_trained(tmp_path: Path) -> None:
    """Of what both stages trained; the first alone trained the rest."""
    vlm = tiny(POCKET).build()
    before = {name: p.detach().clone() for name, p in vlm.named_parameters()}
    name = "connectors.image.line"
    for n, shift in enumerate((1.0, 4.0)):
        rows, other = before[name] + shift, {"master.connectors.image.column": torch.zeros(8)} if n == 0 else {}
        save_file({f"master.{name}": rows, f"first.{name}": rows * 9, **other}, tmp_path / f"{n}.safetensors")
    settle(vlm, tmp_path / "0.safetensors", tmp_path / "1.safetensors")
    for other_name, p in vlm.named_parameters():
        torch.testing.assert_close(p.detach(), before[other_name] + 2.5 * (other_name == name))
