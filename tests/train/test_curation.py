"""Curation in training on a synthetic stream: a twentieth of the captions is about the classes, the rest is noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from anyvlm import registry
from anyvlm.dual import Dual
from anyvlm.errors import SpecError
from anyvlm.inputs.text import TextPolicy
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.tiny import tiny_dual
from anyvlm.train.curation import curated_batches, unmapped
from anyvlm.train.dual import contrast
from anyvlm.train.loop import trainable
from tests.parity import pixels
from tests.whole import bytes_and

NAMES, NOISE, SHARE = ("A", "B", "C", "D"), "abcdefghijklmnop", 0.05


class Pair(NamedTuple):
    caption: str
    picture: Tensor
    related: bool


def stream(seed: int = 0, size: int = 200) -> Iterator[list[Pair]]:
    """Pictures of a class are of its colour; captions name it among letters that say nothing."""
    draw = torch.Generator().manual_seed(seed)
    colours = torch.randn(len(NAMES), 3, 1, 1, generator=torch.Generator().manual_seed(7)) * 3

    def one() -> Pair:
        letters = [NOISE[int(n)] for n in torch.randint(0, len(NOISE), (6,), generator=draw)]
        picture = torch.randn(3, 48, 48, generator=draw)
        if torch.rand((), generator=draw) >= SHARE:
            return Pair("".join(letters), picture, False)
        kind = int(torch.randint(0, len(NAMES), (), generator=draw))
        letters[int(torch.randint(0, 6, (), generator=draw))] = NAMES[kind]
        return Pair("".join(letters), picture * 0.3 + colours[kind], True)

    while True:
        yield [one() for _ in range(size)]


def start() -> tuple[Dual, Tokenizer]:
    torch.manual_seed(0)
    spec = tiny_dual(registry.system("cit-moco-b-16-yfcc15m")).but(towers__image__encoder__depth=2)
    policy = spec.towers["text"].policy
    assert isinstance(policy, TextPolicy) and policy.first and policy.last
    module = spec.build()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "words.word" in name or "pool.map.weight" in name:
                parameter.mul_(10)
    return module, Tokenizer(bytes_and(policy.first, policy.last, policy.pad))


def share(module: Dual, tokenizer: Tokenizer, threshold: float, least: float) -> float:
    batches = curated_batches(
        module, tokenizer, stream(99), lambda pair: pair.caption, NAMES, size=50, every=4, threshold=threshold, least=least
    )
    kept = [pair for batch in islice(batches, 4) for pair in batch]
    return sum(pair.related for pair in kept) / len(kept)


def test_the_share_of_related_captions_rises_as_the_text_tower_learns() -> None:
    module, tokenizer = start()
    stage = module.spec.stages[0]
    policy = module.spec.towers["text"].policy
    assert isinstance(policy, TextPolicy)
    steps = torch.optim.Adam(trainable(module, stage).values(), lr=2e-3)
    before = share(module, tokenizer, 0.99, 0.05)
    shares = []
    batches = curated_batches(
        module, tokenizer, stream(), lambda pair: pair.caption, NAMES, size=32, every=5, threshold=0.99, least=0.05
    )
    for batch in islice(batches, 40):
        module.train()
        x = pixels(torch.stack([pair.picture for pair in batch]), 16)
        words = policy.collate(tokenizer, [policy.encode(tokenizer, pair.caption) for pair in batch])
        steps.zero_grad()
        sum(contrast(module, {"image": x, "text": words}, stage).values()).backward()
        steps.step()
        shares.append(sum(pair.related for pair in batch) / len(batch))
    after = share(module, tokenizer, 0.99, 0.05)
    print(before, shares[::5], after)
    assert 2 * SHARE < before < after and after > 0.7
