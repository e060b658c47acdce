"""GShard's top-2: full experts turn rows away in order, the second expert can be drawn, evaluation is deterministic."""

from __future__ import annotations

import pytest
import torch

from anyvlm.errors import SpecError
from anyvlm.parts.ffn import GLU
from anyvlm.parts.gshard import GShard, GShardModule


def built(logits: list[list[float]], **changes: object) -> tuple[GShardModule, torch.Tensor]:
    """A layer and rows whose router logits are these."""
    wanted = torch.tensor(logits)
    spec = GShard(expert=GLU(hidden=4), experts=wanted.shape[1]).but(**changes)
    module = spec.build(wanted.shape[1])
    assert isinstance(module, GShardModule)
    with torch.no_grad():
        module.router.weight.copy_(torch.eye(wanted.shape[1]))
    return module.eval(), wanted


def test_weights_are_shares_of_the_two() -> None:
    module, rows = built([[2.0, 1.0, 0.0, -1.0]], eval_capacity=2.0)
    weight, expert = module.choose(rows)
    assert expert.tolist() == [[0, 1]]
    torch.testing.assert_close(weight, torch.tensor([[2.0, 1.0]]).softmax(-1))


def test_a_full_expert_turns_rows_away() -> None:
    """Four rows, four experts, two places each: first choices in order come before all second ones."""
    rows = [[3.0, 2.0, 0.0, 0.0], [3.0, 0.0, 2.0, 0.0], [3.0, 0.0, 0.0, 2.0], [0.0, 3.0, 2.0, 0.0]]
    module, rows_ND = built(rows, eval_capacity=1.0, draw="never")
    weight, expert = module.choose(rows_ND)
    assert expert.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2]]
    assert (weight[2] == torch.tensor([0.0, 1.0])).all(), "the third to prefer expert 0 keeps its second choice"
    assert (weight[[0, 1, 3]] > 0).all()
    module, rows_ND = built([[3.0, 2.0, -1.0, -1.0]] * 4, eval_capacity=1.0, draw="never")
    weight, _ = module.choose(rows_ND)
    assert (weight[2:] == 0).all(), "turned away by both, a row goes through no expert"
    assert (module(rows_ND)[2:] == 0).all()


def test_evaluation_turns_nobody_away_at_half_the_experts() -> None:
    module, rows = built([[3.0, 2.0, -1.0, -1.0]] * 9, eval_capacity=2.0, capacity=1.5)
    assert (module.choose(rows)[0] > 0).all()
    module.train()
    assert (module.choose(rows)[0] == 0).any()


def test_the_second_expert_is_drawn_by_its_share() -> None:
    """Gumbel noise is a draw from the softmax over the others; only the authors draw in evaluation too."""
    logits = [3.0, 1.0, 0.0, -1.0]
    module, rows = built([logits] * 20_000, eval_capacity=2.0, draw="always")
    torch.manual_seed(0)
    weight, expert = module.choose(rows)
    assert (expert[:, 0] == 0).all()
    drawn = expert[:, 1].bincount(minlength=4)[1:] / len(rows)
    torch.testing.assert_close(drawn, torch.tensor(logits[1:]).softmax(-1), atol=0.01, rtol=0.0)
    share = torch.tensor(logits).softmax(-1)
    rare = expert[:, 1] == 3
    torch.testing.assert_close(weight[rare, 1], (share[3] / (share[0] + share[3])).expand(int(rare.sum())))
    quiet, rows = built([logits] * 50, eval_capacity=2.0)
    assert (quiet.choose(rows)[1] == torch.tensor([0, 1])).all()
    quiet.train()
    assert len(set(quiet.choose(rows)[1][:, 1].tolist())) > 1


def test_it_is_about_two() -> None:
    with pytest.raises(SpecError, match="2 experts"):
        GShard(expert=GLU(hidden=4), experts=4, top=3)
