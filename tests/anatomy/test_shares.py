"""Parameters by kind add up to all of them, for every system."""

from __future__ import annotations

import pytest

from anyvlm import registry
from anyvlm.anatomy.parameters import parameters
from anyvlm.anatomy.shares import shares
from anyvlm.anatomy.svg import PARTS

SOME = (
    "llava-1.5-7b", "flamingo-9b", "evev2-7b", "aria", "blip-itm-base-coco", "clip-vit-b-16", "clip-rn50", "imagebind-huge",
    "janus-1.3b", "instructblip-flan-t5-xl", "dinov2-small", "videomae-base", "fuyu-8b", "mixture-of-transformers-7b",
)  # fmt: skip


@pytest.mark.parametrize("name", SOME)
def test_shares_add_up(name: str) -> None:
    tree = parameters(registry.system(name))
    found = shares(tree)
    assert sum(share.count for share in found) == tree.count
    assert {share.kind for share in found} <= PARTS.keys()
    assert len({share.label for share in found}) == len(found)


def test_what_makes_systems_different_is_seen() -> None:
    """Flamingo's inserted layers (1.61 B of table 1), EVEv2's copies for pictures, LLaVA's encoder of 303 M."""
    kinds = {name: {s.label: s.count for s in shares(parameters(registry.system(name)))} for name in SOME[:3]}
    assert kinds["flamingo-9b"]["inserted cross-attention"] == 1_610_743_824
    assert kinds["evev2-7b"]["weights for pictures"] > 6e9
    assert 300e6 < kinds["llava-1.5-7b"]["vision encoder"] < 306e6
