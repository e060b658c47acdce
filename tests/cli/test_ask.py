"""`ask` prints what the model says, as it comes; `tokens` told before what it would cost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anyvlm.generate.model import load
from tests.commands import run
from tests.saved import IMAGE_TOKENS, save_tiny

QUESTION = "What is this?"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for name, size in (("a.png", (60, 40)), ("b.jpg", (33, 200))):
        Image.effect_noise(size, 80).convert("RGB").save(folder / name)
    return [folder / "a.png", folder / "b.jpg"]


def test_it_prints_what_the_model_says(tiny: Path, pictures: list[Path]) -> None:
    model = load(tiny, device="cpu", dtype="fp32")
    for images in ([], pictures[:1], pictures):
        said = run("ask", *images, QUESTION, "-m", tiny, "--max-tokens", 8, "--device", "cpu", "--dtype", "fp32")
        assert (said.code, said.err) == (0, "")
        assert said.out == model.ask(images, QUESTION, max_tokens=8).text + "\n"


def test_json(tiny: Path, pictures: list[Path]) -> None:
    done = run("ask", *pictures, QUESTION, "-m", tiny, "--max-tokens", 5, "--json")
    said = json.loads(done.out)
    assert said["model"] == "tiny" and said["finish"] in ("stop", "length")
    assert said["usage"]["image_tokens"] == 2 * IMAGE_TOKENS and 1 <= said["usage"]["completion_tokens"] <= 5
    assert 0 < said["timings"]["ready"] <= said["timings"]["first_token"] <= said["timings"]["total"]
    assert said["timings"]["load"] > 0
    plain = run("ask", *pictures, QUESTION, "-m", tiny, "--max-tokens", 5)
    assert plain.out == said["text"] + "\n"


@settings(max_examples=10)
@given(question=st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and not text.startswith("-")))
def test_tokens_are_those_of_ask(tiny: Path, pictures: list[Path], question: str) -> None:
    """Whatever is asked, control tokens and all."""
    question = question.replace("\x00", "") + "<|im_end|>"
    for images in (pictures[:1], pictures):
        asked = json.loads(run("ask", *images, question, "-m", tiny, "--max-tokens", 1, "--json").out)
        told = json.loads(run("tokens", *images, "--question", question, "-m", tiny, "--json").out)
        assert told["usage"] == {name: asked["usage"][name] for name in ("prompt_tokens", "image_tokens")}


def test_system_text_is_counted_alike(tiny: Path, pictures: list[Path]) -> None:
    words = ("-m", tiny, "--system", "Be brief.", "--json")
    asked = json.loads(run("ask", pictures[0], QUESTION, *words, "--max-tokens", 1).out)["usage"]
    told = json.loads(run("tokens", pictures[0], "--question", QUESTION, *words).out)["usage"]
    other = json.loads(run("tokens", pictures[0], "--question", QUESTION, "-m", tiny, "--json").out)["usage"]
    assert told["prompt_tokens"] == asked["prompt_tokens"] != other["prompt_tokens"]


def test_seed(tiny: Path) -> None:
    def say(seed: int) -> str:
        return run("ask", QUESTION, "-m", tiny, "--max-tokens", 20, "--temperature", 1.5, "--seed", seed).out

    assert say(1) == say(1) != say(2)


def test_picture_on_stdin(tiny: Path, pictures: list[Path]) -> None:
    words = (QUESTION, "-m", tiny, "--max-tokens", 5)
    assert run("ask", "-", *words, stdin=pictures[0].read_bytes()).out == run("ask", pictures[0], *words).out


def test_it_streams(tiny: Path) -> None:
    """The first piece arrives while the rest is not there: reading stops there, and so does the command, quietly."""
    command = [sys.executable, "-m", "anyvlm", "ask", QUESTION, "-m", str(tiny), "--max-tokens", "350"]
    command += ["--temperature", "2", "--seed", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(1)
        assert process.poll() is None
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == b""


def test_interrupt(tiny: Path) -> None:
    """Ctrl-C ends the command with 130 and says nothing."""
    command = [sys.executable, "-m", "anyvlm", "ask", QUESTION, "-m", str(tiny), "--max-tokens", "380"]
    command += ["--temperature", "2", "--seed", "1"]
    # a shell starts background jobs with interrupts ignored, and so may whatever runs the tests
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b""


def test_tokens_without_the_tokenizer(pictures: list[Path], tmp_path: Path) -> None:
    """Pictures are counted even where the tokenizer cannot be fetched; a question is not, and that is an error."""
    env = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = run("tokens", *pictures, "-m", "llava-1.5-7b", "--json", env=env)
    assert json.loads(done.out)["usage"] == {"prompt_tokens": None, "image_tokens": 2 * 576}
    plain = " ".join(run("tokens", *pictures, "-m", "llava-1.5-7b", env=env).out.split())
    assert "1152 of the 4096" in plain and "not counted" in plain
    assert "HF_HUB_OFFLINE" in run("tokens", *pictures, "-m", "llava-1.5-7b", "--question", QUESTION, env=env).sentence
