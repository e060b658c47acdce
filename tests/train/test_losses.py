"""Losses against their two-line definitions, with gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.train.losses import next_token, right_size, word_alignment


def test_next_token_in_chunks_is_plain_cross_entropy() -> None:
    torch.manual_seed(0)
    lm = Decoder(vocab=40, width=16, depth=1, heads=2, kv_heads=1, ffn=GLU(hidden=16), context=32).build()
    hidden, labels = torch.randn(2, 9, 16, requires_grad=True), torch.randint(0, 40, (2, 9))
    labels[0, :4] = -100
    plain = F.cross_entropy(lm.logits(hidden).flatten(0, 1), labels.flatten(), ignore_index=-100)
    chunked = next_token(lm, hidden, labels, chunk=3)
    assert torch.allclose(plain, chunked, atol=1e-6)
    (a,), (b,) = torch.autograd.grad(plain, hidden, retain_graph=True), torch.autograd.grad(chunked, hidden)
    assert torch.allclose(a, b, atol=1e-7)


def test_logits_of_all_chunks_never_exist_at_a_time() -> None:
    """What autograd keeps for the backward pass is a few chunks' worth, not every place times the vocabulary."""
    lm = Decoder(vocab=1000, width=16, depth=1, heads=2, kv_heads=1, ffn=GLU(hidden=16), context=128).build()
    hidden, labels = torch.randn(1, 96, 16, requires_grad=True), torch.randint(0, 1000, (1, 96))
    kept: list[int] = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        next_token(lm, hidden, labels, chunk=8).backward()
    assert sum(kept) < 96 * 1000 / 2


def test_word_alignment_is_lowest_on_the_words_themselves() -> None:
    names = F.normalize(torch.randn(12, 8), dim=-1)
    truth = torch.arange(12)
    right = word_alignment(3 * names, names, truth)
    assert right < word_alignment(names.roll(1, 0), names, truth)
    logits = 16 * names @ names.T
    assert torch.allclose(right, F.cross_entropy(logits, truth), atol=1e-5)


def test_right_size_is_zero_at_that_length_and_the_same_for_half_and_double() -> None:
    rows = 5 * F.normalize(torch.randn(6, 8), dim=-1)
    assert right_size(rows, 5.0) < 1e-10
    assert torch.allclose(right_size(rows * 2, 5.0), right_size(rows / 2, 5.0), atol=1e-5)
