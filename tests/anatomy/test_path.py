"""The shapes that are told are those that modules hand on, and the ones of the papers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anyvlm.anatomy.parameters import parameters
from anyvlm.anatomy.path import Step, path
from anyvlm.dual import DualSystem, Tower
from anyvlm.ground import GroundSystem
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.text import WordsBatch
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.registry import system
from anyvlm.system import Pixels, System, VisionSystem
from anyvlm.tiny import tiny, tiny_dual, tiny_ground, tiny_match, tiny_vision

IMAGE = (70, 50)
SEEING = [
    *("llava-1.5-7b", "llava-next-vicuna-7b", "llava-onevision-0.5b-ov", "idefics3-8b", "qwen2-vl-7b-instruct", "pixtral-12b"),
    *("fuyu-8b", "flamingo-9b", "llama-3.2-11b-vision-instruct", "blip2-opt-2.7b", "cogvlm-chat", "aria", "maya", "kosmos-2"),
    *("paligemma-3b-mix-224", "evev2-7b", "chameleon-7b", "janus-1.3b", "smolvlm-256m"),
]
ALONE = ["dinov2-small", "videomae-base", "aimv2-large-patch14-native"]
TOWERS = [
    *("clip-vit-b-32", "clip-rn50", "siglip-vit-b-16-224", "mobileclip-s1", "alpha-clip-b-16", "anyvlm-pocket-embed"),
    "prolip-b-16",
]


def small(name: str) -> AnySystem:
    match system(name):
        case System() as spec:
            return tiny(spec)
        case DualSystem() as spec:
            return tiny_dual(spec)
        case MatchSystem() as spec:
            return tiny_match(spec)
        case VisionSystem() as spec:
            return tiny_vision(spec)
        case GroundSystem() as spec:
            return tiny_ground(spec)


def told(spec: AnySystem) -> tuple[Step, ...]:
    return path(spec, parameters(spec), IMAGE)


def shape(steps: Sequence[Step], part: str) -> tuple[int | str, ...]:
    """Of the last step of a part."""
    return [step.shape for step in steps if step.part == part][-1]


def seen(policy: Policy, encoder: Encoder) -> tuple[torch.Tensor, tuple[Grid, ...], list[tuple[int, ...]]]:
    """Patches of a picture, their grids, and the shapes of its arrays."""
    image = Image.fromarray(np.full((IMAGE[1], IMAGE[0], 3), 90, np.uint8))
    arrays = [torch.from_numpy(array) for array in policy.arrays(image)]
    grids = tuple(encoder.grid(*array.shape[1:]) for array in arrays)
    return torch.cat([encoder.cut(array) for array in arrays]), grids, [tuple(array.shape) for array in arrays]


def encoded(steps: Sequence[Step], part: str, policy: Policy, encoder: Encoder, module: nn.Module) -> Features:
    """The rows, after the steps before them were looked at. A class token is seen by the first norm of a block."""
    x_NC, grids, arrays = seen(policy, encoder)
    policies = [step.shape for step in steps if step.part == "policy"]
    assert sum(each[0] if len(each) == 4 else 1 for each in policies if isinstance(each[0], int)) == len(arrays)
    assert {each[-3:] for each in policies} == set(arrays)
    assert shape(steps, "patches") == tuple(x_NC.shape)
    with torch.no_grad():
        rows: Features = module(x_NC, grids)
    after = [step for n, step in enumerate(steps) if step.part == "rows" and steps[n - 1].part == part]
    assert (after[0].shape if after else shape(steps, part)) == tuple(rows.x_ND.shape)
    if after:
        entered: list[int] = []
        block = module.get_submodule("blocks.0")
        handle = block.register_forward_pre_hook(lambda _, args: entered.append(args[0].shape[:-1].numel()))
        with torch.no_grad():
            module(x_NC, grids)
        handle.remove()
        inside = shape(steps, part)
        assert inside[0] == sum(entered) and inside[0] == len(rows.x_ND) + len(grids)
    return rows


@pytest.mark.parametrize("name", SEEING)
def test_systems(name: str) -> None:
    spec = small(name)
    assert isinstance(spec, System)
    steps, module = told(spec), spec.build().eval()
    at, stream = next(iter(spec.streams.items()))
    if stream.reads is not None:
        pytest.fail("its connector reads words too; take another system")
    cut = stream.policy.cut(*IMAGE)
    rows = encoded(steps, f"encoders.{at}", stream.policy, stream.encoder, module.encoders[at])
    with torch.no_grad():
        rows = module.connectors[at](rows)
        ids = not rows.x_ND.is_floating_point()  # rows of codes are words, which the language model embeds
        want = (len(rows.x_ND), spec.lm.width) if ids else tuple(rows.x_ND.shape)
        assert shape(steps, f"connectors.{at}") == want
        if stream.join:
            rows = module.joins[at](rows, (cut,))
            assert shape(steps, f"joins.{at}") == tuple(rows.x_ND.shape)
    if stream.reach:
        assert shape(steps, "memory") == tuple(rows.x_ND.shape)
    else:
        assert f"T = {len(rows.x_ND)} rows" in [step.note[: len(f"T = {len(rows.x_ND)} rows")] for step in steps]
    assert shape(steps, "logits") == ("T" if spec.lm.start is None else "K", spec.lm.vocab)


@pytest.mark.parametrize("name", ALONE)
def test_encoders(name: str) -> None:
    spec = small(name)
    assert isinstance(spec, VisionSystem)
    encoded(told(spec), "encoder", spec.policy, spec.encoder, spec.build().eval())


@pytest.mark.parametrize("name", TOWERS)
def test_towers(name: str) -> None:
    spec = small(name)
    assert isinstance(spec, DualSystem)
    tower = spec.towers["image"]
    assert isinstance(tower, Tower)
    steps, module = told(spec), spec.build().eval()
    stop = [step.part for step in steps].index("point")
    below = module.get_submodule("towers.image")
    rows = encoded(steps[:stop], "towers.image.encoder", tower.policy, tower.encoder, below.get_submodule("encoder"))
    with torch.no_grad():
        pooled = below.get_submodule("pool")(rows.x_ND[None])
    assert shape(steps, "towers.image.pool") == tuple(pooled.shape) and steps[stop].shape == (1, spec.shared)


def test_places_and_tokens() -> None:
    """GLIP's: what goes through the pyramid, and the scores that come out."""
    spec = tiny_ground(registered("glip-t"))
    steps, module = told(spec), spec.build().eval()
    x_NC, grids, _ = seen(spec.policy, spec.encoder)
    with torch.no_grad():
        levels = module.levels(Pixels(x_NC, grids))
        scores = module(Pixels(x_NC, grids), WordsBatch(torch.ones(1, 5, dtype=torch.long), None))
    places = sum(level.shape[2:].numel() for level in levels)
    assert spec.maps(spec.policy.cut(*IMAGE).sizes[0]) == tuple(tuple(level.shape[2:]) for level in levels)
    assert shape(steps, "pyramid") == (places, levels[0].shape[1]) and shape(steps, "align") == (scores.shape[1], "T")


def registered(name: str) -> GroundSystem:
    spec = system(name)
    assert isinstance(spec, GroundSystem)
    return spec


def test_points_of_a_language_model() -> None:
    spec = system("vladva-llava-1.5-7b")
    steps = path(spec, parameters(spec), (336, 336))
    assert shape(steps, "soft") == (16, 4096) and shape(steps, "point") == (1, 4096)


def test_llava() -> None:
    spec = system("llava-1.5-7b")
    steps = path(spec, parameters(spec), (336, 336))
    assert [step.shape for step in steps] == [
        *((3, 336, 336), (3, 336, 336), (576, 588), (577, 1024), (576, 1024), (576, 4096)),
        *(("T", 4096), ("T", 4096), ("T", 32064)),
    ]
    assert steps[-3].note == "T = 576 rows + text"
