"""Predicted bytes are those that torch's allocator holds, on tiny systems of every kind; the device tells what fits."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from anyvlm.anatomy.estimate import capacity_of, estimate, low_rank, smallest
from anyvlm.anatomy.memory import WORKSPACE, Load, Memory, answering, training, updating
from anyvlm.dual import DualSystem
from anyvlm.errors import InputError
from anyvlm.match import AnySystem
from anyvlm.registry import system
from anyvlm.system import System, VisionSystem
from anyvlm.tiny import tiny, tiny_dual, tiny_vision


def benchmark() -> ModuleType:
    """benchmarks/estimate.py, whose way of measuring is the one shown in public."""
    path = Path(__file__).parents[2] / "benchmarks" / "estimate.py"
    spec = importlib.util.spec_from_file_location("benchmark_estimate", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


REAL = benchmark()


def small(name: str) -> AnySystem:
    found = system(name)
    if isinstance(found, DualSystem):
        return tiny_dual(found)
    return tiny_vision(found) if isinstance(found, VisionSystem) else tiny(found).but(lm__context=2048)


LOAD = Load(batch=2, length=300, size=(60, 40), dtype="fp32", device="cpu")


@pytest.mark.parametrize(
    ("name", "stage", "load"),
    [
        ("anyvlm-pocket", REAL.FULL, LOAD),
        ("anyvlm-pocket", REAL.FULL, replace(LOAD, batch=5, dtype="bf16")),
        ("anyvlm-pocket", REAL.LORA, LOAD),
        ("anyvlm-pocket", REAL.LORA, replace(LOAD, batch=5, dtype="bf16")),
        ("llava-next-vicuna-7b", REAL.ALIGN, LOAD),
        ("idefics-9b", REAL.ALIGN, LOAD),
        ("blip2-opt-2.7b", REAL.ALIGN, LOAD),
        ("paligemma-3b-mix-224", REAL.FULL, LOAD),
        ("smollm2-135m-instruct", REAL.TEXT, replace(LOAD, pictures=0)),
        ("clip-vit-b-32", REAL.PAIRS, LOAD),
        ("siglip-vit-b-16-256", REAL.PAIRS, LOAD),
        ("anyvlm-pocket", None, LOAD),
        ("llava-1.5-7b", None, replace(LOAD, length=1000, dtype="bf16")),
        ("aria", None, replace(LOAD, length=1000)),
        ("moe-llava-phi2-2.7b-4e", REAL.FULL, LOAD),
        ("mpt-7b", REAL.TEXT, replace(LOAD, pictures=0)),
        ("dinov2-small", None, replace(LOAD, batch=6)),
        ("clip-vit-b-32", None, LOAD),
    ],
)
def test_predicted_is_measured(name: str, stage: object, load: Load) -> None:
    """Within 15 %, whatever trains."""
    found = small(name)
    told, held = REAL.predicted(found, stage, load), REAL.allocated(found, stage, load)
    assert 0.85 < told / held < 1.15, (told, held)


def test_the_split_of_a_step() -> None:
    """Adam holds 12 bytes of every trained number; the update needs gradients in fp32 beside those in bf16."""
    found = tiny(system("anyvlm-pocket"), vocab=8192)
    assert isinstance(found, System)
    count = sum(p.numel() for n, p in found.build().named_parameters() if n.startswith(("lm.", "connectors.")))
    all_ = sum(p.numel() for p in found.build().parameters())
    load = replace(LOAD, dtype="bf16")
    back, update = training(found, REAL.FULL, replace(load, batch=16)), updating(found, REAL.FULL, load)
    assert back.when == "backward" and (back.weights, back.optimiser) == (2 * all_, 12 * count)
    assert (update.gradients, update.optimiser, update.activations) == (6 * count, 12 * count, 0)
    assert back.logits < 4 * found.lm.vocab * 16 * (300 - 4) and back.total == back.tensors + back.framework
    assert training(found, low_rank(REAL.FULL, 4), load).total < training(found, REAL.FULL, load).total
    cuda = training(found, REAL.FULL, replace(load, batch=16, device="cuda"))
    assert cuda.activations - WORKSPACE["cuda"] < back.activations  # fused attention keeps no scores
    small_ = answering(found, replace(load, dtype="int4"))
    assert small_.weights < 0.4 * answering(found, load).weights and small_.cache == answering(found, load).cache > 0


def test_what_fits_is_found() -> None:
    """The batch told is the largest: one more does not fit."""
    found, stage = small("smollm2-135m-instruct"), REAL.TEXT
    assert isinstance(found, System)
    found, load = found.but(stages=(stage,)), replace(LOAD, batch=64, pictures=0)
    capacity = int(training(found, stage, replace(load, batch=9)).total / 0.97) + 1
    verdict = estimate(found, capacity, load, stage="tune")
    assert not verdict.fits and verdict.changes[0].options == "--batch 9"
    assert verdict.changes[0].total == training(found, stage, replace(load, batch=9)).total <= 0.97 * capacity
    assert estimate(found, 2 * capacity, replace(load, batch=9), stage="tune").fits
    shorter = estimate(found, int(training(found, stage, replace(load, batch=1, length=200)).total / 0.97), load, stage="tune")
    (change,) = [change for change in shorter.changes if change.options.startswith("--batch 1 --length")]
    assert 128 <= int(change.options.split()[-1]) <= 200
    longest = estimate(found, 10**9, replace(load, batch=1))
    assert longest.fits and longest.changes[0].options == "--context 2048"
    assert "all that it was made for" in longest.changes[0].what


def test_sizes() -> None:
    assert capacity_of("24GB") == 24 * 10**9 and capacity_of("1.5GiB") == 3 * 2**29 and capacity_of("rtx4090") > 23e9
    for text, said in (("24", "no device '24'"), ("0GB", "holds nothing"), ("big", "no device 'big'")):
        with pytest.raises(InputError, match=said):
            capacity_of(text)
    tenth = Memory(10**9, 0, 0, 0, 0, 0, 0, "answer")
    assert smallest(tenth) and smallest(replace(tenth, weights=10**13)) is None


@pytest.mark.parametrize(
    ("name", "stage", "load", "lora", "said"),
    [
        ("llava-1.5-7b", "tun", LOAD, None, "no stage 'tun'; there are: align, tune, inference"),
        ("llava-1.5-7b", "tune", replace(LOAD, dtype="int8"), None, "Nothing trains in int8"),
        ("llava-1.5-7b", "inference", LOAD, 8, "--lora is for training"),
        ("llava-1.5-7b", "tune", LOAD, 0, "--lora 0 is no rank"),
        ("anyvlm-pocket", "look", LOAD, None, "losses of its own"),
        ("llava-1.5-7b", "tune", replace(LOAD, pictures=200), None, "pictures take 1800 tokens"),
        ("dinov2-small", "tune", LOAD, None, "there are: inference"),
    ],
)
def test_mistakes_are_one_sentence(name: str, stage: str, load: Load, lora: int | None, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        estimate(small(name), 10**12, load, stage=stage, lora=lora)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
