"""Laws of generation, in fp32: cached == recomputed, a ragged batch == one by one, same seed same text."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from anyvlm.generate.engine import Delta, Engine
from anyvlm.generate.sampling import Sampling
from anyvlm.parts.alibi import AlibiDecoder
from anyvlm.parts.by_kind import ByKind
from anyvlm.parts.ffn import MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm, RMSNorm
from anyvlm.parts.relative import RelativeDecoder
from anyvlm.parts.rope import Llama3, LongRope, Yarn
from anyvlm.system import VLM, Batch, System

ROPES = {
    "llama3": Llama3(factor=8.0, low=1.0, high=4.0, original=32),
    "yarn": Yarn(factor=4.0, original=32),
    "longrope": LongRope(short=(1.0, 1.1, 1.2, 1.3), long=(2.0, 2.1, 2.2, 2.3), original=100, context=200),
}
SIZES = {"vocab": 97, "width": 48, "depth": 3, "heads": 6, "context": 128}
BY_KIND = ByKind(of=("norms", "qkv", "o", "ffn"))
KINDS = {
    "plain": {},
    "one-head-each": {"lm__kv_heads": 6},
    "window": {"lm__window": 5},
    "window-in-one-layer": {"lm__window": 5, "lm__windowed": (1,)},
    "parallel": {"lm__parallel": True, "lm__norm": LayerNorm(bias=False), "lm__logit_scale": 0.25},
    "three-axes": {"lm__rope__sections": (1, 1, 2)},
    "prefix": {"attention": "prefix"},
    "gemma": {"lm__norm": RMSNorm(offset=1.0), "lm__embed_scale": 7.0, "lm__tied": True},
    "persimmon": {"lm__ffn": MLP(hidden=64, act="relu2"), "lm__qk_norm": LayerNorm(), "lm__rope__part": 0.5},
    "norm-last": {"lm__norm_last": True},
    "by-kind": {"lm__by_kind": BY_KIND},
    "biased-tied": {"lm__qkv_bias": True, "lm__o_bias": True, "lm__tied": True},
    "neox": {
        "lm__parallel": True, "lm__two_norms": True, "lm__ffn": MLP(hidden=64), "lm__qkv_bias": True, "lm__rope__part": 0.5,
    },
    "alibi": {"lm": AlibiDecoder(**SIZES, ffn=MLP(hidden=64, bias=False), norm=LayerNorm(bias=False), qk_norm=LayerNorm())},
    "relative": {"lm": RelativeDecoder(**SIZES, ffn=MLP(hidden=64, bias=False))},
    **{name: {"lm__rope__scaling": scaling} for name, scaling in ROPES.items()},
}  # fmt: skip


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest, tiny: System) -> System:
    return tiny.but(**KINDS[request.param])


def run(vlm: VLM, batch: Batch, sampling: Sampling, numbers: type, ends: frozenset[int] = frozenset()) -> list[Delta]:
    decoders = [numbers() for _ in batch.ids_BT]
    return list(Engine(vlm).generate(batch, sampling, decoders=decoders, ends=ends))


def ids(deltas: list[Delta], row: int = 0) -> list[int]:
    return [delta.id for delta in deltas if delta.row == row]


@torch.no_grad()
def recomputed(vlm: VLM, batch: Batch, tokens: int) -> tuple[list[int], list[torch.Tensor]]:
    """Greedy generation of one row without a cache, by the longest way: everything again for every token."""
    features = vlm.features(batch.media)
    new: list[int] = []
    all_logits = []
    for _ in range(tokens):
        more = torch.tensor([new], dtype=torch.long)
        whole = torch.cat([batch.ids_BT, more], 1)
        seg, kinds = torch.zeros_like(whole), torch.cat([batch.kind_BT, torch.zeros_like(more)], 1)
        after = batch.pos_PBT.max() + 1 + torch.arange(len(new)).expand(len(batch.pos_PBT), 1, -1)
        prefix = None if batch.prefix_BT is None else torch.cat([batch.prefix_BT, torch.zeros_like(more, dtype=torch.bool)], 1)
        grown = Batch(whole, kinds, torch.cat([batch.pos_PBT, after], 2), seg, {}, prefix_BT=prefix)
        seq = vlm.assemble(grown, features)
        logits = vlm.lm.logits(vlm.lm.hidden(seq))[0, -1]
        all_logits.append(logits)
        new.append(int(logits.argmax()))
    return new, all_logits


def test_cached_is_recomputed(kind: System, build: Callable, prompts: Callable, numbers: type) -> None:
    vlm, batch = build(kind), prompts((13, 2), system=kind)
    expected, expected_logits = recomputed(vlm, batch, 24)
    assert ids(run(vlm, batch, Sampling(max_tokens=24), numbers)) == expected
    assert len(set(expected)) > 6, "the weights make it say one thing over and over: the test cannot fail"
    engine = Engine(vlm)
    logits, steps = engine._prefill(batch, None, 24)
    for id, want in zip(expected, expected_logits, strict=True):
        torch.testing.assert_close(logits[0], want, atol=1e-5, rtol=1e-5)
        logits = steps.next(torch.tensor([id]))


def test_ragged_batch_is_one_by_one(kind: System, build: Callable, prompts: Callable, numbers: type) -> None:
    vlm = build(kind)
    rows = ((13, 2), (4, 0), (22, 1), (1, 0), (22, 0))
    together = run(vlm, prompts(*rows, system=kind), Sampling(max_tokens=24), numbers)
    for n, row in enumerate(rows):
        assert ids(together, n) == ids(run(vlm, prompts(row, system=kind), Sampling(max_tokens=24), numbers)), row


def test_same_seed_same_text_whatever_the_neighbours(tiny: System, build: Callable, prompts: Callable, numbers: type) -> None:
    vlm = build(tiny)
    hot = Sampling(max_tokens=20, temperature=1.5, top_p=0.95, repetition_penalty=1.2, seed=3)
    alone = ids(run(vlm, prompts((9, 1)), hot, numbers))
    assert alone == ids(run(vlm, prompts((9, 1)), hot, numbers))
    assert alone == ids(run(vlm, prompts((5, 0), (9, 1), (17, 2)), hot, numbers), 1)
    assert alone != ids(run(vlm, prompts((9, 1)), replace(hot, seed=4), numbers))
    fresh = replace(hot, seed=None)
    assert ids(run(vlm, prompts((9, 1)), fresh, numbers)) != ids(run(vlm, prompts((9, 1)), fresh, numbers))


def test_rows_end_each_on_their_own(tiny: System, build: Callable, prompts: Callable, numbers: type) -> None:
    vlm, rows = build(tiny), ((13, 2), (4, 0), (22, 1))
    free = run(vlm, prompts(*rows), Sampling(max_tokens=12), numbers)
    end = ids(free, 1)[3]
    deltas = run(vlm, prompts(*rows), Sampling(max_tokens=12), numbers, frozenset({end}))
    for row in range(3):
        whole = ids(free, row)
        expected = whole[: whole.index(end) + 1] if end in whole else whole
        assert ids(deltas, row) == expected
        finishes = [delta.finish for delta in deltas if delta.row == row]
        assert finishes[:-1] == [None] * (len(expected) - 1)
        assert finishes[-1] == ("stop" if end in whole else "length")
        shown = "".join(delta.text for delta in deltas if delta.row == row)
        assert shown == "".join(f"{id} " for id in expected if id != end)


def test_stop_strings_end_a_row(tiny: System, build: Callable, prompts: Callable, numbers: type) -> None:
    vlm = build(tiny)
    free = ids(run(vlm, prompts((9, 1)), Sampling(max_tokens=12), numbers))
    stop = f"{free[4]} {free[5]}"  # ends in the middle of what two tokens say
    deltas = run(vlm, prompts((9, 1)), Sampling(max_tokens=12, stop=(stop,)), numbers)
    assert "".join(delta.text for delta in deltas) == "".join(f"{id} " for id in free[:4])
    assert deltas[-1].finish == "stop"


def test_closing_frees_the_cache(
    tiny: System, build: Callable, prompts: Callable, numbers: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches = []
    allocate = Decoder.cache

    def spy(*args: object, **more: object) -> object:
        cache = allocate(*args, **more)  # type: ignore[arg-type]
        caches.append(weakref.ref(cache))
        return cache

    monkeypatch.setattr(Decoder, "cache", spy)
    stream = Engine(build(tiny)).generate(prompts((9, 1)), Sampling(max_tokens=9), decoders=[numbers()], ends=())
    next(stream), next(stream)
    assert caches[0]() is not None
    assert not torch.is_inference_mode_enabled(), "the caller's code runs between two tokens, in its own mode"
    stream.close()
    gc.collect()
    assert caches[0]() is None


def test_a_single_row_needs_no_mask(tiny: System, build: Callable, prompts: Callable) -> None:
    engine = Engine(build(tiny))
    assert engine._prefill(prompts((9, 1)), None, 4)[1].full is None
    assert engine._prefill(prompts((9, 1), (9, 0)), None, 4)[1].full is None
    assert engine._prefill(prompts((9, 1), (4, 0)), None, 4)[1].full is not None


def test_decode_steps_run_the_weights_of_text_alone(
    tiny: System, build: Callable[[System], VLM], prompts: Callable[..., Batch], numbers: type
) -> None:
    """And look up no rows: what goes in has the shape of the step."""
    vlm, seen = build(tiny.but(lm__by_kind=BY_KIND)), {"text": [], "image": []}
    for kind, calls in seen.items():
        qkv = vlm.lm.blocks[0].attn.qkv.get_submodule(kind)
        qkv.register_forward_hook(lambda _, args, out, calls=calls: calls.append(tuple(args[0].shape)))
    run(vlm, prompts((9, 1), (8, 0)), Sampling(max_tokens=4), numbers)
    assert seen == {"text": [(14, 48), *[(2, 1, 48)] * 3], "image": [(4, 48)]}
