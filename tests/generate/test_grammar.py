"""No incomplete picture can be emitted, whatever the logits; text alone never holds a part of one."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.generate.grammar import Grammar
from anyvlm.generate.sampling import Sampling, choose

VOCAB, BEGIN, END = 24, 3, 17
WORDS = [20, 5, 21, 4, 22]  # of codes, in no order


def walk(seed: int, rows: int, places: int, room: int, temperature: float, pictures: bool) -> tuple[list[list[int]], ...]:
    """Ids and codes of every row, from logits that like to begin pictures."""
    grammar = Grammar(VOCAB, torch.tensor(WORDS), BEGIN, END, places=places, rows=rows, room=room, pictures=pictures)
    random = torch.Generator().manual_seed(seed)
    sampling = Sampling(temperature=temperature, seed=seed)
    generators = sampling.generators(rows, torch.device("cpu"))
    ids, codes = [], []
    for _ in range(room):
        logits = torch.randn(rows, VOCAB, generator=random) * 5
        logits[:, BEGIN] += 4
        chosen = choose(grammar.mask(logits), sampling, None, generators)
        ids.append(chosen.tolist())
        codes.append(grammar.take(chosen).tolist())
    return [list(row) for row in zip(*ids, strict=True)], [list(row) for row in zip(*codes, strict=True)]


@given(
    seed=st.integers(0, 2**31), rows=st.integers(1, 3), places=st.integers(1, 6), room=st.integers(1, 30),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
)  # fmt: skip
def test_pictures_are_whole(seed: int, rows: int, places: int, room: int, temperature: float) -> None:
    for ids, codes in zip(*walk(seed, rows, places, room, temperature, True), strict=True):
        at, whole = 0, 0
        while at < room:
            if ids[at] == BEGIN:
                inside = ids[at + 1 : at + 1 + places]
                assert len(inside) == places and all(id in WORDS for id in inside)
                assert codes[at + 1 : at + 1 + places] == [WORDS.index(id) for id in inside]
                assert ids[at + 1 + places] == END and codes[at] == codes[at + 1 + places] == -1
                at, whole = at + places + 2, whole + 1
            else:
                assert ids[at] not in WORDS and ids[at] != END and codes[at] == -1
                at += 1
        assert whole == sum(id == BEGIN for id in ids) and (whole == 0) <= (room < places + 2 or BEGIN not in ids)


@given(seed=st.integers(0, 2**31), room=st.integers(1, 20))
def test_text_alone(seed: int, room: int) -> None:
    (ids,), (codes,) = walk(seed, 1, 4, room, 2.0, False)
    assert not {BEGIN, END, *WORDS} & set(ids) and set(codes) == {-1}


def test_pictures_come() -> None:
    """The laws above are about something."""
    ids, _ = walk(0, 3, 4, 30, 1.0, True)
    assert sum(row.count(BEGIN) for row in ids) >= 4


def test_what_may_come_keeps_its_logits() -> None:
    grammar = Grammar(VOCAB, torch.tensor(WORDS), BEGIN, END, places=2, rows=1, room=9, pictures=True)
    logits = torch.randn(1, VOCAB)
    masked = grammar.mask(logits)
    seen = masked > -torch.inf
    assert torch.equal(masked[seen], logits[seen])
    assert [id for id in range(VOCAB) if not seen[0, id]] == sorted([*WORDS, END])
