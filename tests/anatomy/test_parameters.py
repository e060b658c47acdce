"""The tree of parameters counts what the module holds, once, and folds what repeats."""

from __future__ import annotations

import pytest

from anyvlm.anatomy.parameters import Branch, parameters
from anyvlm.registry import system
from anyvlm.system import System
from anyvlm.tiny import tiny

POCKET = system("anyvlm-pocket")


@pytest.mark.parametrize("name", ["anyvlm-pocket", "llava-1.5-7b", "maya", "dinov2-small", "smollm2-135m-instruct"])
def test_counts_are_those_of_the_module(name: str) -> None:
    import torch

    spec = system(name)
    with torch.device("meta"):
        module = spec.build()
    assert parameters(spec).count == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", ["anyvlm-pocket", "yi-vl-6b", "aya-23-8b"])
def test_a_branch_is_the_sum_of_its_branches(name: str) -> None:
    def check(branch: Branch) -> None:
        if branch.branches:
            assert branch.count == branch.times * sum(each.count for each in branch.branches), branch.name
        for each in branch.branches:
            check(each)

    check(parameters(system(name)))


def test_repeated_blocks_are_one_branch() -> None:
    blocks = parameters(POCKET).find("lm.blocks")
    assert blocks is not None and blocks.times == POCKET.lm.depth
    qkv = blocks.find("attn.qkv")
    assert qkv is not None and qkv.shape == ((9 + 2 * 3) * 64, 576) and not qkv.bias


def test_blocks_that_differ_stay_apart() -> None:
    layers = parameters(POCKET).find("connectors.image.then.layers")
    assert layers is not None and [layer.name for layer in layers.branches] == ["0", "1"]


def test_tied_head_counts_once() -> None:
    small = tiny(POCKET)
    assert isinstance(small, System)
    tied, untied = parameters(small), parameters(small.but(lm__tied=False))
    head, own = tied.find("lm.head"), untied.find("lm.head")
    assert head is not None and head.tied and head.count == 0
    assert own is not None and not own.tied and untied.count - tied.count == own.count == 512 * 32


def test_find_knows_only_what_is_there() -> None:
    tree = parameters(POCKET)
    assert tree.find("lm.block") is None and tree.find("encoders.image.blocks.attn.qkv.weight") is None
