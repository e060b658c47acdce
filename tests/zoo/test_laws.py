"""What must hold for every system of the registry, on its tiny twin with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy

from anyvlm import registry
from anyvlm.dual import DualSystem
from anyvlm.errors import InputError, WeightsError
from anyvlm.ground import GroundSystem
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture, Video
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.inputs.video import Footage
from anyvlm.keys import Layout, export_steps, revert
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.seq import Kind
from anyvlm.spec import Spec, from_json, to_json
from anyvlm.system import VLM, Batch, Checkpoint, System, VisionSystem
from anyvlm.tiny import tiny, tiny_dual, tiny_ground, tiny_match, tiny_vision
from anyvlm.train.embedding import discriminative
from anyvlm.train.loop import trainable
from anyvlm.train.lora import add_lora
from anyvlm.weights.load import Loaded, load_module, load_system
from anyvlm.weights.save import export, layout_named, save, tensors
from anyvlm.weights.sources import Directory
from tests.parity import record

NAMES = sorted(registry.SYSTEMS)
WHOLE = [name for name in NAMES if isinstance(registry.system(name), System)]
SEEING = [name for name in WHOLE if registry.system(name).streams]
CODES = torch.tensor([[3, 1, 4, 1, 5]])  # of a picture, or of its beginning
FILMING = [name for name in SEEING if any(stream.film for stream in registry.system(name).streams.values())]
TOWERS = sorted(set(NAMES) - set(WHOLE))
BY_KIND = [name for name in SEEING if getattr(registry.system(name).lm, "by_kind", None)]


@cache
def small(name: str) -> System:
    return tiny(registry.system(name)).but(tokenizer=None, fresh=(), lm__context=2048)


@cache
def built(name: str) -> VLM:
    """Random values everywhere, large enough that everything matters."""
    return stirred(small(name).build().eval())


def shrunk(system: AnySystem) -> AnySystem:
    if isinstance(system, MatchSystem):
        return tiny_match(system)
    if isinstance(system, DualSystem):
        return tiny_dual(system)
    if isinstance(system, GroundSystem):
        return tiny_ground(system)
    return tiny_vision(system) if isinstance(system, VisionSystem) else small(system.name)


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(noise * parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 1 + 0.2 * noise)
    return module


@cache
def tokenizer(name: str) -> Tokenizer:
    """One token for a byte, and the control tokens of the system's template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE(vocab={char: id for id, char in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    streams = small(name).streams
    marks = [token for stream in streams.values() if stream.markup for token in stream.markup.tokens]
    marks += [token for stream in streams.values() if stream.film for token in stream.film.script.tokens]
    marks += [stream.film.placeholder for stream in streams.values() if stream.film and stream.film.placeholder]
    if painting := small(name).painting:
        marks += filter(None, [painting.begin, painting.end, painting.blank])
    inner.add_special_tokens([*small(name).template.specials, small(name).placeholder, *marks])
    found = Tokenizer(inner, added=small(name).added)
    for key, reads in ((key, stream.reads) for key, stream in streams.items() if stream.reads):
        reader = tokenizers.Tokenizer.from_str(inner.to_str())
        reader.add_special_tokens([reads.first, reads.last])
        found.readers[key] = Tokenizer(reader)
    return found


def laid_out(name: str, *parts: str | tuple[int, int], answer: str = "") -> tuple[Plan, list[np.ndarray]]:
    """The plan of one question made of texts and pictures of these sizes (width, height), and random pixels.

    `answer`: what has been said to it, if anything.
    """
    system, random = small(name), np.random.default_rng(0)
    content = tuple(Picture("") if isinstance(part, tuple) else part for part in parts)
    sizes = [part for part in parts if isinstance(part, tuple)]
    said = [Message("assistant", (answer,))] if answer else []
    laid = plan(system, tokenizer(name), [Message("user", content), *said], sizes=sizes, reply=not said)
    shapes = [shape for seen in laid.pictures for shape in seen.cut.sizes]
    return laid, [random.standard_normal((3, *shape)).astype(np.float32) for shape in shapes]


