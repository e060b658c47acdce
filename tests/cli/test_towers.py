"""`anyvlm classify` and `anyvlm embed`, on a tiny pair saved to disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anyvlm.inputs.prompts import IMAGENET
from anyvlm.weights.load import Loaded
from anyvlm.weights.save import save
from tests.commands import run
from tests.whole import noise
from tests.zoo.test_dual_laws import built


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("towers")
    for name, kind in (("softmax", "clip-vit-b-32"), ("sigmoid", "siglip-vit-b-16-224")):
        ours = built(kind)
        save(Loaded(ours.system, ours.module, ours.tokenizer), folder / name)
    for n in range(3):
        noise(40 + n, 30, n).save(folder / f"{n}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return folder


def model(place: Path, name: str = "softmax") -> tuple[str, ...]:
    return ("--model", str(place / name), "--device", "cpu", "--dtype", "fp32")


def test_classes(place: Path) -> None:
    words = ("classify", place / "0.png", place / "1.png", "--labels", "cat, dog,red sofa", *model(place))
    done = run(*words, "--json")
    assert done.code == 0, done
    said = json.loads(done.out)
    assert [row["image"] for row in said["pictures"]] == [str(place / "0.png"), str(place / "1.png")] and said["cut"] == {}
    want = built("clip-vit-b-32").classify([noise(40, 30, 0)], ["cat", "dog", "red sofa"])
    assert list(said["pictures"][0]["probabilities"]) == ["cat", "dog", "red sofa"]
    assert np.allclose(list(said["pictures"][0]["probabilities"].values()), want.probability[0].numpy(), atol=1e-5)
    assert said["pictures"][0]["best"] == want.best[0]
    shown = run(*words)
    assert shown.code == 0 and shown.out.count("%") == 6 and want.best[0] in shown.out.splitlines()[1]


def test_templates_and_labels_in_files(place: Path) -> None:
    (place / "labels.txt").write_text("cat\ndog\n\n")
    (place / "around.txt").write_text("art of {}\na {} at night\n")
    words = ("classify", place / "0.png", "--labels", place / "labels.txt", "--json", *model(place))
    more = ((), ("--templates", place / "around.txt"), ("--templates", "imagenet"))
    plain, own, eighty = (run(*words, *each) for each in more)
    chances = [json.loads(one.out)["pictures"][0]["probabilities"] for one in (plain, own, eighty)]
    assert chances[0].keys() == {"cat", "dog"} and len({round(each["cat"], 7) for each in chances}) == 3
    assert len(IMAGENET) == len(set(IMAGENET)) == 80


def test_what_cannot_be_classified(place: Path) -> None:
    picture, pair = place / "0.png", model(place)
    for words, said in (
        ((picture, "--labels", " , ", *pair), "no labels"),
        ((picture, "--labels", "cat", *pair), "one alone always has probability 1"),
        ((picture, "--labels", "a,b,a", *pair), "given twice"),
        ((picture, "--labels", "a,b", "--model", "clip-vit-b-23"), "nearest are clip-vit-b-32"),
        ((picture, "--labels", "a,b", "--model", "dinov2-small"), "no towers"),
        ((place / "broken.png", "--labels", "a,b", *pair), "damaged"),
        ((place / "gone.png", "--labels", "a,b", *pair), "no file"),
        ((picture, "--labels", "a,b", "--templates", place / "no.txt", *pair), "cannot be read as text"),
    ):
        assert said in run("classify", *words).sentence
    assert run("classify", picture, "--labels", "cat", *model(place, "sigmoid")).code == 0
    long = run("classify", picture, "--labels", f"cat,{'x' * 200}", *pair)
    assert long.code == 0 and "too long for the model" in long.err


def test_vectors_on_stdout_and_stdin(place: Path) -> None:
    lines = [{"image": str(place / "1.png")}, {"text": "a cat"}]
    stdin = "\n".join(map(json.dumps, lines)).encode()
    done = run("embed", place / "0.png", "two dogs", "y" * 90, "--jsonl", "-", *model(place), stdin=stdin)
    assert done.code == 0, done
    out = [json.loads(line) for line in done.out.splitlines()]
    assert [next(iter(line)) for line in out] == ["image", "text", "text", "image", "text"]
    ours = built("clip-vit-b-32").embed([noise(40, 30, 0), noise(41, 30, 1)], ["two dogs", "y" * 90, "a cat"])
    want = [ours.images[0], ours.texts[0], ours.texts[1], ours.images[1], ours.texts[2]]
    assert all(np.allclose(line["vector"], point.numpy(), atol=1e-5) for line, point in zip(out, want, strict=True))
    assert [line.get("cut", 0) > 0 for line in out] == [False, False, True, False, False]


def test_a_broken_picture_stops_nothing(place: Path) -> None:
    words = ("embed", place / "0.png", place / "broken.png", place / "gone.png", "a cat")
    done = run(*words, "-o", place / "points.npy", *model(place))
    assert done.code == 0 and "broken.png" in done.err and "There is no file" in done.err
    rows, said = np.load(place / "points.npy"), (place / "points.npy.jsonl").read_text().splitlines()
    assert rows.shape == (4, 32) and np.isnan(rows).all(1).tolist() == [False, True, True, False]
    assert ["error" in json.loads(line) for line in said] == [False, True, True, False]
    assert not (place / ".points.npy.part").exists()
    assert "Nothing could be embedded" in run("embed", place / "broken.png", *model(place)).err


def test_it_goes_on_where_it_was(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("embed", place / "0.png", place / "1.png", "a cat", place / "2.png", "-o", place / "kept.jsonl", *model(place))
    whole = run(*words)
    assert whole.code == 0
    before = (place / "kept.jsonl").read_text()
    (place / "kept.jsonl").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("anyvlm.generate.embed.write_points", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(*words).code == 130
    part = place / ".kept.jsonl.part"
    assert not (place / "kept.jsonl").exists() and len(part.read_text().splitlines()) == 5
    part.write_bytes(part.read_bytes()[:-20])  # the last line cut off, as by a kill
    counted: list[int] = []
    from anyvlm.generate.dual import DualModel

    inner = DualModel.point_arrays
    monkeypatch.setattr(DualModel, "point_arrays", lambda self, arrays: counted.append(len(arrays)) or inner(self, arrays))
    assert run(*words).code == 0 and sum(counted) == 1  # only what was cut off
    again = [json.loads(line) for line in (place / "kept.jsonl").read_text().splitlines()]
    for a, b in zip(again, map(json.loads, before.splitlines()), strict=True):
        assert a.keys() == b.keys() and np.allclose(a["vector"], b["vector"], atol=1e-6)
    (place / ".kept.jsonl.part").write_text('{"model": "another", "spec": "x"}\n')
    assert "another computed; delete it" in run(*words).sentence


def test_workers_decode_the_same(place: Path) -> None:
    pictures = [place / f"{n}.png" for n in range(3)]
    outs = [run("embed", *pictures, place / "broken.png", "--workers", n, *model(place)) for n in (0, 2)]
    assert outs[0].code == outs[1].code == 0 and outs[0].out == outs[1].out


def test_what_cannot_be_embedded(place: Path) -> None:
    for words, said in (
        ((), "nothing to embed"),
        (("a cat", "-o", place / "out.csv"), "must end in .npy or .jsonl"),
        (("a cat", "-o", place / "no" / "out.npy"), "no directory"),
        (("--jsonl", place / "no.jsonl"), "cannot be read"),
    ):
        assert said in run("embed", *words, *model(place)).sentence
    assert "Line 1 of - is not of the form" in run("embed", "--jsonl", "-", *model(place), stdin=b'{"cat": 1}').sentence
