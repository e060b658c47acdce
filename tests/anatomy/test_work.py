"""What is counted from specs is what torch counts while modules run: for every system's tiny twin, for some at full size."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from math import prod

import pytest
import torch

from anyvlm import registry
from anyvlm.anatomy.bill import bill
from anyvlm.anatomy.tokens import costs
from anyvlm.anatomy.work import towers
from anyvlm.anatomy.work.connectors import connector
from anyvlm.anatomy.work.encoders import encoder
from anyvlm.contrasts import ConditionedModule
from anyvlm.dual import Dual, DualSystem, SignalTower
from anyvlm.generate.engine import prefill
from anyvlm.ground import Ground, GroundSystem
from anyvlm.inputs.text import WordsBatch
from anyvlm.match import AnySystem, Match, MatchSystem
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.language import Context
from anyvlm.parts.memory import Recall
from anyvlm.parts.relative import FarCache, RelativeDecoder
from anyvlm.parts.vision.alpha import AlphaViT
from anyvlm.parts.vision.signal import SignalViT
from anyvlm.spec import JsonValue, to_json
from anyvlm.system import Pixels, System, VisionSystem
from anyvlm.tiny import tiny_dual, tiny_ground, tiny_match, tiny_vision
from tests.anatomy.flops import flops
from tests.zoo.test_laws import batch, film, laid_out, small

SIZES = ((50, 40), (40, 70))  # of pictures, (width, height)
STEPS = 3


def alike(names: Iterable[str]) -> list[str]:
    """One name for all whose tiny twins are made of the same parts."""
    found = dict[str, str]()
    for name in names:
        found.setdefault(json.dumps(shape(to_json(twin(name))), sort_keys=True), name)
    return list(found.values())


NUMBERS = {"eps", "theta", "mean", "std", "resample", "scaling", "bias", "scale", "logit_scale", "embed_scale", "offset",
           "fit", "middle", "context", "rope"}  # fmt: skip
AROUND = {"name", "meta", "checkpoints", "stages", "fresh", "template", "tokenizer", "added", "boxes", "masks", "prompt"}


def shape(value: JsonValue) -> JsonValue:
    """A spec without what moves no FLOP: values, and what stands around the parts."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items() if key not in NUMBERS | AROUND | {"act"}}
    return [shape(each) for each in value] if isinstance(value, list) else value


@cache
def twin(name: str) -> AnySystem:
    system = registry.system(name)
    match system:
        case System():
            return shallow(small(name), "streams__image__encoder") if system.streams else small(name)
        case DualSystem():
            little = tiny_dual(system).but(tokenizer=None)
            return shallow(little, "towers__image__encoder") if "image" in system.towers else little
        case MatchSystem():
            return tiny_match(system)
        case GroundSystem():
            return tiny_ground(system)
    return tiny_vision(system)


def shallow(system: System | DualSystem, at: str) -> System | DualSystem:
    """With three blocks in its eye, unless deep layers are returned one by one."""
    eye = system
    for step in at.split("__"):
        eye = eye[step] if isinstance(eye, dict) else getattr(eye, step)
    layers = getattr(eye, "layers", ())
    return system.but(**{f"{at}__depth": 3}) if hasattr(eye, "depth") and all(-4 < each < 0 for each in layers) else system


def of(kind: type) -> list[str]:
    return [name for name in sorted(registry.SYSTEMS) if isinstance(registry.system(name), kind)]


WHOLE = alike(of(System))
FILMING = alike(name for name in of(System) if any(stream.film for stream in registry.system(name).streams.values()))




@pytest.mark.parametrize("name", WHOLE)
@torch.no_grad()
def test_a_conversation(name: str) -> None:
    """About pictures, and without: encoder, connector, prompt, one token more, and the cache, all exact."""
    streams = small(name).streams
    sizes = SIZES[: streams["image"].most] if streams else ()
    check(name, laid_out(name, *sizes, "What is it?"), sizes)
    if streams:
        check(name, laid_out(name, "Hello"), ())


@pytest.mark.parametrize("name", FILMING)
@torch.no_grad()
def test_a_conversation_about_a_video(name: str) -> None:
    laid = film(name, 7, "What?")
    footage = laid[0].pictures[0].cut
    check(name, laid, (), cuts=(footage,))


