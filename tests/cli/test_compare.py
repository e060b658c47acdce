"""`compare` on the command line: tables, JSON, a page, a picture, and errors of one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.commands import run
from tests.saved import save_tiny

PAIR = ("llava-1.5-7b", "blip2-opt-2.7b")


def test_tables_fit_a_terminal() -> None:
    done = run("compare", *PAIR, "qwen2-vl-7b", "flamingo-9b", "--image", "1344x896")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "visual tokens 576 32 1,536 64" in lines
    assert "parameters 7.06 B 3.74 B 8.29 B 9.36 B" in lines
    assert any(line.startswith("design CLIP") for line in lines)
    assert "fit pad" not in done.out  # fine print stands back


def test_json_has_everything_that_is_drawn() -> None:
    found = json.loads(run("compare", *PAIR, "--image", "640x480", "--json").out)
    assert found["case"]["size"] == [640, 480]
    assert found["cuts"][1]["rows"] == 32 and found["cuts"][0]["windows"][0]["patches"] == [24, 24]
    assert [card["name"] for card in found["cards"]] == list(PAIR)
    assert len(found["curves"][0]["flops"]) == len(found["sides"])
    costs = {cost["label"]: cost["values"] for cost in found["costs"] if cost["group"] == "Tokens"}
    assert costs["visual tokens"] == [576, 32]


def test_files_are_written(tmp_path: Path) -> None:
    picture, html, png = tmp_path / "a.png", tmp_path / "out.html", tmp_path / "out.png"
    Image.new("RGB", (300, 200), "orange").save(picture)
    assert run("compare", *PAIR, "--image", picture, "--html", html, "--png", png).code == 0
    text = html.read_text()
    assert "One picture of 300 × 200 pixels" in text and "data:image/jpeg;base64," in text
    assert text.count("data:image/jpeg") == 1  # however many systems show it
    assert Image.open(png).format == "PNG"


def test_a_directory_beside_a_name(tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny")
    found = json.loads(run("compare", tmp_path / "tiny", "anyvlm-pocket", "--json").out)
    assert [card["name"] for card in found["cards"]] == ["tiny", "anyvlm-pocket"]


def test_a_video() -> None:
    done = run("compare", "llava-1.5-7b", "qwen2-vl-7b", "--video", "60s@1fps")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "visual tokens – 23,040" in lines
    assert "'llava-1.5-7b' takes no videos" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (PAIR[:1], "One system alone cannot be compared"),
        ((*PAIR, "--device", "abacus"), "There is no device 'abacus'"),
        ((*PAIR, "--dtype", "fp7"), "There is no dtype 'fp7'"),
        ((*PAIR, "--image", "1024"), "--image 1024: give the size of a picture as 1024x768"),
        ((*PAIR, "--image", "0x10"), "at least one pixel"),
        ((*PAIR, "--image", "nowhere.png"), "--image nowhere.png: give the size"),
        ((*PAIR, "--image", "3by4"), "--image 3by4: give the size"),
        ((*PAIR, "--video", "soon"), "--video soon: give a length"),
        ((*PAIR, "--video", "60s@0fps"), "--video 60s@0fps"),
        (("llava-1.5-7b", "qwen9"), "There is no system 'qwen9'"),
    ],
    ids=str,
)
def test_errors_are_one_sentence(words: tuple[str, ...], said: str) -> None:
    done = run("compare", *words)
    assert done.code == 1 and done.out == ""
    assert said in done.err and len(done.err.splitlines()) == 1
