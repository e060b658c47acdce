"""`estimate` says whether it fits, what takes the memory, and what to change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anyvlm.registry import system
from tests.commands import run
from tests.saved import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("saved") / "tiny")


def test_it_says_what_fits(tiny: Path) -> None:
    done = run("estimate", "anyvlm-pocket", "--gpu", "rtx4090", "--context", "512")
    assert (done.code, done.err) == (0, "") and max(map(len, done.out.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "anyvlm-pocket, answering with 1 sample of 512 tokens in bf16, fits into" in " ".join(lines)
    assert any(line.startswith("weights 0.30 GB") for line in lines) and any(line.startswith("of 24.00 GB") for line in lines)
    assert any(line.startswith("--context 8192: 8192 tokens, all that it was made for") for line in lines)


def test_it_says_what_to_change(tiny: Path) -> None:
    done = run("estimate", tiny, "--gpu", "0.75GB", "--stage", "join", "--batch", "512", "--length", "256")
    text = " ".join(done.out.split())
    assert done.code == 0 and "does not fit into 0.75GB" in text
    assert "the most that fit" in text and "--batch " in text and "As it is, it fits into " in text


def test_json() -> None:
    told = json.loads(run("estimate", "anyvlm-pocket", "--gpu", "24GB", "--context", "512", "--dtype", "int8", "--json").out)
    assert told["fits"] and told["capacity"] == 24 * 10**9 and told["stage"] == "inference"
    memory = told["memory"]
    assert told["total"] == sum(size for size in memory.values() if isinstance(size, int))
    assert 1.0 < memory["weights"] / 150.7e6 < 1.1 and memory["gradients"] == 0 and memory["cache"] > 0
    assert told["device"] and told["load"]["length"] == 512


def test_a_remix_is_estimated(tmp_path: Path) -> None:
    words = ("--connector", "linear", "-o", tmp_path / "a.json")
    assert run("remix", "anyvlm-pocket", *words).code == 0
    told = json.loads(run("estimate", tmp_path / "a.json", "--gpu", "80GB", "--context", "1024", "--json").out)
    assert told["fits"] and told["name"] == "anyvlm-pocket+linear"


def test_mistakes_are_one_sentence() -> None:
    context = system("anyvlm-pocket").lm.context
    for words, said in (
        (("--gpu", "24"), "no device '24'"),
        (("--gpu", "24GB", "--dtype", "fp64"), "The dtype 'fp64' is not known"),
        (("--gpu", "24GB", "--stage", "tune"), "no stage 'tune'; there are: look, converse, join, inference"),
        (("--gpu", "24GB", "--lora", "8"), "--lora is for training"),
        (("--gpu", "24GB", "--length", context + 1), f"holds {context} tokens"),
    ):
        assert said in run("estimate", "anyvlm-pocket", *words).sentence
    assert run("estimate", "anyvlm-pocket").code == 2
