"""Numbers of a comparison are those of the bill and the planner; what makes no sense is None."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from anyvlm import registry
from anyvlm.anatomy.bill import bill
from anyvlm.anatomy.compare import SIDES, Case, Comparison, Group, Row, compare
from anyvlm.anatomy.devices import device
from anyvlm.anatomy.parameters import parameters
from anyvlm.anatomy.roofline import first_token_seconds, tokens_per_second
from anyvlm.anatomy.tokens import costs
from anyvlm.anatomy.tuning import tuning
from anyvlm.errors import InputError

NAMES = ("llava-1.5-7b", "qwen2-vl-7b-instruct", "blip2-opt-2.7b", "flamingo-9b")
CASE = Case(size=(1344, 896), device="rtx4090", dtype="int8")


def compared(*names: str, case: Case = CASE) -> Comparison:
    return compare([registry.system(name) for name in names], case)


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compared(*NAMES)


def value(found: Comparison, group: str, label: str, n: int) -> float | None:
    return next(cost for cost in found.costs if (cost.group, cost.label) == (group, label)).values[n]


def test_costs_are_the_bill_s(found: Comparison) -> None:
    machine = device("rtx4090")
    for n, name in enumerate(NAMES):
        own = bill(registry.system(name), [(1344, 896)], text=64, context=4096)
        for label, number in {
            "Tokens/visual tokens": own.visual, "Tokens/prompt": own.prompt, "Work/encoder": own.encoder,
            "Work/connector": own.connector, "Work/prefill": own.prefill, "Work/one token more": own.decode,
            "Weights/parameters": own.total, "Weights/active": own.active, "Weights/in bf16": own.weights["bf16"],
            "Weights/in int8": own.weights["int8"], "Weights/in int4": own.weights["int4"],
            "Keys and values/in bf16": own.cache["bf16"], "Keys and values/in int8": own.cache["int8"],
            "Speed/first token": first_token_seconds(own, machine, "int8"),
            "Speed/then": tokens_per_second(own, machine, "int8"),
        }.items():  # fmt: skip
            assert value(found, *label.split("/"), n) == number, (name, label)


def test_visual_tokens_are_the_planner_s_and_the_papers(found: Comparison) -> None:
    visual = next(cost for cost in found.costs if cost.label == "visual tokens").values
    assert visual == (576, 1536, 32, 64)
    for n, name in enumerate(NAMES):
        (cost,) = costs(registry.system(name), [(1344, 896)])
        assert found.cuts[n].rows == visual[n] == sum(t * h * w for t, h, w in cost.rows)
        assert [window.size for window in found.cuts[n].windows] == list(cost.cut.sizes)


def test_budgets_and_curves(found: Comparison) -> None:
    llava, _, _, flamingo = found.budgets
    assert llava and flamingo
    assert (llava.visual, llava.text, llava.free, llava.beside) == (576, 64, 4096 - 640, 0)
    assert (flamingo.visual, flamingo.beside, flamingo.holds, flamingo.free) == (1, 64, 2048, 2048 - 65)
    for n, name in enumerate(NAMES):
        at = SIDES.index(1008)
        own = bill(registry.system(name), [(1008, 1008)])
        assert found.curves[n].visual[at] == own.visual
        assert found.curves[n].flops[at] == own.encoder + own.connector + own.prefill


def test_parameters_by_kind_are_all_parameters(found: Comparison) -> None:
    for n, name in enumerate(NAMES):
        assert sum(kind.count for kind in found.kinds[n]) == found.cards[n].total == parameters(registry.system(name)).count


def test_memory_to_train() -> None:
    """LLaVA-1.5: 2 bytes of every weight; 14 more of each of the connector's 20,979,712, then of all but the tower's."""
    total, connector, tower = 7_063_427_072, 20_979_712, 303_507_456
    first, second = tuning(registry.system("llava-1.5-7b"))
    assert (first.full, first.lora) == (2 * total + 14 * connector, None)
    assert second.full == 2 * total + 14 * (total - tower)
    added = 32 * 16 * (4096 + 3 * 4096 + 4096 + 4096 + 4096 + 2 * 11008 + 11008 + 4096)
    assert second.lora == 2 * (total + added) + 14 * (connector + added)


def test_the_same_system_twice_differs_in_nothing() -> None:
    found = compared("llava-1.5-7b", "llava-1.5-7b")
    assert not [row for group in found.differences for row in group.shown]
    assert all(len(set(cost.values)) == 1 for cost in found.costs)


def test_small_differences_show_as_fine_print() -> None:
    one = registry.system("llava-1.5-7b")
    found = compare([one, one.but(streams__image__policy__resample="bilinear")], CASE)
    (row,) = [row for group in found.differences for row in group.shown]
    assert row.fine and "resample bilinear" in (row.values[1] or "")


def test_fine_print_stands_back_where_something_else_differs() -> None:
    group = Group("x", (Row("size", ("1", "2")), Row("same", ("a", "a")), Row("details", ("b", "c"))))
    assert [row.label for row in group.shown] == ["size"]


def test_every_kind_of_system() -> None:
    """What a system does not have is None: a language model's pictures, a tower's answer."""
    names = ("llava-1.5-7b", "clip-vit-b-16", "dinov2-small", "blip-itm-base-coco", "smollm2-135m-instruct", "imagebind-huge")
    found = compared(*names)
    rows = {(cost.group, cost.label): cost.values for cost in found.costs}
    assert [v is None for v in rows["Tokens", "visual tokens"]] == [False, False, False, False, True, False]
    assert [v is None for v in rows["Work", "one token more"]] == [False, True, True, True, False, True]
    assert [v is None for v in rows["Speed", "then"]] == [False, True, True, True, False, True]
    assert all(v for v in rows["Weights", "in int4"])
    assert len(found.notes) == 1 and "smollm2-135m-instruct" in found.notes[0]
    assert all(len(values) == len(names) for values in rows.values())
    json.dumps(asdict(found))


def test_a_video_is_a_dash_for_systems_that_take_none() -> None:
    found = compared("llava-1.5-7b", "qwen2-vl-7b-instruct", "clip-vit-b-16", case=Case(images=0, seconds=60, fps=1))
    visual = next(cost for cost in found.costs if cost.label == "visual tokens").values
    own = bill(registry.system("qwen2-vl-7b-instruct"), Case(images=0, seconds=60, fps=1).sizes, fps=1)
    assert visual == (None, own.visual, None)
    assert len(found.notes) == 2


def test_more_pictures_than_a_system_takes() -> None:
    found = compared("yi-vl-6b", "qwen2-vl-7b-instruct", case=Case(images=3))
    visual = next(cost for cost in found.costs if cost.label == "visual tokens").values
    assert visual[0] is None and visual[1] == 3 * compared("llava-1.5-7b", "qwen2-vl-7b-instruct", case=Case()).cuts[1].rows
    assert found.notes == ("'yi-vl-6b' takes one picture at a time.",)


def test_a_picture_that_one_system_refuses() -> None:
    found = compared("llava-1.5-7b", "qwen2-vl-7b-instruct", case=Case(size=(9000, 20)))
    assert found.cuts[0].rows == 576 and not found.cuts[1].windows and found.budgets[1] is None
    assert "more than 200 times" in found.notes[0]


@pytest.mark.parametrize(
    ("names", "case", "said"),
    [
        (NAMES[:1], CASE, "name two or more"),
        (NAMES, Case(device="abacus"), "There is no device 'abacus'"),
        (NAMES, Case(dtype="fp7"), "There is no dtype 'fp7'"),
    ],
    ids=["one alone", "device", "dtype"],
)
def test_errors(names: tuple[str, ...], case: Case, said: str) -> None:
    with pytest.raises(InputError, match=said):
        compared(*names, case=case)
