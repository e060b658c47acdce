"""The count law at full size: for every stream of the registry, sizes alone tell the rows that modules return.

Encoder, connector and join are run as shapes (on the meta device) with one narrow layer but the geometry of the real ones:
sizes, patches, windows, queries. Systems whose streams count alike are tested together; each stream sees 200 random sizes and
the extremes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.video import Footage
from anyvlm.parts.cut import Cut
from anyvlm.parts.features import Features
from anyvlm.spec import to_json
from anyvlm.system import Stream, System
from anyvlm.tiny import tiny

DEVICE = {True: "meta", False: "cpu"}  # a connector that reads words must see how many there are
WIDE = 32  # of the rows that go into a language model


def narrow(name: str, key: str) -> Stream:
    """The stream with tiny layers, but pictures, patches, tiles and windows as they are."""
    full, system = registry.system(name).streams[key], tiny(registry.system(name))
    assert isinstance(system, System)
    small = system.streams[key]
    geometry = {field: getattr(full.encoder, field) for field in ("size", "tile", "window") if hasattr(full.encoder, field)}
    if hasattr(full.encoder, "layers"):
        geometry["layers"] = tuple(layer if layer < 0 else n for n, layer in enumerate(full.encoder.layers))
    if hasattr(full.encoder, "depth"):
        geometry["depth"] = max([1, *map(abs, geometry.get("layers", ()))])
    connector = small.connector
    if hasattr(full.connector, "queries"):
        connector = connector.but(queries=full.connector.queries)
    if hasattr(full.connector, "inner") and hasattr(full.connector.inner, "queries"):
        connector = connector.but(inner__queries=full.connector.inner.queries)
    return full.but(encoder=small.encoder.but(**geometry), connector=connector)


def streams() -> dict[str, tuple[str, str]]:
    """One (system, stream) for all those that count alike."""
    out: dict[str, tuple[str, str]] = {}
    for name in sorted(registry.SYSTEMS):
        system = registry.system(name)
        for key in system.streams if isinstance(system, System) else ():
            out.setdefault(json.dumps(to_json(narrow(name, key)), sort_keys=True), (name, key))
    return {f"{name}.{key}": (name, key) for name, key in out.values()}


STREAMS = streams()
FILMING = [which for which, (name, key) in STREAMS.items() if registry.system(name).streams[key].film]
EXTREMES = [(1, 1), (1, 40), (40, 1), (1, 4000), (4000, 1), (20, 4000), (4000, 20), (4000, 4000), (3999, 4000)]
side = st.one_of(st.integers(1, 60), st.integers(1, 4000))


@cache
def modules(which: str) -> tuple[Stream, torch.nn.Module, torch.nn.Module, torch.nn.Module | None]:
    stream = narrow(*STREAMS[which])
    with torch.device(DEVICE[stream.reads is None]):
        join = stream.join.build(WIDE) if stream.join else None
        return stream, stream.encoder.build(), stream.connector.build(stream.encoder.out, WIDE), join


def check(which: str, cuts: list[Cut]) -> None:
    """What encoder, connector and join make of all these at once is what each was counted to be."""
    stream, encoder, connector, join = modules(which)
    full = registry.system(STREAMS[which][0]).streams[STREAMS[which][1]]
    patches = tuple(grid for cut in cuts for grid in full.patches(cut))
    values = 3 * stream.encoder.frames * stream.encoder.patch**2
    with torch.no_grad(), torch.device(DEVICE[stream.reads is None]):
        seen: Features = encoder(torch.zeros(sum(map(prod, patches)), values), patches)
        rows: Features = connector(replace(seen, texts=((1, 2),) * len(patches)) if stream.reads else seen)
        rows = join(rows, tuple(cuts)) if join is not None else rows
    counted = [full.rows(cut) for cut in cuts]
    assert rows.grids == tuple(grid for grids in counted for grid in grids)
    assert len(rows.x_ND) == sum(prod(grid) for grids in counted for grid in grids)
    for cut, grids in zip(cuts, counted, strict=True):
        if not cut.frames:
            cells = [cell for cell in full.cells(cut) if not isinstance(cell, str)]
            assert sum(map(prod, cells)) == sum(map(prod, grids))


def cut_by(policy: Policy, width: int, height: int) -> Cut | None:
    """None where the policy refuses the size, in a sentence about it."""
    try:
        return policy.cut(width, height)
    except InputError as error:
        assert str(width) in str(error) and str(height) in str(error)
        return None


@pytest.mark.parametrize("which", STREAMS)
@settings(max_examples=10, deadline=None)
@example(sizes=EXTREMES)
@given(sizes=st.lists(st.tuples(side, side), min_size=20, max_size=20))
def test_rows_are_counted_from_the_size(which: str, sizes: list[tuple[int, int]]) -> None:
    full = registry.system(STREAMS[which][0]).streams[STREAMS[which][1]]
    for policy in filter(None, (full.policy, full.several)):
        check(which, [cut for size in sizes if (cut := cut_by(policy, *size))])


@pytest.mark.parametrize("which", STREAMS)
def test_arrays_have_the_sizes_that_were_told(which: str) -> None:
    """With real pictures: thin ones, tiny ones, and one of 4,000 pixels."""
    full = registry.system(STREAMS[which][0]).streams[STREAMS[which][1]]
    for size in ((1, 1), (1, 40), (300, 2), (33, 64), (640, 480), (4000, 21)):
        for policy in filter(None, (full.policy, full.several)):
            if cut := cut_by(policy, *size):
                arrays = policy.arrays(Image.new("RGB", size, (200, 10, 90)))
                assert [array.shape for array in arrays] == [(3, *sides) for sides in cut.sizes]
                assert all(array.dtype == np.float32 for array in arrays)


@pytest.mark.parametrize("which", FILMING)
@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(1, 2000), height=st.integers(1, 2000), frames=st.one_of(st.integers(1, 9), st.integers(1, 3000)),
    rate=st.floats(0.1, 120), fps=st.none() | st.floats(0.01, 60), most=st.none() | st.integers(1, 100),
)  # fmt: skip
def test_rows_of_videos(
    which: str, width: int, height: int, frames: int, rate: float, fps: float | None, most: int | None
) -> None:
    """Any length, rate and wish; never more frames than were allowed, all of them there, in order."""
    stream = registry.system(STREAMS[which][0]).streams[STREAMS[which][1]]
    ticks = tuple(range(0, 40 * frames, 40))
    try:
        cut = stream.film.cut(Footage(width, height, ticks, ticks, 1, rate), fps, most)
    except InputError as error:
        assert str(width) in str(error) and str(height) in str(error)
        return
    assert 1 <= len(cut.frames) <= (most or stream.film.sampler.most) and len(cut.frames) == len(cut.sizes) == len(cut.times)
    assert list(cut.frames) == sorted(cut.frames) and set(cut.frames) <= set(range(frames))
    check(which, [cut])
    lines = stream.film.script.lines(cut, stream.rows(cut))
    cells = [cell for line in lines if not isinstance(line, str) for cell in line if not isinstance(cell, str)]
    assert sum(map(prod, cells)) == sum(map(prod, stream.rows(cut)))
