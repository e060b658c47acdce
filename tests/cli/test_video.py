"""`--video` and `/video`, from a file to an answer; `tokens` tells before what it will cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from anyvlm.generate.model import load
from anyvlm.inputs.messages import Video
from tests.clips import clip
from tests.commands import run
from tests.saved import save_tiny, save_watching

QUESTION = "What happens?"
CPU = ("--device", "cpu", "--dtype", "fp32")


@pytest.fixture(scope="module", params=["smolvlm2-256m", "qwen2.5-vl-3b-instruct", "llava-onevision-0.5b-ov"])
def watching(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_watching(tmp_path_factory.mktemp("models") / "watching", request.param)


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "a.mp4").write_bytes(clip("mp4", "libx264", sound=True))
    (folder / "cut.mp4").write_bytes(clip("mp4", "libx264")[:900])
    Image.effect_noise((60, 40), 80).convert("RGB").save(folder / "a.png")
    return folder / "a.mp4"


def test_it_says_what_the_model_says(watching: Path, mp4: Path) -> None:
    model, png = load(watching, device="cpu", dtype="fp32"), mp4.with_name("a.png")
    for images, wishes in (([], {}), ([png], {}), ([], {"fps": 10.0}), ([], {"frames": 2})):
        words = [word for key, value in wishes.items() for word in (f"--{key}", value)]
        done = run("ask", *images, QUESTION, "--video", mp4, *words, "-m", watching, "--max-tokens", 6, "--json", *CPU)
        assert (done.code, done.err) == (0, "")
        said, want = json.loads(done.out), model.ask([*images, Video(mp4, **wishes)], QUESTION, max_tokens=6)
        assert said["text"] == want.text and said["usage"]["video_tokens"] == want.usage.video_tokens > 0
        assert (said["usage"]["image_tokens"] > 0) == bool(images)
        told = json.loads(run("tokens", *images, "--video", mp4, *words, "--question", QUESTION, "-m", watching, "--json").out)
        assert told["usage"]["prompt_tokens"] == said["usage"]["prompt_tokens"]
        assert len(told["images"][-1]["times"]) == len(told["images"][-1]["resized"]) <= 4


def test_openai_form(watching: Path, mp4: Path) -> None:
    model = load(watching, device="cpu", dtype="fp32")
    want = model.ask(Video(mp4), QUESTION, max_tokens=6).text
    for part in ({"type": "video", "video": mp4}, {"type": "video_url", "video_url": {"url": str(mp4)}}):
        assert model.chat([{"role": "user", "content": [part, {"type": "text", "text": QUESTION}]}], max_tokens=6).text == want


def test_chat(watching: Path, mp4: Path) -> None:
    model = load(watching, device="cpu", dtype="fp32")
    first = model.ask(Video(mp4), QUESTION, max_tokens=4).text
    done = run("chat", "-m", watching, "--max-tokens", 4, *CPU, stdin=f"/video {mp4}\n{QUESTION}\n/video no.mp4\n".encode())
    assert (done.code, done.out) == (1, f"{first}\n") and "no file 'no.mp4'" in done.err


def test_once_encoded(watching: Path, mp4: Path) -> None:
    """A second question about a video does not encode it again."""
    model = load(watching, device="cpu", dtype="fp32")
    model.ask(Video(mp4), QUESTION, max_tokens=1)
    before = model.features.encoded
    model.ask(Video(mp4), "And then?", max_tokens=1)
    assert model.features.encoded == before == 1


def test_sentences(watching: Path, blind: Path, mp4: Path) -> None:
    def ask(*words: object, model: Path = watching) -> str:
        return run("ask", QUESTION, *words, "-m", model).sentence

    assert "takes no videos" in ask("--video", mp4, model=blind)
    assert "takes no videos" in run("tokens", "--video", mp4, "-m", blind).sentence
    assert "without vision" in run("tokens", "--video", mp4, "-m", "smollm2-360m-instruct").sentence
    assert "cut.mp4" in ask("--video", mp4.with_name("cut.mp4")) and "no file" in ask("--video", "no.mp4")
    assert "--remote" in ask("--video", "https://example.com/a.mp4")
    assert "add --video" in ask("--fps", 2) and "add --video" in ask("--frames", 2)
    assert "fps is -1" in ask("--video", mp4, "--fps", -1) and "frames is 0" in ask("--video", mp4, "--frames", 0)
    assert "nothing to count" in run("tokens", "-m", watching).sentence
    assert "look at fewer frames" in ask("--video", mp4, "--max-tokens", 2040)
