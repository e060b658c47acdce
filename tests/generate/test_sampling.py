"""The same filtered distributions as transformers' logits processors, and settings that mean nothing refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.errors import InputError
from anyvlm.generate.sampling import Sampling, choose, filtered, penalise

B, V = 3, 40


@given(
    seed=st.integers(0, 2**31),
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, V + 5),
    top_p=st.floats(0.01, 1.0),
    min_p=st.floats(0.0, 1.0),
    penalty=st.floats(0.5, 3),
)
def test_as_transformers(seed: int, temperature: float, top_k: int, top_p: float, min_p: float, penalty: float) -> None:
    from transformers.generation.logits_process import (
        MinPLogitsWarper,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, V, generator=random) * 4
    ids = torch.randint(0, V, (B, 7), generator=random)
    want = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits.clone())
    want = TemperatureLogitsWarper(temperature)(ids, want)
    if top_k:
        want = TopKLogitsWarper(top_k)(ids, want)
    if top_p < 1:
        want = TopPLogitsWarper(top_p)(ids, want)
    want = MinPLogitsWarper(min_p)(ids, want)

    seen = torch.zeros(B, V, dtype=torch.bool).scatter_(1, ids, True)
    settings = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty)
    got = filtered(penalise(logits, seen, penalty), settings)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=0)


def test_greedy_takes_the_first_of_equals() -> None:
    logits = torch.tensor([[0.0, 2.0, 2.0, 1.0], [5.0, 5.0, 5.0, 5.0]], dtype=torch.bfloat16)
    assert choose(logits, Sampling(), None, ()).tolist() == [1, 0]


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log().expand(4000, 3)
    settings = Sampling(temperature=1.0)
    drawn = choose(logits, settings, None, settings.generators(4000, torch.device("cpu")))
    share = drawn.bincount(minlength=3) / 4000
    assert (share - torch.tensor([0.5, 0.3, 0.2])).abs().max() < 0.05


@pytest.mark.parametrize(
    "field, value",
    [
        ("max_tokens", -1), ("max_tokens", 0), ("max_tokens", 2.5), ("max_tokens", True), ("max_tokens", 2**31),
        ("temperature", -0.1), ("temperature", float("nan")), ("temperature", float("inf")), ("temperature", "hot"),
        ("top_k", -1), ("top_p", 0), ("top_p", 1.01), ("top_p", float("nan")), ("min_p", -0.1), ("min_p", 1.1),
        ("repetition_penalty", 0), ("repetition_penalty", float("inf")), ("seed", -1), ("seed", 1.0), ("seed", 2**63),
        ("stop", "text"), ("stop", ("",)), ("stop", (3,)),
    ],
)  # fmt: skip
def test_nonsense_is_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{field} is .*; give a"):
        Sampling(**{field: value})  # type: ignore[arg-type]


def test_the_edges_are_allowed() -> None:
    Sampling(max_tokens=1, temperature=0, top_k=0, top_p=1, min_p=0, repetition_penalty=1, seed=0, stop=("a",))
    Sampling(temperature=100, top_p=1e-9, min_p=1.0, seed=2**63 - 1)