def batch(name: str, *rows: tuple[Plan, list[np.ndarray]], labels: bool = False) -> Batch:
    return collate(small(name), [row[0] for row in rows], [row[1] for row in rows], labels=labels)


def film(name: str, frames: int, *parts: str | tuple[int, int]) -> tuple[Plan, list[np.ndarray]]:
    """The same with a video of so many frames, 3 a second and 50 x 40 pixels large, behind the first part."""
    system, random = small(name), np.random.default_rng(frames)
    first, *rest = (Picture("") if isinstance(part, tuple) else part for part in parts)
    ticks = tuple(range(frames))
    footage = Footage(50, 40, ticks, ticks, Fraction(1, 3), 3.0)
    sizes = [*(part for part in parts[:1] if isinstance(part, tuple)), footage]
    sizes += [part for part in parts[1:] if isinstance(part, tuple)]
    laid = plan(system, tokenizer(name), [Message("user", (first, Video(""), *rest))], sizes=sizes)
    shapes = [shape for seen in laid.pictures for shape in seen.cut.sizes]
    return laid, [random.standard_normal((3, *shape)).astype(np.float32) for shape in shapes]


def question(name: str, text: str = "What is it?", answer: str = "") -> tuple[Plan, list[np.ndarray]]:
    return laid_out(name, *(((50, 40),) if small(name).streams else ()), text, answer=answer)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_json_round_trip(name: str) -> None:
    system = registry.system(name)
    assert system.name == name
    assert from_json(json.loads(json.dumps(to_json(system)))) == system


def accepted(policy: Policy, width: int, height: int) -> bool:
    """A policy may refuse a picture by its size, with a sentence about it."""
    try:
        return bool(policy.cut(width, height).sizes)
    except InputError as error:
        assert str(width) in str(error) and str(height) in str(error)
        return False


@pytest.mark.parametrize("name", SEEING)
@given(sizes=st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 2000)), min_size=1, max_size=3))
@settings(max_examples=5)
def test_plan_is_what_the_encoder_returns(name: str, sizes: list[tuple[int, int]]) -> None:
    full = registry.system(name).streams["image"]
    sizes = sizes[: full.most]
    assume(all(accepted(full.policy, *size) for size in sizes))
    laid, arrays = laid_out(name, *sizes, "x")
    media = batch(name, (laid, arrays)).media["image"]
    with torch.no_grad():
        rows = built(name).rows({"image": media})["image"]
    assert rows.grids == tuple(grid for cut in media.cuts for grid in small(name).streams["image"].rows(cut))
    if full.reach:
        assert not laid.spans and len(media.reaches) == len(sizes)
        return
    assert laid.image_tokens == len(rows.x_ND) == sum(kind == Kind.IMAGE for kind in laid.kinds)
    cells = [cell for cell in full.cells(full.policy.cut(*sizes[0])) if not isinstance(cell, str)]
    assert sum(map(prod, cells)) == sum(map(prod, full.rows(full.policy.cut(*sizes[0]))))


@pytest.mark.parametrize("name", FILMING)
@torch.no_grad()
def test_plan_of_a_video_is_what_the_encoder_returns(name: str) -> None:
    """Alone and between pictures, of one frame, an odd number and more than are seen."""
    stream = small(name).streams["image"]
    for frames in (1, 3, 20):
        for parts in (("x",), ((30, 60), (70, 20), "x")):
            laid, arrays = film(name, frames, *parts)
            media = batch(name, (laid, arrays)).media["image"]
            rows = built(name).rows({"image": media})["image"]
            assert rows.grids == tuple(grid for cut in media.cuts for grid in stream.rows(cut))
            assert laid.image_tokens == laid.kinds.count(Kind.IMAGE) and laid.video_tokens == laid.kinds.count(Kind.VIDEO) > 0
            assert laid.image_tokens + laid.video_tokens == len(rows.x_ND)
            assert sum(bool(seen.cut.frames) for seen in laid.pictures) == 1


