"""What the encoder and the decoder of T5 see: the prompt, and of the answer what has been said."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers.models.t5.modeling_t5 import T5Attention

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.parts.t5 import PROMPT, T5LM
from anyvlm.seq import Seq, blocks
from anyvlm.tiny import tiny

SMALL = tiny(registry.system("flan-t5-small"))


def seq(lm: T5LM, ids: Tensor, prompt: int) -> Seq:
    """One row whose first tokens are the prompt."""
    kind, place = torch.zeros_like(ids), torch.arange(ids.shape[1])[None]
    return Seq(lm.embed(ids), kind, place[None], blocks(kind, prefix_BT=place < prompt), kind)


@torch.no_grad()
def test_reach() -> None:
    lm, ids = SMALL.lm.build().eval(), torch.randint(1, 99, (1, 12))
    before = lm.begin(seq(lm, ids, 7))
    said, asked = ids.clone(), ids.clone()
    said[0, 9] += 1
    asked[0, 6] += 1
    after, other = lm.begin(seq(lm, said, 7)), lm.begin(seq(lm, asked, 7))
    assert before.x_BTD.shape[1] == 6 and torch.equal(before.x_BTD[0, 0], lm.embed.weight[0])
    assert torch.equal(before.memory[PROMPT].x_BSD, after.memory[PROMPT].x_BSD)
    assert not (before.memory[PROMPT].x_BSD == other.memory[PROMPT].x_BSD).all(-1).any()  # every row sees the whole prompt
    changed = (lm.hidden(before) != lm.hidden(after)).any(-1)[0]
    assert changed.tolist() == [False] * 3 + [True] * 3  # the answer's third token and what follows


@torch.no_grad()
def test_packed_answers_are_separate() -> None:
    lm = SMALL.lm.build().eval()
    rows = [seq(lm, torch.randint(1, 99, (1, length)), prompt) for length, prompt in ((9, 5), (7, 7), (8, 3))]
    joined = {
        name: torch.cat([getattr(row, name) for row in rows], dim)
        for name, dim in (("x_BTD", 1), ("kind_BT", 1), ("pos_PBT", 2), ("block_BT", 1))
    }
    seg = torch.cat([torch.full_like(row.seg_BT, n) for n, row in enumerate(rows)], 1)
    packed = lm.hidden(lm.begin(Seq(**joined, seg_BT=seg)))
    torch.testing.assert_close(packed, torch.cat([lm.hidden(lm.begin(row)) for row in rows], 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("both_ways", [True, False])
def test_buckets_are_those_of_transformers(both_ways: bool) -> None:
    lm = SMALL.lm.build()
    ours = lm.encoder.distances if both_ways else lm.distances
    ahead = torch.arange(-400, 400)
    theirs = T5Attention._relative_position_bucket(ahead, both_ways, SMALL.lm.buckets, SMALL.lm.far)
    assert torch.equal(ours._bucket(ahead), theirs)


def test_a_system_says_that_its_prompt_is_read_whole() -> None:
    with pytest.raises(SpecError, match="set attention='prefix'"):
        registry.system("blip2-opt-2.7b").but(lm=registry.system("flan-t5-xl").lm)
