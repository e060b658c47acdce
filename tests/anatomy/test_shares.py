"""Shares add up to the whole, and say of every stage what training finds."""

from __future__ import annotations

import pytest
import torch

from anyvlm.anatomy.parameters import parameters
from anyvlm.anatomy.shares import shares
from anyvlm.registry import system
from anyvlm.system import System, VisionSystem
from anyvlm.tiny import tiny
from anyvlm.train.loop import trainable

NAMES = ["llava-1.5-7b", "aria", "cogvlm-chat", "clip-vit-b-32", "prolip-b-16", "blip-itm-base-coco", "janus-1.3b", "glip-t"]
STAGED = ["anyvlm-pocket", "llava-1.5-7b", "cogvlm-chat", "moe-llava-phi2-2.7b-4e", "qwen2-vl-7b-instruct", "flamingo-9b"]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_the_whole(name: str) -> None:
    spec = system(name)
    assert sum(share.count for share in shares(spec)) == parameters(spec).count


@pytest.mark.parametrize("name", STAGED)
def test_a_stage_moves_what_is_told(name: str) -> None:
    small = tiny(system(name))  # type: ignore[arg-type]
    assert isinstance(small, System)
    told = shares(small)
    for stage in small.stages:
        with torch.device("meta"):
            found = trainable(small.build(), stage)
        moves = [move for share in told for move in share.moves if move.stage == stage.name]
        assert sum(move.trained + move.added for move in moves) == sum(each.numel() for each in found.values())


def test_active_without_experts_that_are_not_asked() -> None:
    lm = {share.path: share for share in shares(system("aria"))}["lm"]
    expert = 3 * 2560 * 1664  # gate, up and down, of which 6 of 64 are asked in 28 layers
    assert lm.count - lm.active == 28 * 58 * expert


def test_active_without_the_weights_of_pictures() -> None:
    """Text goes through CogVLM as through Vicuna, whose parameters those are."""
    lm = {share.path: share for share in shares(system("cogvlm-chat"))}["lm"]
    assert lm.active == 6_738_415_616 and lm.moves[0].trained == lm.count - lm.active


def test_all_of_a_dense_model_is_active() -> None:
    for share in shares(system("llava-1.5-7b")):
        assert share.active == share.count > 0


def test_a_system_without_stages() -> None:
    spec = system("dinov2-small")
    assert isinstance(spec, VisionSystem)
    (share,) = shares(spec)
    assert share.path == "" and share.spec is spec.encoder and not share.moves


def test_stages_of_an_encoder() -> None:
    """A probe trains its lesson alone, which stands beside the encoder."""
    (share,) = shares(system("aim-600m"))
    assert [(move.stage, move.trained) for move in share.moves] == [("autoregressive", share.count)]
    (share,) = shares(system("deepmim-vit-b-16"))
    assert [move.stage for move in share.moves] == ["mask"] and 0 < share.count - share.moves[0].trained < 200 * 768
