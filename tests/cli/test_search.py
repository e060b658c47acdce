"""`index`, `search` and `evaluate` from the command line, on a tiny pair of towers in a directory."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from anyvlm import registry
from anyvlm.dual import DualSystem
from anyvlm.inputs.text import TextPolicy
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import Loaded
from anyvlm.weights.save import save
from tests.commands import run
from tests.search.colours import COLOURS, paint
from tests.whole import bytes_and


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return towers(tmp_path_factory.mktemp("model") / "tiny", 0)


def towers(folder: Path, seed: int) -> Path:
    """A tiny CLIP with random weights."""
    torch.manual_seed(seed)
    named = registry.system("clip-vit-b-32")
    assert isinstance(named, DualSystem)
    system = tiny_dual(named).but(tokenizer=None, name="tiny-clip")
    policy = system.towers["text"].policy
    assert isinstance(policy, TextPolicy)
    inner = bytes_and(*{token for token in (policy.first, policy.last, policy.pad) if token})
    save(Loaded(system, system.build().eval(), Tokenizer(inner)), folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in COLOURS.items():
        paint(tmp_path / "pictures" / "some & others" / f"{name}.png", colour)
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "pictures"


def index(folder: Path, model: Path, *more: str) -> dict[str, object]:
    done = run("index", folder, "--model", model, "--device", "cpu", "--json", *more)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_index_then_search(folder: Path, model: Path, tmp_path: Path) -> None:
    report = index(folder, model)
    assert (report["embedded"], report["model"], list(report["broken"])) == (4, "tiny-clip", ["broken.png"])
    assert index(folder, model)["embedded"] == 0
    done = run("index", folder, "--model", model, "--device", "cpu")
    assert "0 embedded" in done.out and "left out: broken.png" in done.err

    blue = folder / "some & others" / "blue.png"
    found = json.loads(run("search", folder, blue, "--top", 2, "--json").out)  # the model comes from the index
    assert found["model"] == "tiny-clip" and len(found["results"]) == 2
    assert found["results"][0]["path"] == "some & others/blue.png" and found["results"][0]["score"] > 0.999
    done = run("search", folder / ".anyvlm-index", "a sea", "--not", "a field", "--html", tmp_path / "page.html")
    assert done.code == 0 and len(done.out.splitlines()) == 4, done.err
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img ") == 4 and "a sea, not a field" in page
    assert "some &amp; others/blue.png" in page and ">blue.png<" in page
    outside = re.findall(r"(?:src|href|url)\s*[=(]\s*\"?([^\"\s>)]+)", page)
    assert outside and all(address.startswith(("data:image/jpeg;base64,", "file://")) for address in outside)
    assert "<script" not in page


def test_duplicates(folder: Path, model: Path, tmp_path: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "some & others" / "red.png").read_bytes())
    index(folder, model, "--out", str(tmp_path / "index"))
    words = ("search", tmp_path / "index", "--duplicates", "--threshold", 1, "--html", tmp_path / "page.html")
    found = json.loads(run(*words, "--json").out)
    assert found["groups"] == [["copy.png", "some & others/red.png"]]
    assert "2 alike" in (tmp_path / "page.html").read_text() and "copy.png" in run(*words).out


def test_what_goes_wrong_is_one_sentence(folder: Path, model: Path, tmp_path: Path) -> None:
    index(folder, model)
    assert "no folder" in run("index", tmp_path / "nowhere").sentence
    assert "--batch must" in run("index", folder, "--batch", 0).sentence
    assert "puts pictures" in run("index", folder, "--model", "anyvlm-pocket").sentence.replace("does not put", "puts")
    assert "There is no index at" in run("search", tmp_path, "x").sentence
    assert "nothing to search for" in run("search", folder).sentence
    assert "--top must" in run("search", folder, "x", "--top", 0).sentence
    assert "leave out" in run("search", folder, "x", "--duplicates").sentence
    assert "cancel out" in run("search", folder, "x", "--not", "x").sentence
    other = towers(tmp_path / "other", 1)
    said = run("search", folder, "x", "--model", other).sentence
    assert "made by tiny-clip with other weights" in said
    assert "other weights" in run("index", folder, "--model", other).sentence


def test_evaluate(folder: Path, model: Path, tmp_path: Path) -> None:
    (folder / "more").mkdir()
    paint(folder / "more" / "white.png", (255, 255, 255))
    done = run("evaluate", folder, "--model", model, "--device", "cpu", "--json")
    found = json.loads(done.out)
    assert found["task"] == "classify" and found["count"] == 5
    assert set(found["metrics"]) == {"acc1", "mean_per_class_recall"}
    assert run("evaluate", folder, "--model", model, "--templates", "imagenet").out.count("(") == 2
    (folder / "pairs.csv").write_text("image,caption\n" + "".join(f"some & others/{name}.png,{name}\n" for name in COLOURS))
    found = json.loads(run("evaluate", folder / "pairs.csv", "--model", model, "--device", "cpu", "--json").out)
    assert found["task"] == "retrieve" and found["metrics"]["text_retrieval_recall@5"]["value"] == 1.0
    assert "no task 'draw'" in run("evaluate", folder, "--task", "draw").sentence
    assert "There is no data set" in run("evaluate", tmp_path / "x").sentence
    assert "no templates 'x'" in run("evaluate", folder, "--templates", "x").sentence
