"""The layout that is told is the plan, and folding loses nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.anatomy.layout import Fold, Run, folded, outlined, planned, total
from anyvlm.anatomy.tokens import costs, offers
from anyvlm.errors import InputError
from anyvlm.inputs.messages import ask
from anyvlm.inputs.plan import plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.registry import system
from anyvlm.system import System
from tests.whole import bytes_and

ROWS = Run("rows", 4, "", (1, 1, 4), 0)
RUN = st.sampled_from([Run("control", 1, "[BREAK]"), ROWS, Run("text", None, "a"), Run("text", 2, "b")])
SIZES = [(640, 480), (300, 900)]


def whole(name: str) -> System:
    spec = system(name)
    assert isinstance(spec, System)
    return spec


@given(st.lists(RUN, max_size=30))
def test_unfolded_it_is_the_same(runs: Sequence[Run]) -> None:
    folds = folded(runs)
    assert [run for fold in folds for _ in range(fold.times) for run in fold.runs] == list(runs)
    assert total(folds) == total(runs)


def test_lines_fold() -> None:
    line = (ROWS, Run("control", 1, "[BREAK]"))
    assert folded([*line, *line, *line, ROWS]) == (Fold(line, 3), Fold((ROWS,)))


@pytest.mark.parametrize("name", ["pixtral-12b", "llava-1.5-7b", "paligemma-3b-mix-224", "llava-next-mistral-7b"])
def test_it_is_the_plan(name: str) -> None:
    spec = whole(name)
    marks = [token for stream in spec.streams.values() if stream.markup for token in stream.markup.tokens]
    tokenizer = Tokenizer(bytes_and(*dict.fromkeys([*spec.template.specials, spec.placeholder, *marks])))
    messages = ask(["a", "b"], "What is it?")
    laid = plan(spec, tokenizer, messages, sizes=SIZES)
    runs = planned(laid, tokenizer)
    assert total(runs) == len(laid)
    assert [run.grid for run in runs if run.what == "rows"] == [span.grid for span in laid.spans]
    outline = outlined(spec, messages, costs(spec, SIZES))
    assert [run for run in outline if run.what != "text"] == [run for run in runs if run.what != "text"]


def test_rows_in_a_memory_take_no_place() -> None:
    spec = whole("flamingo-9b")
    runs = outlined(spec, ask(["a"], "What?"), costs(spec, SIZES[:1]))
    assert [run.tokens for run in runs if run.what == "memory"] == [0]
    assert [run.text for run in runs if run.what == "control"] == ["<BOS>", spec.placeholder]


def test_offers_are_costs() -> None:
    names = ("llava-1.5-7b", "llava-1.5-13b", "pixtral-12b", "flamingo-9b", "smolvlm-256m", "blip-vqa-base")
    found, refused = offers(map(whole, names), SIZES[:1])
    assert not refused
    assert [offer.tokens for offer in found] == sorted(offer.tokens for offer in found)
    for offer in found:
        for name in offer.systems:
            assert offer.tokens == sum(cost.tokens for cost in costs(whole(name), SIZES[:1]))
    by_first = {offer.systems[0]: offer for offer in found}
    assert by_first["llava-1.5-7b"].systems == ("llava-1.5-7b", "llava-1.5-13b")
    assert by_first["flamingo-9b"].places == 1 and by_first["blip-vqa-base"].places == 0
    assert by_first["pixtral-12b"].places == by_first["pixtral-12b"].tokens and not by_first["pixtral-12b"].beside
    assert by_first["smolvlm-256m"].least and not by_first["pixtral-12b"].least


def test_who_refuses_says_why() -> None:
    found, refused = offers([whole("llava-1.5-7b"), whole("blip-vqa-base")], SIZES)
    assert [offer.systems for offer in found] == [("llava-1.5-7b",)]
    assert "pictures" in refused["blip-vqa-base"]
    with pytest.raises(InputError):
        costs(whole("opt-2.7b"), SIZES)