@pytest.mark.parametrize("name", FILMING)
@torch.no_grad()
def test_videos_and_pictures_share_a_batch(name: str) -> None:
    """Rows of a video, a picture and nothing to see, in any order, are what each is alone."""
    vlm = built(name)
    rows = [film(name, 7, "What?"), question(name), laid_out(name, "Hello"), film(name, 4, (30, 60), "And this?")]
    alone = [vlm(batch(name, row))[0] for row in rows]
    for order in ((0, 1, 2, 3), (3, 2, 1, 0)):
        together = vlm(batch(name, *(rows[n] for n in order)))
        for place, n in enumerate(order):
            close(together[place, : len(alone[n])], alone[n])


@pytest.mark.parametrize("name", SEEING)
@torch.no_grad()
def test_two_pictures_in_either_order_of_batching(name: str) -> None:
    """Which sample comes first changes no answer, though pictures of one size are encoded together."""
    vlm = built(name)
    rows = [laid_out(name, (50, 40), "What?"), laid_out(name, (40, 70), "And this?"), laid_out(name, (50, 40), "Hm?")]
    rows[2] = rows[2][0], [array + 1 for array in rows[2][1]]
    first, second = vlm(batch(name, *rows)), vlm(batch(name, *reversed(rows)))
    for n, (laid, _) in enumerate(rows):
        close(first[n, : len(laid)], second[-1 - n, : len(laid)])


@pytest.mark.parametrize("name", SEEING)
@torch.no_grad()
def test_text_alone_ignores_the_eyes(name: str) -> None:
    vlm, start = built(name), batch(name, laid_out(name, "Hello"))
    before = vlm(start)
    other = small(name).build().eval()
    other.load_state_dict(vlm.state_dict() | {k: v + 1 for k, v in vlm.state_dict().items() if not k.startswith("lm.")})
    assert torch.equal(before, other(start))
    seen = batch(name, question(name))
    assert not torch.allclose(vlm(seen), other(seen))


def copied(name: str) -> bool:
    """A parameter of the copies for pictures."""
    return name.startswith("lm.") and ".image." in name


@pytest.mark.parametrize("name", BY_KIND)
@torch.no_grad()
def test_text_does_not_move_with_the_weights_of_other_kinds(name: str) -> None:
    vlm, text, seen = built(name), batch(name, laid_out(name, "Hello")), batch(name, question(name))
    other = small(name).build().eval()
    other.load_state_dict({k: v + copied(k) for k, v in vlm.state_dict().items()})
    assert torch.equal(vlm(text), other(text))
    assert not torch.allclose(vlm(seen), other(seen))


@pytest.mark.parametrize("name", BY_KIND)
@torch.no_grad()
def test_equal_copies_are_the_base(name: str) -> None:
    state, seen = built(name).state_dict(), batch(name, question(name))
    equal, base = small(name).build().eval(), small(name).but(lm__by_kind=None).build().eval()
    equal.load_state_dict({k: state[k.replace(".image.", ".text.")] if copied(k) else v for k, v in state.items()})
    base.load_state_dict({k.replace(".text.", "."): v for k, v in state.items() if not copied(k)})
    close(equal(seen), base(seen))