@cache
def built(name: str) -> torch.nn.Module:
    return twin(name).build().eval().requires_grad_(False)


def check(name, row, sizes, cuts=()) -> None:
    system, vlm, laid = twin(name), built(name), row[0]
    told = batch(name, row)
    own = [key for key, media in told.media.items() if media.grids]
    seen, rows = dict[str, int](), dict[str, object]()
    for key in own:
        media = told.media[key]
        seen[f"encoders.{key}"] = flops(lambda: vlm.encoders[key](media.x_NC, media.grids))  # noqa: B023
        before = flops(lambda: rows.update(vlm.features({key: media})))  # noqa: B023
        seen[f"connectors.{key}"] = before - seen[f"encoders.{key}"]
        seen[f"joins.{key}"] = flops(lambda: vlm.rows({key: media}, rows))  # noqa: B023
    room = 5
    first = list[tuple]()
    seen["prefill"] = flops(lambda: first.append(answer(vlm, told, rows, room)))
    steps = first[0]
    for _ in range(STEPS):
        seen["decode"] = flops(lambda: steps.next(torch.zeros(1, dtype=torch.long)))
    stream = system.streams.get("image")
    grids = tuple(grid for key in own for grid in told.media[key].grids)
    if cuts:
        assert stream is not None
        assert encoder(stream.encoder, grids).total() == seen["encoders.image"]
        places = tuple(map(stream.encoder.rows, grids))
        assert connector(stream.connector, places, stream.encoder.out, system.lm.width) == seen["connectors.image"]
        return
    places = 0 if stream is None else spent(system, sizes)
    length = len(laid) if system.lm.start is None else len(laid) + 1
    cost = bill(system, sizes, text=len(laid) - places, context=length + STEPS)
    assert cost.prompt == len(laid)
    assert cost.encoder == sum(seen.get(f"encoders.{key}", 0) for key in own)
    if stream is not None and stream.reads is not None:
        words, each = len(laid.texts["image"]), tuple(map(stream.encoder.rows, grids))
        found = connector(stream.connector, each, stream.encoder.out, system.lm.width, words)
        assert found == seen.get("connectors.image", 0)
    else:
        assert cost.connector == sum(seen[f"connectors.{key}"] + seen[f"joins.{key}"] for key in own)
    assert cost.prefill == seen["prefill"] and cost.decode == seen["decode"]
    assert sum(cost.parts.values()) == cost.encoder + cost.connector + cost.prefill
    cache = steps.cache
    kept = [cache.k_LBGSh, cache.v_LBGSh, *(x for pair in cache.memory.values() for x in pair)]
    kept += [cache.far_LHMh] if isinstance(cache, FarCache) else []
    whole = bill(system, sizes, text=len(laid) - places, context=length + room)
    assert whole.cache["bf16"] == sum(2 * x.numel() for x in kept)
    assert whole.cache["int8"] == sum(x.numel() + 2 * x.numel() // x.shape[-1] for x in kept)


def spent(system: System, sizes) -> int:
    """Tokens of the prompt that are no text."""
    return bill(system, sizes, text=1).prompt - 1


def answer(vlm, told, rows, room: int):
    hidden, steps = prefill(vlm, told, rows, room)
    vlm.lm.logits(hidden)
    return steps


# Encoders alone, systems that score, towers ---------------------------------------------------------------------------


def look(policy, eye: Encoder, sizes) -> tuple[torch.Tensor, tuple[Grid, ...]]:
    """Random patches of pictures of these sizes, and their grids."""
    grids = tuple(eye.grid(h, w) for width, height in sizes for h, w in policy.cut(width, height).sizes)
    values = 4 * eye.patch**2 if isinstance(eye, AlphaViT) else 3 * eye.frames * eye.patch**2
    return torch.randn(sum(map(prod, grids)), values), grids


@pytest.mark.parametrize("name", alike(of(VisionSystem)))
@torch.no_grad()
def test_an_encoder_alone(name: str) -> None:
    system, eye = twin(name), built(name)
    x, grids = look(system.policy, system.encoder, SIZES)
    cost = bill(system, SIZES)
    assert cost.encoder == flops(lambda: eye(x, grids)) > 0
    assert cost.visual == len(eye(x, grids).x_ND)
    if system.encoder.frames > 1:
        grids = (system.encoder.grid(*system.policy.size, 8),)
        x = torch.randn(prod(grids[0]), x.shape[1])
        assert encoder(system.encoder, grids).total() == flops(lambda: eye(x, grids))


@pytest.mark.parametrize("name", alike(of(MatchSystem)))
@torch.no_grad()
def test_a_system_that_scores(name: str) -> None:
    system, module = twin(name), built(name)
    assert isinstance(module, Match)
    x, grids = look(system.policy, system.encoder, SIZES)
    ids, seen = torch.zeros(1, 7, dtype=torch.long), torch.ones(1, 7, dtype=torch.bool)
    cost = bill(system, SIZES, text=7)
    rows = module.rows(x, grids)
    assert cost.encoder == flops(lambda: module.rows(x, grids))
    assert cost.connector == flops(lambda: module.point_image(rows))
    alone = flops(lambda: module.point_text(ids, seen))
    beside = flops(lambda: module.judged(ids.expand(2, -1), seen.expand(2, -1), rows))
    assert sum(each for part, each in cost.parts.items() if part.startswith("text.alone.")) == alone
    assert cost.prefill == alone + beside


@pytest.mark.parametrize("name", alike(of(GroundSystem)))
@torch.no_grad()
def test_a_system_that_says_where_words_are(name: str) -> None:
    """Of pictures of three shapes, one after another, whose maps no window divides."""
    system, sizes = twin(name).but(encoder__window=5), (*SIZES, (80, 80))
    module = system.build().eval()
    assert isinstance(module, Ground)
    cost = bill(system, sizes)
    ids = torch.zeros(1, cost.prompt, dtype=torch.long)
    alone = flops(lambda: module.text(ids, ids == 0))
    seen, places = dict[str, int](), 0
    for size in sizes:
        x = Pixels(*look(system.policy, system.encoder, (size,)))
        levels = module.levels(x)
        places += sum(prod(level.shape[2:]) for level in levels)
        for part, run in {
            "encoder": lambda: module.encoder(x.x_NC, x.grids),  # noqa: B023
            "levels": lambda: module.levels(x),  # noqa: B023
            "layers.head": lambda: [layer.head(levels) for layer in module.layers],  # noqa: B023
            "all": lambda: module(x, WordsBatch(ids, None)),  # noqa: B023
        }.items():
            seen[part] = seen.get(part, 0) + flops(run)
    assert cost.visual == places and cost.encoder == seen["encoder"] and cost.parts["layers.head"] == seen["layers.head"]
    assert cost.encoder + cost.parts["pyramid"] == seen["levels"]
    assert cost.encoder + cost.connector + cost.prefill == seen["all"] - (len(sizes) - 1) * alone
    assert sum(each for part, each in cost.parts.items() if part.startswith("text.")) == alone


@pytest.mark.parametrize("name", alike(of(DualSystem)))
@torch.no_grad()
def test_towers(name: str) -> None:
    """Points of two pictures and of one text; of every other sense too."""
    system, module = twin(name), built(name)
    assert isinstance(module, Dual)
    ear, eye = system.towers["text"], system.towers.get("image")
    cost = bill(system, SIZES if eye else (), text=5)
    ids = torch.zeros(1, cost.prompt, dtype=torch.long)
    words = WordsBatch(ids, None if ear.policy.fill and not ear.policy.marked else ids == 0)
    said = module.look("text", words)
    assert cost.prefill == flops(lambda: module.look("text", words))
    if eye is not None:
        x, grids = look(eye.policy, eye.encoder, SIZES)
        seen, beside = module.look("image", Pixels(x, grids)), 0
        assert cost.encoder == flops(lambda: module.towers["image"].encoder(x, grids))
        if isinstance(module.contrast(), ConditionedModule):
            beside = flops(lambda: module.contrast().fine(seen, said))
        assert cost.encoder + cost.connector == flops(lambda: module.look("image", Pixels(x, grids))) + beside
    for sense, tower in system.towers.items():
        if isinstance(tower, SignalTower):
            # VideoCLIP's tower takes as many rows as there are seconds
            spec = tower.encoder
            array = torch.randn(spec.channels, *spec.size) if isinstance(spec, SignalViT) else torch.randn(1, 5, spec.into)
            one, array = (spec.grid(*array.shape[1:]),), spec.cut(array)
            point = towers.pool(tower.pool, prod(tower.encoder.rows(one[0])), tower.out)
            point += towers.project(tower.project, tower.out, system.shared) if tower.project else 0
            found = encoder(tower.encoder, one).total() + point
            assert found == flops(lambda: module.look(sense, Pixels(array, one)))  # noqa: B023


# At full size, on shapes alone ----------------------------------------------------------------------------------------

def pixels(eye: Encoder, grids: tuple[Grid, ...]) -> torch.Tensor:
    return torch.empty(sum(map(prod, grids)), 3 * eye.frames * eye.patch**2, device="meta")


LARGE = [
    "llava-1.5-7b", "qwen2-vl-7b-instruct", "blip2-opt-2.7b", "flamingo-9b", "llama-3.2-11b-vision-instruct", "aria",
]  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
@torch.no_grad()
def test_at_full_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes do not say which expert a row goes to; all are sent to the first, which costs the same."""
    monkeypatch.setattr(torch.Tensor, "bincount", lambda x, minlength: torch.tensor([x.numel(), *[0] * (minlength - 1)]))
    system = registry.system(name)
    with torch.device("meta"):
        vlm = system.build().eval().requires_grad_(False)
    sizes, stream, lm = [(1344, 896)], system.streams["image"], system.lm
    cost = bill(system, sizes)
    grids = tuple(grid for each in costs(system, sizes) for grid in each.patches)
    x, said = pixels(stream.encoder, grids), list[Features]()
    assert cost.encoder == flops(lambda: said.append(vlm.encoders["image"](x, grids)))
    assert cost.connector == flops(lambda: said.append(vlm.connectors["image"](said[0])))
    rows = said[1].x_ND
    T = cost.prompt
    places = torch.arange(T).expand(lm.axes, 1, T)
    tables = vlm.lm.tables(places, torch.float32)
    memory = {
        "image": Recall(
            rows[None], torch.zeros(1, 1, T, len(rows), device="meta"), torch.ones(1, T, 1, dtype=torch.bool, device="meta")
        )
    }
    if not isinstance(lm, RelativeDecoder):  # whose layers read numbers, not shapes, off the positions
        tables = tuple(table.to("meta") for table in tables)
    at = Context(tables, None, None, None, memory if stream.reach else {})
    words = torch.empty(1, T, lm.width, device="meta")
    assert cost.prefill == flops(lambda: vlm.lm.logits(vlm.lm.run(words, at)[:, -1]))


def test_clip_at_full_size() -> None:
    system = registry.system("clip-vit-l-14")
    with torch.device("meta"):
        module = system.build().eval().requires_grad_(False)
    cost = bill(system, [(640, 480)], text=77)
    grid = system.towers["image"].encoder.grid(224, 224)
    x = pixels(system.towers["image"].encoder, (grid,))
    assert cost.encoder + cost.connector == flops(lambda: module.look("image", Pixels(x, (grid,))))
    ids = torch.zeros(1, 77, dtype=torch.long, device="meta")
    assert cost.prefill == flops(lambda: module.look("text", WordsBatch(ids, None)))


def test_glip_at_full_size() -> None:
    system = registry.system("glip-t")
    with torch.device("meta"):
        module = system.build().eval().requires_grad_(False)
    cost = bill(system, [(640, 480)])
    grids = tuple(system.encoder.grid(h, w) for h, w in system.policy.cut(640, 480).sizes)
    x = Pixels(pixels(system.encoder, grids), grids)
    words = WordsBatch(torch.zeros(1, 256, dtype=torch.long, device="meta"), None)
    assert cost.encoder + cost.connector + cost.prefill == flops(lambda: module(x, words))
