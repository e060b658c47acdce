"""`show` tells facts that agree with the spec and the module, for every system, within 80 columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anyvlm.cli._words import by, link, short
from anyvlm.registry import SYSTEMS, system
from anyvlm.spec import from_json
from tests.commands import run
from tests.saved import save_tiny


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_is_shown(name: str) -> None:
    done = run("show", name)
    assert (done.code, done.err) == (0, "")
    assert name in done.out and system(name).meta.license.split()[0] in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_shapes_counts_and_prompt() -> None:
    shown = run("show", "llava-1.5-7b").out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    for fact in (
        "parameters 7.06 B",
        "picture 1024 × 768 becomes 336 × 336 pixels, 576 patches, 576 tokens",
        "├── connectors.image Projector 21.0 M",
        "│ ├── 0 4096 × 1024 + bias 4.2 M",
        "│ ├── stem 1024 × 588 602.1 k",
        "├── blocks × 32 202.4 M each 6.48 B",
        "What is in the picture? ASSISTANT:",
        "Stage align",
    ):
        assert any(fact in line for line in lines), fact


def test_the_way_of_a_picture() -> None:
    assert "encoders.image       303.5 M  607.0 MB  frozen" in run("show", "llava-1.5-7b").out
    shown = run("show", "llava-next-vicuna-7b", "--image", "400x300").out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    for fact in (
        "encoders.image 303.5 M 607.0 MB tune",
        "connectors.image 21.0 M 42.0 MB align, tune",
        "A picture of 400 × 300 on its way",
        "policy AnyRes 3 × 3 × 336 × 336",
        "encoders.image ViT 1731 × 1024 with a class token",
    ):
        assert any(fact in line for line in lines), (fact, shown)


def test_experts_that_are_not_asked() -> None:
    assert "25.31 B, 50.6 GB at bf16; a token of text goes through 4.12 B" in run("show", "aria").out
    shown = json.loads(run("show", "aria", "--json").out)
    lm = {share["path"]: share for share in shown["shares"]}["lm"]
    assert lm["active"] == shown["active"] < lm["parameters"] == lm["bytes"]["bf16"] / 2
    assert lm["stages"]["language"] == {"trained": lm["parameters"], "added": 0}


@pytest.mark.parametrize("size", ["1024", "0x20", "axb", "10x10x10", "-1x5"])
def test_a_size_that_is_none(size: str) -> None:
    assert "--image 1024x768" in run("show", "llava-1.5-7b", f"--image={size}").sentence


def test_json_tells_the_way_and_the_listing() -> None:
    shown = json.loads(run("show", "clip-vit-b-32", "--json", "--expand").out)
    assert shown["image"] == [1024, 768] and shown["bytes"] == {"bf16": 2 * 151_277_313}
    assert {"part": "towers.image.encoder", "name": "ViT", "shape": [50, 768], "note": None} in shown["path"]
    assert shown["listing"] == run("show", "clip-vit-b-32", "--expand").out.removesuffix("\n")


def test_json_holds_the_whole_spec() -> None:
    for name in ("anyvlm-pocket", "dinov2-small", "smollm2-135m-instruct"):
        shown = json.loads(run("show", name, "--json").out)
        assert from_json(shown["spec"]) == system(name)
        assert shown["parameters"] == sum(shown["parts"].values()) > 1e6


def test_a_directory(tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny")
    assert "tiny" in run("show", tmp_path / "tiny").out
    assert json.loads(run("show", tmp_path / "tiny", "--json").out)["name"] == "tiny"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0"), (999, "999"), (1000, "1.0 k"), (999_949, "999.9 k"), (999_960, "1.0 M"), (134_515_008, "134.5 M")]
    + [(999_949_999, "999.9 M"), (999_960_000, "1.00 B"), (7_063_427_072, "7.06 B"), (2 * 10**12, "2.00 T")],
)
def test_counts_in_words(count: int, said: str) -> None:
    assert short(count) == said


def test_words() -> None:
    assert by((640, 480)) == "640 × 480"
    assert link("2304.08485") == "https://arxiv.org/abs/2304.08485"
    assert link("https://llava-vl.github.io/blog") == "https://llava-vl.github.io/blog"


def test_a_stage_of_an_encoder_shows_its_lesson() -> None:
    out = run("show", "deepmim-vit-b-16").out
    assert "Stage mask" in out and "lesson      DeepFeatures(width 512, depth 4" in out and "layouts" not in out
    assert "75% guessed at once" in run("show", "cappa-vit-b-16").out
