"""Our counts of parameters beside those of papers and model cards: equal up to rounding, or there is a reason, and it holds."""

from __future__ import annotations

from dataclasses import fields, replace
from fnmatch import fnmatchcase
from functools import cache

import pytest
import torch

from anyvlm import registry
from anyvlm.anatomy.published import Published, published
from anyvlm.errors import SpecError
from anyvlm.parts.vision.fastvit import MergedFastViT


@cache
def rows() -> tuple[Published, ...]:
    return published()


def table() -> dict[str, Published]:
    return {row.name: row for row in rows()}


def test_theirs_is_ours_or_there_is_a_reason() -> None:
    """A reason where there is nothing to explain is wrong too."""
    for row in table().values():
        assert row.agrees != bool(row.why), row
        assert row.why == "" or (row.why[0].isupper() and row.why.endswith(".")), row
        assert 0.5 < row.ours / row.count < 2, row


def test_every_system_stands_there_once() -> None:
    assert [row.name for row in published(("clip-rn50", "cogvlm-chat"))] == ["clip-rn50", "cogvlm-chat"]
    assert len(rows()) == len(table()) >= 189


def test_with_the_longer_table_of_places_it_is_theirs() -> None:
    row, tokens = table()["mobileclip-l-14"], {side: (side // 14) ** 2 for side in (224, 336)}
    assert not row.agrees and replace(row, ours=row.ours + 1024 * (tokens[336] - tokens[224])).agrees


LEARNED = {
    ("uniadapter-blip-base-coco", "encoder.blocks.*.adapter.*"): Published("", "", 0, "19M", ""),
    ("prolip-ft-vit-b-16", "towers.image.project.weight"): Published("", "", 0, "0.39M", ""),
}


@pytest.mark.parametrize(("name", "glob"), LEARNED)
def test_so_many_learn_as_the_papers_say(name: str, glob: str) -> None:
    assert glob in registry.system(name).stages[0].train
    own = sum(x.numel() for n, x in built(name).named_parameters() if fnmatchcase(n, glob))
    assert replace(LEARNED[name, glob], ours=own).agrees


def built(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return registry.system(name).build()


@pytest.mark.parametrize("name", ["clip-rn50", "clip-rn101", "clip-rn50x4", "clip-rn50x16", "clip-rn50x64"])
def test_without_running_statistics_it_is_theirs(name: str) -> None:
    own = [x.numel() for n, x in built(name).named_parameters() if n.endswith((".mean", ".var"))]
    assert not table()[name].agrees and replace(table()[name], ours=table()[name].ours - sum(own)).agrees


@pytest.mark.parametrize("name", ["mobileclip-s1", "mobileclip-s2"])
def test_merged_it_is_theirs(name: str) -> None:
    eye = registry.system(name).towers["image"].encoder
    merged = MergedFastViT(**{each.name: getattr(eye, each.name) for each in fields(eye)}).build()
    less = sum(x.numel() for x in eye.build().parameters()) - sum(x.numel() for x in merged.parameters())
    assert replace(table()[name], ours=table()[name].ours - less).agrees


@pytest.mark.parametrize(
    "name", ["bakllava-7b", "llava-next-34b", "llava-next-72b", "llava-onevision-0.5b-ov", "yi-vl-6b", "llava-pp-phi3-mini",
             "qwen2.5-vl-3b-instruct"]
)  # fmt: skip
def test_it_is_the_language_model(name: str) -> None:
    own = sum(x.numel() for n, x in built(name).named_parameters() if n.startswith("lm."))
    assert replace(table()[name], ours=own).agrees


@pytest.mark.parametrize(
    ("theirs", "count", "rounding"),
    [("7B", 7e9, 0.5e9), ("110B", 110e9, 5e9), ("102.0M", 102e6, 0.05e6), ("86.3M + 63.4M", 149.7e6, 0.1e6)],
)
def test_how_a_count_is_rounded(theirs: str, count: float, rounding: float) -> None:
    row = Published("x", "", 1, theirs, "")
    assert row.count == pytest.approx(count) and row.rounding == pytest.approx(rounding)


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(SpecError, match="'about 7B' is no count"):
        print(Published("x", "", 1, "about 7B", "").count)
