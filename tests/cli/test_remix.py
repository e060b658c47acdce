"""`remix` prints what it made, writes a file, and every verb takes that file for a system."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from anyvlm.registry import system
from anyvlm.spec import from_json, to_json
from tests.commands import run
from tests.saved import save_tiny

WORDS = ("llava-1.5-7b", "--encoder", "siglip-so400m-384", "--connector", "perceiver", "--lm", "qwen2.5-1.5b")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixed") / "my.system.json"
    assert run("remix", *WORDS, "--name", "mine", "-o", path).code == 0
    return path


def test_it_says_what_it_made(tmp_path: Path) -> None:
    done = run("remix", *WORDS, "-o", tmp_path / "a.json")
    assert (done.code, done.err) == (0, "") and max(map(len, done.out.splitlines())) <= 80 + len(str(tmp_path)) * 2
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    for fact in (
        "encoders.image siglip-vit-so400m-14-384 413.0 M",
        "connectors.image perceiver 78.4 M fresh",
        "widths 1152 to 1536 (before: 1024 to 4096)",
        "picture 1024 × 768 becomes 64 tokens (before: 576)",
        "context 32768 tokens (before: 4096)",
        "prompt that of qwen2.5-1.5b-instruct",
        "fresh connectors.image.*: stage 'align' must train it first",
    ):
        assert any(fact in line for line in lines), fact
    assert "Nothing is written" in run("remix", *WORDS).out


def test_json(file: Path) -> None:
    told = json.loads(run("remix", *WORDS, "--name", "mine", "--json").out)
    assert from_json(told["spec"]) == from_json(json.loads(file.read_text()))
    assert [part["parameters"] for part in told["parts"]] == [412987248, 78355456, 1543714304]
    assert told["parts"][1]["weights"] == [] and told["first_stage"] == "align"
    assert told["after"]["widths"] == [1152, 1536, 1536]


def test_other_verbs_take_the_file(file: Path, tmp_path: Path) -> None:
    Image.new("RGB", (1024, 768)).save(tmp_path / "a.png")
    shown = run("show", file)
    assert shown.code == 0 and "connectors.image.* (no checkpoint fills these)" in shown.out and "Stage align" in shown.out
    assert json.loads(run("show", file, "--json").out)["name"] == "mine"
    assert json.loads(run("tokens", tmp_path / "a.png", "--model", file, "--json").out)["images"][0]["tokens"] == 64


@pytest.mark.parametrize("verb", ["ask", "chat"])
def test_nobody_asks_what_is_untrained(file: Path, verb: str) -> None:
    words = ("Hello?",) if verb == "ask" else ()
    done = run(verb, *words, "--model", file, stdin=b"Hello?\n")
    assert done.code and "'mine' is untrained" in done.err and "train its stage 'align' first" in done.err
    assert "Traceback" not in done.err and done.out.strip() == ""


def test_a_directory_is_remixed_and_a_saved_one_is_asked(tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny")
    assert run("remix", tmp_path / "tiny", "--connector", "qformer", "-o", tmp_path / "b.json").code == 0
    assert "'tiny+qformer' is untrained" in run("ask", "Hello?", "--model", tmp_path / "b.json").sentence
    assert run("ask", "Hello?", "--model", tmp_path / "tiny", "--max-tokens", "2").code == 0


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    for words, said in (
        (("llava-1.5-7b",), "Nothing is to be changed; say --encoder, --connector or --lm."),
        (("llava-1.5-7b", "--lm", "qwen2.5-1.5"), "nearest"),
        (("llava-1.5-7b", "--connector", "mlp", "-o", tmp_path / "x.txt"), "A system file's name ends in .json"),
        (("llava-1.5-7b", "--connector", "mlp", "-o", "/proc/x.json"), "Could not write"),
        (("nothing.system.json", "--connector", "mlp"), "There is no"),
    ):
        assert said in run("remix", *words).sentence
    (tmp_path / "bad.json").write_text("{")
    assert "is not JSON" in run("show", tmp_path / "bad.json").sentence
    (tmp_path / "bad.json").write_text(json.dumps(to_json(system("anyvlm-pocket").lm)))
    assert "describes a Decoder, not a system" in run("show", tmp_path / "bad.json").sentence
    assert "no such file" in run("show", tmp_path / "none.json").sentence