@pytest.mark.parametrize("name", WHOLE)
@torch.no_grad()
def test_cached_is_recomputed(name: str) -> None:
    """Prefill of the prompt and the beginning of an answer, then token by token."""
    vlm, whole = built(name), batch(name, question(name, "What is it, and where?", "It is there, I think."))
    lm = vlm.lm
    seq = lm.begin(vlm.assemble(whole))
    T = seq.seg_BT.shape[1]
    cache_ = lm.spec.cache(1, T, like=lm.embed.weight)
    cuts = [0, T - 7, *range(T - 6, T + 1)]
    parts = []
    for a, b in zip(cuts, cuts[1:], strict=False):
        part = replace(
            seq, x_BTD=seq.x_BTD[:, a:b], kind_BT=seq.kind_BT[:, a:b], pos_PBT=seq.pos_PBT[..., a:b],
            block_BT=seq.block_BT[:, a:b], seg_BT=seq.seg_BT[:, a:b],
            memory={name: replace(memory, seen_BTS=memory.seen_BTS[:, a:b]) for name, memory in seq.memory.items()},
        )  # fmt: skip
        parts.append(lm.logits(lm.hidden(part, cache_)))
    close(torch.cat(parts, 1), vlm(whole))


@pytest.mark.parametrize("name", WHOLE)
@torch.no_grad()
def test_ragged_is_one_by_one(name: str) -> None:
    vlm = built(name)
    rows = [question(name), laid_out(name, "A longer question, without any picture at all?"), question(name, "Hm")]
    together = vlm(batch(name, *rows))
    for n, row in enumerate(rows):
        close(together[n, : len(row[0])], vlm(batch(name, row))[0])


@pytest.mark.parametrize("name", WHOLE)
@torch.no_grad()
def test_packed_is_separate(name: str) -> None:
    """Two samples in one row, told apart by their segment."""
    vlm, rows = built(name), [batch(name, question(name)), batch(name, question(name, "And this one?"))]
    T = rows[0].ids_BT.shape[1]
    media = {
        stream: replace(
            x, x_NC=torch.cat([row.media[stream].x_NC for row in rows]), grids=x.grids * 2, cuts=x.cuts * 2,
            texts=x.texts + rows[1].media[stream].texts,
            reaches=(*x.reaches, *((row, a + T, b + T) for row, a, b in rows[1].media[stream].reaches)),
        )
        for stream, x in rows[0].media.items()
    }  # fmt: skip
    segments = [torch.full_like(row.seg_BT, n) for n, row in enumerate(rows)]
    ids, kinds = (torch.cat([getattr(row, field) for row in rows], 1) for field in ("ids_BT", "kind_BT"))
    prefix = None if rows[0].prefix_BT is None else torch.cat([row.prefix_BT for row in rows], 1)
    positions = torch.cat([row.pos_PBT for row in rows], 2)
    packed = Batch(ids, kinds, positions, torch.cat(segments, 1), media, prefix_BT=prefix)
    close(vlm(packed), torch.cat([vlm(row) for row in rows], 1))


@pytest.mark.parametrize("name", WHOLE)
def test_stages_move_exactly_their_parameters(name: str) -> None:
    for stage in small(name).stages:
        vlm = stirred(small(name).build())
        names = [n for n, _ in vlm.named_parameters()]
        for glob in (*stage.train, *stage.rates):
            assert any(fnmatchcase(n, glob) for n in names), f"{stage.name}: {glob} is no parameter"
        if stage.lora:
            add_lora(vlm, stage.lora)
        moving = trainable(vlm, stage)
        before = {n: p.detach().clone() for n, p in vlm.named_parameters()}
        start = batch(name, question(name, answer="It is there."), labels=True)
        loss = cross_entropy(vlm(start)[0], start.labels_BT[0])
        if "contrast" in stage.losses:  # of points, two against two
            asked = [question(name, text) for text in ("one word", "a word")], [laid_out(name, text) for text in ("ab", "c")]
            loss = sum(discriminative(vlm, *(batch(name, *rows) for rows in asked), start).values())
        if "paint" in stage.losses:
            loss = loss + cross_entropy(vlm.painted(start, CODES)[0], CODES[0])
        loss.backward()
        torch.optim.SGD(moving.values(), lr=1.0).step()
        moved = {n for n, p in vlm.named_parameters() if not torch.equal(p, before[n])}
        assert moved <= moving.keys()
        updates = {n for n in moving if stage.lora and n.endswith((".a", ".b"))}
        for glob in stage.train:
            assert any(fnmatchcase(n, glob) for n in moved), f"{stage.name}: nothing of {glob} moves"
        assert not updates or any(n.endswith(".b") for n in moved & updates)
        assert moving.keys() - updates == {n for n in names if any(fnmatchcase(n, glob) for glob in stage.train)}


