"""Specs: editing, walking, comparing, and JSON that cannot be misread."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass, field
from enum import Enum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm, RMSNorm
from anyvlm.parts.rope import Linear, Rope
from anyvlm.seq import Kind
from anyvlm.spec import Difference, Spec, diff, from_json, to_json
from anyvlm.system import Stage, System

SMALL = Decoder(vocab=8, width=8, depth=1, heads=2, kv_heads=1, ffn=GLU(hidden=8), context=16)
LLAVA: System = registry.system("llava-1.5-7b")


def test_frozen_and_keyword_only() -> None:
    with pytest.raises(FrozenInstanceError):
        SMALL.depth = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        GLU(8)  # type: ignore[misc]


def test_but_reaches_into_the_tree() -> None:
    changed = LLAVA.but(lm__depth=2, lm__ffn__hidden=7, streams__image__encoder__layers=(-1,), stages__1__lr=1e-4)
    assert (changed.lm.depth, changed.lm.ffn.hidden, changed.streams["image"].encoder.layers) == (2, 7, (-1,))
    assert changed.stages[1].lr == 1e-4 and changed.stages[0] == LLAVA.stages[0]
    assert LLAVA.lm.depth == 32
    assert changed.but(lm=SMALL, lm__depth=3).lm == SMALL.but(depth=3)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("depht", "has no field 'depht'"),
        ("lm__depht", "Decoder has no field 'depht'"),
        ("streams__video__encoder", "has no 'video'; it has image"),
        ("stages__9__lr", "has no '9'"),
        ("name__x", "no parts to change"),
    ],
)
def test_but_refuses_what_does_not_exist(path: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        LLAVA.but(**{path: 1})


def test_walk_visits_every_spec_once() -> None:
    paths = [path for path, _ in LLAVA.walk()]
    assert len(paths) == len(set(paths))
    assert {"", "lm", "lm.ffn", "streams.image.encoder.norm", "stages.1", "checkpoints.0.layouts.0"} <= set(paths)
    assert dict(LLAVA.walk())["lm.ffn"] is LLAVA.lm.ffn


def test_diff_is_the_shortest_story() -> None:
    assert diff(LLAVA, LLAVA) == ()
    assert diff(LLAVA, LLAVA.but(lm__depth=2)) == (Difference("lm.depth", 32, 2),)
    other = LLAVA.but(lm__norm=LayerNorm())
    assert diff(LLAVA, other) == (Difference("lm.norm", RMSNorm(eps=1e-5), LayerNorm()),)
    assert [d.path for d in diff(LLAVA, LLAVA.but(stages__0__lr=1.0))] == ["stages.0.lr"]
    assert [d.path for d in diff(LLAVA, LLAVA.but(streams={}))] == ["streams.image"]


@given(
    decoder=st.builds(
        Decoder, vocab=st.integers(1), width=st.integers(1), depth=st.integers(1), heads=st.integers(1),
        kv_heads=st.integers(1), context=st.integers(1), ffn=st.builds(GLU, hidden=st.integers(1)),
        norm=st.builds(LayerNorm, eps=st.floats(0, 1), bias=st.booleans()) | st.builds(RMSNorm, eps=st.floats(0, 1)),
        rope=st.builds(Rope, theta=st.floats(1, 1e9), scaling=st.none() | st.builds(Linear, factor=st.floats(1, 64))),
        window=st.none() | st.integers(1), windowed=st.none() | st.tuples(st.integers(0), st.integers(0)),
        tied=st.booleans(),
    )
)  # fmt: skip
def test_json_round_trip(decoder: Decoder) -> None:
    assert from_json(json.loads(json.dumps(to_json(decoder)))) == decoder


def test_enums_dictionaries_and_nested_tuples() -> None:
    stage = Stage(name="x", train=("a", "b"), losses={"next_token": 1.0, "other": 2.0})
    assert from_json(json.loads(json.dumps(to_json(stage)))) == stage
    stream = LLAVA.streams["image"].but(kind=Kind.VIDEO)
    data = to_json(stream)
    assert data["kind"] == "VIDEO" and from_json(data) == stream


WRONG = {
    "unknown field": (lambda d: d.update(colour=1), r"spec: Decoder has no field 'colour'"),
    "wrong type": (lambda d: d.update(depth="2"), r"spec\.depth: expected int, found '2'"),
    "float for int": (lambda d: d.update(depth=2.0), r"spec\.depth: expected int, found 2\.0"),
    "bool for int": (lambda d: d.update(depth=True), r"spec\.depth: expected int, found True"),
    "int for bool": (lambda d: d.update(tied=1), r"spec\.tied: expected bool, found 1"),
    "missing": (lambda d: d.pop("vocab"), r"spec: .*'vocab'"),
    "nested": (lambda d: d["ffn"].update(hidden=None), r"spec\.ffn\.hidden: expected int, found None"),
    "not among": (lambda d: d["ffn"].update(act="mish"), r"spec\.ffn\.act: 'mish' is not one of 'gelu'"),
    "no class": (lambda d: d["norm"].pop("spec"), r"spec\.norm: expected an object with a field 'spec'"),
    "foreign class": (lambda d: d["norm"].update(spec="os:system"), r"spec\.norm: 'os:system' is not a spec"),
    "other class": (lambda d: d.update(norm=to_json(MLP(hidden=1))), r"spec\.norm: expected .*Norm"),
    "in a tuple": (lambda d: d.update(windowed=[1, "2"]), r"spec\.windowed\[1\]: expected int, found '2'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_json_that_is_wrong_is_refused_with_its_path(what: str) -> None:
    change, said = WRONG[what]
    data = to_json(SMALL)
    change(data)
    with pytest.raises(SpecError, match=said):
        from_json(data)


def test_a_tag_names_a_spec_of_this_package_only() -> None:
    for tag in ("spec:Spec.but", "..os:path", "parts.lm:DecoderLM", "nowhere:X", "", ":", "parts.lm:"):
        with pytest.raises(SpecError):
            from_json({"spec": tag})


def test_what_a_spec_cannot_hold() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd(Spec):
        thing: object = field(default_factory=set)

    with pytest.raises(SpecError, match="cannot hold a set"):
        to_json(Odd())


def test_literals_and_enums_keep_their_type() -> None:
    class Colour(Enum):
        RED = "r"

    @dataclass(frozen=True, kw_only=True)
    class Paint(Spec):
        colour: Colour = Colour.RED
        finish: Literal["matt", "gloss"] = "matt"

    assert to_json(Paint())["colour"] == "RED"
