"""`tokens` of many systems side by side, and the layout of one prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from anyvlm.anatomy.tokens import costs
from anyvlm.registry import SYSTEMS, system
from anyvlm.system import System
from tests.commands import run
from tests.saved import save_tiny


@pytest.fixture
def png(tmp_path: Path) -> Path:
    Image.new("RGB", (640, 480)).save(path := tmp_path / "a.png")
    return path


def test_all_systems(png: Path) -> None:
    """Those that take pictures, each by its own planner, the cheapest first."""
    told = json.loads(run("tokens", png, "--model", "all", "--json").out)["systems"]
    want = {
        name: sum(cost.tokens for cost in costs(spec, [(640, 480)]))
        for name in SYSTEMS
        if isinstance(spec := system(name), System) and spec.streams
    }
    assert {row["model"]: row["tokens"] for row in told} == want
    counts = [row["tokens"] for row in told]
    assert counts == sorted(counts)
    by_name = {row["model"]: row for row in told}
    assert by_name["llava-1.5-7b"] == {
        "model": "llava-1.5-7b", "tokens": 576, "exact": True, "places": 576, "context": 4096, "share": 576 / 4096,
        "resized": [[[336, 336]]],
    }  # fmt: skip
    assert by_name["flamingo-9b"]["places"] == 1 and not by_name["smolvlm-256m"]["exact"]


def test_alike_on_one_line(png: Path) -> None:
    out = run("tokens", png, "-m", "llava-1.5-7b", "-m", "llava-1.5-13b", "-m", "flamingo-9b", "-m", "pixtral-12b").out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "flamingo-9b 320 × 320 1 64 2048 in a memory beside it" in lines
    assert "llava-1.5-7b and 1 more 336 × 336 1 576 4096 ━─────── 14.1%" in lines
    assert lines.index("pixtral-12b 640 × 480 1 1230 131072 ━─────── 0.9%") > 2 and "3 systems" not in out


def test_more_than_fits(png: Path) -> None:
    out = run("tokens", *[png] * 4, "-m", "llava-next-vicuna-7b", "-m", "llava-1.5-7b").out
    assert "━━━━────  56.2%" in out and "━━━━━━━━ 228.5%" in out


def test_several_pictures_and_who_refuses(png: Path) -> None:
    found = json.loads(run("tokens", png, png, "-m", "all", "--json").out)
    assert "blip-vqa-base" in found["refused"] and "blip-vqa-base" not in {row["model"] for row in found["systems"]}
    assert "refuse this" in run("tokens", png, png, "-m", "all").out
    assert "pictures" in run("tokens", png, png, "-m", "llava-1.5-7b", "-m", "blip-vqa-base").sentence
    assert "has no prompt" in run("tokens", png, "-m", "llava-1.5-7b", "-m", "dinov2-small").sentence


def test_one_prompt_at_a_time(png: Path) -> None:
    assert "name one" in run("tokens", png, "-m", "all", "--layout").sentence
    assert "name one" in run("tokens", png, "-m", "all", "--question", "What?").sentence


def test_layout(png: Path, tmp_path: Path) -> None:
    """Every token has its place, and the sums are those of the plan."""
    save_tiny(tiny := tmp_path / "tiny")
    words = (png, "--question", "What?", "-m", tiny, "--json")
    layout = json.loads(run("tokens", *words, "--layout").out)["layout"]
    usage = json.loads(run("tokens", *words).out)["usage"]
    assert sum(run["tokens"] for run in layout) == usage["prompt_tokens"]
    assert sum(run["tokens"] for run in layout if run["what"] == "rows") == usage["image_tokens"]
    assert "What?" in "".join(run["text"] or "" for run in layout)
    shown = run("tokens", *words[:-1], "--layout").out
    assert f"{usage['prompt_tokens']} tokens; tiny holds" in shown


def test_layout_without_a_tokenizer(png: Path, tmp_path: Path) -> None:
    env = {"HF_HOME": str(tmp_path), "ANYVLM_CACHE": str(tmp_path)}
    shown = run("tokens", png, "-m", "pixtral-12b", "--layout", "--question", "What is it?", env=env).out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "2 1189 rows, control 29 × 1 × 40 rows of picture 1 [IMG_BREAK]" in lines
    assert any(line.endswith("? text What is it?") for line in lines) and "text is not counted" in shown.lower()
