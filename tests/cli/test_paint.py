"""`paint` writes whole PNG files, alike for a seed, and says in one sentence what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anyvlm.generate.model import load
from anyvlm.weights.load import Loaded
from anyvlm.weights.save import save
from tests.commands import run
from tests.generate.test_painting import model
from tests.saved import save_tiny

PROMPT = "a lighthouse"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Janus-Pro in a directory."""
    folder, janus = tmp_path_factory.mktemp("models") / "tiny", model("janus-pro-1b")
    save(Loaded(janus.system.but(tokenizer=None), janus.vlm, janus.tokenizer), folder)
    return folder


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_it_paints(tiny: Path, tmp_path: Path) -> None:
    words = ("-m", tiny, "-o", tmp_path / "a.png", "--seed", 3, "--device", "cpu", "--dtype", "fp32")
    done = run("paint", PROMPT, *words)
    assert (done.code, done.out, done.err) == (0, f"{tmp_path / 'a.png'}\n", "")
    (want,) = load(tiny, device="cpu", dtype="fp32").paint(PROMPT, seed=3).images
    assert np.array_equal(pixels(tmp_path / "a.png"), np.asarray(want))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_json_and_several(tiny: Path, tmp_path: Path) -> None:
    words = ("-m", tiny, "-o", tmp_path / "deep" / "a.png", "--guidance", 1.5, "--temperature", 1.2, "--json")
    said = json.loads(run("paint", PROMPT, *words, "--count", 3).out)
    names = [str(tmp_path / "deep" / f"a-{n}.png") for n in (1, 2, 3)]
    assert said["images"] == names and said["usage"]["completion_tokens"] == 27
    assert 0 < said["timings"]["ready"] <= said["timings"]["first_token"] <= said["timings"]["total"]
    again = json.loads(run("paint", PROMPT, *words, "--seed", said["seed"] + 2).out)
    assert again["seed"] == said["seed"] + 2 and again["images"] == [str(tmp_path / "deep" / "a.png")]
    assert np.array_equal(pixels(Path(names[2])), pixels(tmp_path / "deep" / "a.png"))


def test_what_is_refused(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    assert "cannot paint" in run("paint", PROMPT, "-m", save_tiny(tmp_path / "pocket"), "-o", out).sentence
    for name in ("llava-1.5-7b", "dinov2-small"):  # nothing is fetched
        assert f"'{name}' cannot paint" in run("paint", PROMPT, "-m", name, "-o", out).sentence
    assert "vqgan.ckpt" in run("paint", PROMPT, "-m", "chameleon-7b", "-o", out).sentence
    assert "empty" in run("paint", " ", "-m", tiny, "-o", out).sentence
    assert "ends in .png" in run("paint", PROMPT, "-m", tiny, "-o", tmp_path / "a.jpg").sentence
    assert "count" in run("paint", PROMPT, "-m", tiny, "-o", out, "--count", 0).sentence
    assert "guidance" in run("paint", PROMPT, "-m", tiny, "-o", out, "--guidance", -2).sentence
    (tmp_path / "file").write_text("")
    assert "Could not write" in run("paint", PROMPT, "-m", tiny, "-o", tmp_path / "file" / "a.png").sentence
    assert not list(tmp_path.glob("*.png"))