@pytest.mark.parametrize("name", WHOLE)
def test_saved_directory_is_the_same(name: str, tmp_path: Path) -> None:
    loaded = Loaded(small(name), built(name), tokenizer(name))
    save(loaded, tmp_path / "saved")
    again = load_system(tmp_path / "saved")
    assert placeless(again.system) == placeless(small(name))
    assert again.tokenizer is not None and again.tokenizer.vocab == tokenizer(name).vocab
    assert {p.dtype for p in again.module.parameters()} == {torch.float32}
    assert_equal(tensors(again), tensors(loaded))
    # with an answer: of a single row (the start of an answer) the last bit depends on where the weights lie in memory
    start = batch(name, question(name, answer="It is."))
    with torch.no_grad():
        assert torch.equal(again.module(start), built(name)(start))
    record("laws", name, 0.0, "the laws of tests/zoo/test_laws.py")


def placeless(system: System) -> System:
    """Without the places that weights and tokenizers come from."""
    streams = {
        key: stream.but(reads__tokenizer=Directory(path="")) if stream.reads else stream
        for key, stream in system.streams.items()
    }  # fmt: skip
    return system.but(checkpoints=(), tokenizer=None, streams=streams)


def whole(names: Iterable[str], layout: Layout, part: Callable[[str], Spec]) -> bool:
    """Whether a layout has a name for every tensor."""
    try:
        export_steps(names, layout, part)
    except WeightsError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_export_gives_back_what_was_loaded(name: str, tmp_path: Path) -> None:
    """In every layout that holds the whole system: file -> ours -> file, byte for byte."""
    system = registry.system(name)
    spec = shrunk(system)
    module = stirred(spec.build().eval()).half()
    ours = tensors(Loaded(spec, module, None))
    layouts = tuple(layout for checkpoint in spec.checkpoints for layout in checkpoint.layouts)
    for layout in layouts:
        if not all(any(n.startswith(mount.ours) for mount in layout.mounts) for n in ours):
            continue  # a layout of one part
        if len(spec.checkpoints) > 1 and not whole(ours, layout, spec.part):
            continue  # of what one of several files holds
        folder = tmp_path / layout.name
        folder.mkdir(exist_ok=True)
        theirs = dict(revert(ours, layout, spec.part))
        save_file({n: t.contiguous() for n, t in theirs.items()}, folder / "model.safetensors")
        here = spec.but(checkpoints=(Checkpoint(source=Directory(path=str(folder)), layouts=layouts),), fresh=())
        loaded = Loaded(here, load_module(here), None)
        assert_equal(tensors(loaded), ours)
        assert_equal(dict(revert(tensors(loaded), layout, here.part)), theirs)


@pytest.mark.parametrize("name", [
    "llava-1.5-7b", "bakllava-7b", "llava-pp-phi3-mini", "aya-23-8b", "siglip-vit-l-16-384-vision", "mpt-7b",
    "redpajama-incite-base-3b",
])  # fmt: skip
def test_exported_files(name: str, tmp_path: Path) -> None:
    """The whole directory, through `export`."""
    system = registry.system(name)
    spec = tiny_vision(system) if isinstance(system, VisionSystem) else small(name)
    loaded = Loaded(spec, stirred(spec.build().eval()), None)
    layout = layout_named(spec, "hf")
    export(loaded, tmp_path / "out")
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), dict(revert(tensors(loaded), layout, spec.part)))
    assert_equal(tensors(load_system(tmp_path / "out")), tensors(loaded))


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [n for n in a if a[n].dtype != b[n].dtype or not torch.equal(a[n], b[n])] == []
