"""Curation in training on a synthetic stream: a twentieth of the captions is about the classes, the rest is noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
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
    kind: int  # of its picture; those of unrelated pairs are noise

    @property
    def related(self) -> bool:
        return self.kind >= 0


def stream(seed: int = 0, size: int = 400) -> Iterator[list[Pair]]:
    """Six letters that say nothing; in related captions one of them names the class."""
    draw = np.random.default_rng(seed)
    while True:
        kinds = np.where(draw.random(size) < SHARE, draw.integers(0, len(NAMES), size), -1)
        letters, places = draw.integers(0, len(NOISE), (size, 6)), draw.integers(0, 6, size)
        yield [
            Pair("".join(NAMES[kind] if kind >= 0 and n == place else NOISE[each] for n, each in enumerate(line)), int(kind))
            for line, place, kind in zip(letters, places, kinds, strict=True)
        ]


def shown(batch: list[Pair]) -> Tensor:
    colours = torch.randn(len(NAMES), 3, 1, 1, generator=torch.Generator().manual_seed(7)) * 3
    noise = torch.randn(len(batch), 3, 48, 48)
    return torch.stack([colours[p.kind] + x * 0.3 if p.related else x for p, x in zip(batch, noise, strict=True)])


def start() -> tuple[Dual, Tokenizer]:
    """A text tower that, as a pretrained one does, takes words without meaning for much the same."""
    torch.manual_seed(0)
    spec = tiny_dual(registry.system("cit-moco-b-16-yfcc15m")).but(towers__image__encoder__depth=2)
    policy = spec.towers["text"].policy
    assert isinstance(policy, TextPolicy) and policy.first and policy.last
    module, tokenizer = spec.build(), Tokenizer(bytes_and(policy.first, policy.last, policy.pad))
    encoder = module.towers["text"].encoder
    ids = [policy.encode(tokenizer, letter).ids[1] for letter in NOISE]
    with torch.no_grad():
        words = encoder.words.word.weight
        words.mul_(10)
        words[ids] = words[ids[0]] + 1.5 * words[ids]
        for name, parameter in encoder.blocks.named_parameters():
            if name.endswith("attn.qkv.weight"):
                parameter.mul_(1.5)
    return module, tokenizer


def share(module: Dual, tokenizer: Tokenizer, threshold: float, least: float) -> float:
    batches = curated_batches(
        module, tokenizer, stream(99), lambda pair: pair.caption, NAMES, size=25, every=2, threshold=threshold, least=least
    )
    kept = [pair for batch in islice(batches, 2) for pair in batch]
    return sum(pair.related for pair in kept) / len(kept)


def test_the_share_of_related_captions_rises_as_the_text_tower_learns() -> None:
    module, tokenizer = start()
    stage = module.spec.stages[0]
    policy = module.spec.towers["text"].policy
    assert isinstance(policy, TextPolicy)
    steps = torch.optim.Adam(trainable(module, stage).values(), lr=1e-3)
    before = share(module, tokenizer, 0.999, 0.025)
    shares = []
    batches = curated_batches(
        module, tokenizer, stream(), lambda pair: pair.caption, NAMES, size=24, every=2, threshold=0.999, least=0.025
    )
    for batch in islice(batches, 24):
        module.train()
        x = pixels(shown(batch), 16)
        words = policy.collate(tokenizer, [policy.encode(tokenizer, pair.caption) for pair in batch])
        steps.zero_grad()
        sum(contrast(module, {"image": x, "text": words}, stage).values()).backward()
        steps.step()
        shares.append(sum(pair.related for pair in batch) / len(batch))
    after = share(module, tokenizer, 0.999, 0.025)
    assert 4 * SHARE < before < 0.8 < after and sum(shares[:12]) < sum(shares[12:])


def test_a_stream_that_gives_nothing_is_told() -> None:
    module, tokenizer = start()
    module.train()
    with pytest.raises(SpecError, match="No sample was chosen"):
        next(curated_batches(module, tokenizer, iter([]), str, NAMES, size=4))
    assert module.towers["text"].training  # as it was before the tower was asked
    assert torch.allclose(torch.from_numpy(unmapped(module, tokenizer, NAMES)).norm(dim=-1), torch.ones(4), atol=1e-5)
