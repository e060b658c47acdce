"""Parameters by kind add up to all of them, for every system."""

from __future__ import annotations

import pytest

from anyvlm import registry
from anyvlm.anatomy.kinds import kinds
from anyvlm.anatomy.parameters import parameters
from anyvlm.anatomy.svg import PARTS

SOME = (
    "llava-1.5-7b", "flamingo-9b", "evev2-7b", "aria", "blip-itm-base-coco", "clip-vit-b-16", "clip-rn50", "imagebind-huge",
    "janus-1.3b", "instructblip-flan-t5-xl", "dinov2-small", "videomae-base", "fuyu-8b", "mixture-of-transformers-7b", "glip-t",
    "uniadapter-blip-base-coco", "vladva-llava-1.5-7b", "cappa-vit-b-16", "videoclip", "mobileclip-s0", "deepmim-vit-b-16",
    "sail-dinov2-b-mpnet", "fc-clip",
)  # fmt: skip


@pytest.mark.parametrize("name", SOME)
def test_kinds_add_up(name: str) -> None:
    tree = parameters(registry.system(name))
    found = kinds(tree)
    assert sum(one.count for one in found) == tree.count
    assert {one.kind for one in found} <= PARTS.keys()
    assert len({one.label for one in found}) == len(found)


def test_what_makes_systems_different_is_seen() -> None:
    """Flamingo's inserted layers (1.61 B of table 1), EVEv2's copies for pictures, LLaVA's encoder of 303 M."""
    counts = {name: {s.label: s.count for s in kinds(parameters(registry.system(name)))} for name in SOME[:3]}
    assert counts["flamingo-9b"]["inserted layers"] == 1_610_743_824
    assert counts["evev2-7b"]["weights for pictures"] > 6e9
    assert 300e6 < counts["llava-1.5-7b"]["vision encoder"] < 306e6


def test_of_a_system_that_says_where_words_are_no_part_is_taken_for_another() -> None:
    """The encoder is Swin-T with 27.5 M, word embeddings those of BERT, and 12 + 6 of its blocks read text."""
    counts = {one.label: one.count for one in kinds(parameters(registry.system("glip-t")))}
    assert counts["vision encoder"] == 27_520_506
    assert counts["text encoder"] == 18 * 7_087_872 and counts["word embeddings"] == 768 * (30_522 + 512 + 2 + 2)
