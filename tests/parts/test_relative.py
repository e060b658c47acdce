"""Learned distances: the scores are those of the formula, pair by pair."""

from __future__ import annotations

from dataclasses import replace

import torch

from anyvlm.parts.ffn import MLP
from anyvlm.parts.relative import RelativeDecoder
from anyvlm.seq import causal

SMALL = RelativeDecoder(vocab=20, width=16, depth=1, heads=2, ffn=MLP(hidden=24, bias=False), context=32)


@torch.no_grad()
def test_attention_is_the_formula_of_transformer_xl() -> None:
    torch.manual_seed(0)
    lm, x = SMALL.build(), torch.randn(1, 6, 16)
    attention = lm.blocks[0].attn
    for parameter in lm.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.5)
    caught = []
    attention.register_forward_hook(lambda _, given, out: caught.append((given[0], out)))
    lm.hidden(causal(x))
    (normed, out), = caught
    q, k, v = (part.unflatten(-1, (2, 8))[0] for part in attention.qkv(normed).chunk(3, -1))
    expected = torch.zeros(6, 2, 8)
    for head in range(2):
        for i in range(6):
            scores = []
            for j in range(i + 1):
                turns = (i - j) * 10_000.0 ** (-torch.arange(0, 16, 2) / 16)
                far = attention.far(torch.cat([turns.sin(), turns.cos()])).unflatten(0, (2, 8))[head]
                near = (q[i, head] + attention.u[head, 0]) @ k[j, head]
                scores.append((near + (q[i, head] + attention.v[head, 0]) @ far) / 8**0.5)
            expected[i, head] = torch.stack(scores).softmax(0) @ v[: i + 1, head]
    torch.testing.assert_close(out[0], attention.o(expected.flatten(1)), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_cache_makes_something_of_every_distance_once() -> None:
    torch.manual_seed(0)
    lm, x = SMALL.build(), torch.randn(1, 6, 16)
    whole, cache = lm.hidden(causal(x)), SMALL.cache(1, 8, like=x)
    mapped = []
    lm.blocks[0].attn.far.register_forward_hook(lambda _, given, out: mapped.append(len(given[0])))
    seq = causal(x)
    for start, stop in ((0, 3), (3, 4), (4, 6)):
        part = replace(seq, x_BTD=x[:, start:stop], **{
            name: getattr(seq, name)[..., start:stop] for name in ("kind_BT", "pos_PBT", "block_BT", "seg_BT")
        })  # fmt: skip
        torch.testing.assert_close(lm.hidden(part, cache), whole[:, start:stop], atol=1e-5, rtol=1e-5)
    assert mapped == [3, 1, 2]
