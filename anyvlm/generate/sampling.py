"""How the next token is chosen. Semantics and order are those of transformers' logits processors.

Shape letters: B rows of the batch, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anyvlm.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of one generation.

    `temperature` 0 takes the likeliest token (greedy). `top_k` 0, `top_p` 1, `min_p` 0 and `repetition_penalty` 1 are
    off. `seed`: the same seed gives the same text, whatever else is in the batch; None draws afresh. `stop`: strings
    that end the text and are not part of it. `pictures`: the answer may also hold pictures, where the system writes them as
    words. Raises InputError for values that mean nothing.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    pictures: bool = False

    def __post_init__(self) -> None:
        whole("max_tokens", self.max_tokens, 1, 2**31 - 1)
        whole("top_k", self.top_k, 0, 2**31 - 1)
        real("temperature", self.temperature, 0, 100)
        real("top_p", self.top_p, 0, 1, above=True)
        real("min_p", self.min_p, 0, 1)
        real("repetition_penalty", self.repetition_penalty, 0, 100, above=True)
        if self.seed is not None:
            whole("seed", self.seed, 0, 2**63 - 1)
        stops: object = self.stop
        if not isinstance(stops, (tuple, list)) or not all(isinstance(stop, str) and stop for stop in stops):
            raise InputError(f"stop is {stops!r}; give a tuple of strings that are not empty.")

    def generators(self, rows: int, device: torch.device) -> list[torch.Generator]:
        """One source of randomness per row, all alike for a given seed: a row does not know its neighbours."""
        generators = [torch.Generator(device) for _ in range(rows)]
        for generator in generators:
            if self.seed is None:
                generator.seed()
            else:
                generator.manual_seed(self.seed)
        return generators


def whole(name: str, value: object, low: int, high: int) -> None:
    """Raise InputError unless the setting is a whole number within these limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} is {value!r}; give a whole number from {low} to {high}.")


def real(name: str, value: object, low: float, high: float, *, above: bool = False) -> None:
    """Raise InputError unless the setting is a number within these limits, `low` itself excluded if `above`."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not low <= value <= high or (above and value == low):  # type: ignore[operator]
        raise InputError(f"{name} is {value!r}; give a number {'above' if above else 'from'} {low:g} up to {high:g}.")


def choose(logits_BV: Tensor, sampling: Sampling, seen_BV: Tensor | None, generators: Sequence[torch.Generator]) -> Tensor:
    """The next id of every row (B).

    `seen_BV`: True for ids of the prompt and the text so far, which `repetition_penalty` makes less likely.
    `generators`: one per row; greedy choice does not touch them.
    """
    if sampling.repetition_penalty != 1.0 and seen_BV is not None:
        logits_BV = penalise(logits_BV.float(), seen_BV, sampling.repetition_penalty)
    if sampling.temperature == 0.0:
        return logits_BV.max(-1).indices  # the first of equals, as argmax, but much faster on CPU
    probs_BV = filtered(logits_BV.float(), sampling).softmax(-1)
    rows = [torch.multinomial(p, 1, generator=g) for p, g in zip(probs_BV, generators, strict=True)]
    return torch.cat(rows)


def penalise(logits_BV: Tensor, seen_BV: Tensor, penalty: float) -> Tensor:
    """Repetition penalty (1909.05858): logits of seen ids divided by it where positive, multiplied where negative."""
    return torch.where(seen_BV, torch.where(logits_BV > 0, logits_BV / penalty, logits_BV * penalty), logits_BV)


def filtered(logits_BV: Tensor, sampling: Sampling) -> Tensor:
    """Logits after temperature, top-k, top-p and min-p in this order; what is cut off is -inf."""
    x = logits_BV / sampling.temperature
    if 0 < sampling.top_k < x.shape[-1]:
        x = x.masked_fill(x < x.topk(sampling.top_k).values[:, -1:], -torch.inf)
    if sampling.top_p < 1.0:
        ascending, ids = x.sort(-1)
        cut = ascending.softmax(-1).cumsum(-1) <= 1 - sampling.top_p
        cut[:, -1] = False  # the likeliest always stays
        x = x.masked_fill(torch.zeros_like(cut).scatter(1, ids, cut), -torch.inf)
    if sampling.min_p > 0.0:
        probs = x.softmax(-1)
        x = x.masked_fill(probs < sampling.min_p * probs.amax(-1, keepdim=True), -torch.inf)
    return x
