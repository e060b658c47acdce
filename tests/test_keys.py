"""Key tables run both ways, exactly, and the audit misses nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.errors import WeightsError
from anyvlm.keys import (
    OURS,
    ByHead,
    Each,
    Fuse,
    Interleaved,
    Keys,
    Layout,
    Match,
    Mount,
    Op,
    Partial,
    Reshape,
    Rule,
    Split,
    Stack,
    Tie,
    Transpose,
    audit,
    choose,
    convert,
    export_steps,
    match,
    moved,
    rename,
    revert,
)
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Part(Spec):
    heads: int = 4
    kv_heads: int = 2
    width: int = 8
    patch: int = 2
    tied: bool = False


TABLE = Keys(
    rules=(
        *rename({"emb.weight": "embed.weight", "layers.{}.norm.": "blocks.{}.norm1."}),
        Rule(
            theirs=("layers.{}.q.", "layers.{}.k.", "layers.{}.v."),
            ours=("blocks.{}.qkv.",),
            ops=(Fuse(shares=("heads", "kv_heads", "kv_heads")),),
        ),
        Rule(
            theirs=("patch.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
        ),
    ),
    ties=(Tie(theirs="head.weight", of="emb.weight"),),
    ignore=("*.inv_freq",),
)  # fmt: skip


def layout(theirs: str = "", ours: str = "", name: str = "x") -> Layout:
    return Layout(name=name, mounts=(Mount(theirs=theirs, ours=ours, keys=TABLE),))


def checkpoint(part: Part, prefix: str = "", layers: int = 2) -> dict[str, torch.Tensor]:
    unit = part.width // part.heads
    state = {"emb.weight": torch.randn(5, part.width), "patch.weight": torch.randn(part.width, 3, part.patch, part.patch)}
    for n in range(layers):
        state[f"layers.{n}.norm.weight"] = torch.randn(part.width)
        for name, heads in (("q", part.heads), ("k", part.kv_heads), ("v", part.kv_heads)):
            state[f"layers.{n}.{name}.weight"] = torch.randn(heads * unit, part.width)
            state[f"layers.{n}.{name}.bias"] = torch.randn(heads * unit)
    return {prefix + name: tensor for name, tensor in state.items()}


def shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


parts = st.builds(Part, heads=st.sampled_from([2, 4, 8]), kv_heads=st.sampled_from([1, 2]), width=st.sampled_from([8, 16]))


@given(part=parts, layers=st.integers(1, 12), prefix=st.sampled_from(["", "model.", "a.b."]))
def test_there_and_back(part: Part, layers: int, prefix: str) -> None:
    """Grouped heads split where they were joined; 12 layers, so that no number is confused with the start of another."""
    state, table = checkpoint(part, prefix, layers), layout(prefix, "lm.")
    plan = match(state, table, lambda _: part)
    ours = dict(convert(state, plan))
    assert not plan.unclaimed and not plan.incomplete
    assert ours["lm.blocks.0.qkv.weight"].shape[0] == (part.heads + 2 * part.kv_heads) * (part.width // part.heads)
    back = dict(revert(ours, table, lambda _: part))
    assert back.keys() == state.keys() and all(torch.equal(back[name], state[name]) for name in state)
    audit([(shapes(state), plan)], shapes(ours))


def op_cases() -> dict[str, tuple[Op, tuple[tuple[int, ...], ...]]]:
    return {
        "fuse": (Fuse(shares=("heads", "kv_heads", "kv_heads")), ((8, 3), (4, 3), (4, 3))),
        "fuse columns": (Fuse(shares=(1, 2), dim=1), ((3, 2), (3, 4))),
        "split": (Split(shares=("heads", "kv_heads", "kv_heads")), ((16, 3),)),
        "interleaved": (Interleaved(heads="heads"), ((16, 3),)),
        "interleaved bias": (Interleaved(heads="heads"), ((16,),)),
        "partial": (Partial(heads="heads", part=0.25), ((32, 3), (32, 3))),
        "partial bias": (Partial(heads=1, part=0.5), ((16,),)),
        "by head": (ByHead(heads="heads"), ((24, 3),)),
        "by head bias": (ByHead(heads="heads", of=2), ((16,),)),
        "transpose": (Transpose(), ((3, 5),)),
        "reshape": (Reshape(theirs=("width", 3, 2, 2), ours=("width", -1)), ((8, 3, 2, 2),)),
        "stack": (Stack(), ((2, 3), (2, 3), (2, 3))),
        "each": (Each(ops=(Interleaved(heads="kv_heads"), None)), ((8, 2), (5, 2))),
    }


@pytest.mark.parametrize("case", op_cases())
def test_every_op_has_an_exact_inverse(case: str) -> None:
    op, sizes = op_cases()[case]
    before = [torch.randn(size) for size in sizes]
    after = op.export(op.load(before, Part()), Part())
    assert len(after) == len(before) and all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    moved_ = op.load(before, Part())
    same = [a.shape == b.shape and torch.equal(a, b) for a, b in zip(moved_, before, strict=False)]
    assert len(moved_) != len(before) or not all(same)


def test_interleaved_pairs() -> None:
    """Two heads of width 4, whose pairs (0, 1), (2, 3) become (0, 2), (1, 3)."""
    rows = torch.arange(8)[:, None]
    (out,) = Interleaved(heads=2).load([rows], Part())
    assert out[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_partial_pairs() -> None:
    """One head of width 8, half of which turns: the pairs (0, 2), (1, 3) become (0, 4), (1, 5)."""
    (out,) = Partial(heads=1, part=0.5).load([torch.arange(8)], Part())
    assert out.tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    (out,) = Partial(heads=1, part=0.25).load([torch.arange(8)], Part())
    assert out.tolist() == [0, 2, 3, 4, 1, 5, 6, 7]


def test_by_head() -> None:
    """q, k and v of two heads of width 2."""
    (out,) = ByHead(heads=2).load([torch.arange(12)], Part())
    assert out.tolist() == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]


def test_ties_only_where_the_part_is_tied() -> None:
    state = checkpoint(Part()) | {"head.weight": torch.zeros(5, 8)}
    tied = match(state, layout(), lambda _: Part(tied=True))
    assert tied.ties == (("head.weight", "emb.weight"),) and not tied.unclaimed
    assert match(state, layout(), lambda _: Part()).unclaimed == ("head.weight",)


def test_ignored_names_are_said() -> None:
    plan = match([*checkpoint(Part()), "layers.0.inv_freq"], layout(), lambda _: Part())
    assert plan.ignored == ("layers.0.inv_freq",) and not plan.unclaimed


def test_the_layout_that_fits_is_chosen() -> None:
    state = checkpoint(Part(), "model.language.")
    layouts = (layout("", name="plain"), layout("model.", name="old"), layout("model.language.", name="new"))
    assert choose(state, layouts, lambda _: Part()).layout.name == "new"
    assert choose(checkpoint(Part()), layouts, lambda _: Part()).layout.name == "plain"


def test_longer_prefixes_win() -> None:
    """A table mounted at "" does not take what one at "eyes." is for."""
    both = Layout(
        name="both",
        mounts=(Mount(theirs="", ours="lm.", keys=TABLE), Mount(theirs="eyes.", ours="encoders.image.", keys=TABLE)),
    )
    plan = match([*checkpoint(Part()), *checkpoint(Part(), "eyes.")], both, lambda _: Part())
    assert not plan.unclaimed
    assert {name.partition(".")[0] for step in plan.steps for name in step.ours} == {"lm", "encoders"}


def test_moved_tables() -> None:
    table = moved(Keys(rules=rename({"model.a.": "a.", "head.": "h."}), ties=(Tie(theirs="head.weight", of="model.a.weight"),),
                       ignore=("model.x",)), "model.", "model.lm.")  # fmt: skip
    assert [rule.theirs for rule in table.rules] == [("model.lm.a.",), ("head.",)]
    assert table.ties[0].of == "model.lm.a.weight" and table.ignore == ("model.lm.x",)


def test_our_own_layout_is_the_identity() -> None:
    state = {"lm.a": torch.ones(1), "anything": torch.zeros(2)}
    assert dict(convert(state, match(state, OURS, lambda _: Part()))) == state
    assert [step.theirs for step in export_steps(state, OURS, lambda _: Part())] == [("lm.a",), ("anything",)]


def faults(state: dict[str, torch.Tensor], ours: dict[str, torch.Tensor], fresh: tuple[str, ...] = ()) -> str:
    plan = match(state, layout(), lambda _: Part())
    with pytest.raises(WeightsError) as caught:
        audit([(shapes(state), plan)], shapes(ours), fresh)
    return str(caught.value)


def whole() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    state = checkpoint(Part())
    return state, dict(convert(state, match(state, layout(), lambda _: Part())))


@given(data=st.data())
def test_the_audit_sees_every_missing_tensor(data: st.DataObject) -> None:
    state, ours = whole()
    gone = data.draw(st.sampled_from(sorted(state)))
    assert gone.split(".")[-1] in faults({name: t for name, t in state.items() if name != gone}, ours)


def test_the_audit_says_what_is_wrong() -> None:
    state, ours = whole()
    assert "Nothing claims the checkpoint's stranger" in faults(state | {"stranger": torch.ones(1)}, ours)
    assert "The checkpoint lacks fc.weight" in faults(state, ours | {"fc.weight": torch.ones(1)})
    assert "The system has no embed.weight" in faults(state, {k: v for k, v in ours.items() if k != "embed.weight"})
    assert "embed.weight has shape (9, 8) in the checkpoint and (5, 8) in the system" in faults(
        state | {"emb.weight": torch.ones(9, 8)}, ours
    )
    assert "a tensor of shape (8, 3, 4, 2) where (8, 3, 2, 2) was expected" in faults(
        state | {"patch.weight": torch.ones(8, 3, 4, 2)}, ours
    )
    many = {f"stranger.{n}": torch.ones(1) for n in range(40)}
    assert "and 34 more" in faults(state | many, ours)


def test_fresh_parameters_may_be_missing() -> None:
    state, ours = whole()
    plan: Match = match(state, layout(), lambda _: Part())
    audit([(shapes(state), plan)], shapes(ours) | {"connectors.image.weight": (2, 2)}, fresh=("connectors.*",))


def test_a_layout_without_a_name_for_a_tensor() -> None:
    with pytest.raises(WeightsError, match="has no name for unheard.of"):
        export_steps(["embed.weight", "unheard.of"], layout(), lambda _: Part())
