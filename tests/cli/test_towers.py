"""`anyvlm classify` and `anyvlm embed`, on a tiny pair saved to disk."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from anyvlm.errors import InputError
from anyvlm.generate.regions import point_regions
from anyvlm.generate.uncertain import look_images, uncertainties
from anyvlm.inputs.prompts import IMAGENET
from anyvlm.inputs.sound import read_sound
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

    inner = DualModel.look_arrays
    monkeypatch.setattr(DualModel, "look_arrays", lambda self, arrays: counted.append(len(arrays)) or inner(self, arrays))
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
        (("a cat", "-o", place / "out.csv"), "must end in .npy, .jsonl or .parquet"),
        (("a cat", "-o", place / "no" / "out.npy"), "no directory"),
        (("--jsonl", place / "no.jsonl"), "cannot be read"),
    ):
        assert said in run("embed", *words, *model(place)).sentence
    assert "Line 1 of - is not of the form" in run("embed", "--jsonl", "-", *model(place), stdin=b'{"cat": 1}').sentence


@pytest.fixture(scope="module")
def senses(place: Path) -> Path:
    """Systems that hear, see regions, and say how sure they are; a tone of half a second."""
    for name, kind in (("senses", "imagebind-huge"), ("regions", "alpha-clip-b-16"), ("unsure", "prolip-b-16")):
        ours = built(kind)
        save(Loaded(ours.system, ours.module, ours.tokenizer), place / name)
    tone = (12000 * np.sin(np.arange(11025) * 2 * np.pi * 440 / 22050)).astype("<i2")
    with wave.open(str(place / "tone.wav"), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(22050)
        file.writeframes(tone.tobytes())
    (place / "broken.wav").write_bytes(b"RIFF....WAVE")
    return place


def test_sounds_and_other_senses(senses: Path) -> None:
    np.save(senses / "depth.npy", np.zeros((1, 24, 24), np.float32))
    words = ("embed", senses / "tone.wav", senses / "0.png", "a dog", senses / "broken.wav", *model(senses, "senses"))
    done = run(*words)
    assert done.code == 0 and "no sound that can be read" in done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [next(iter(line)) for line in lines] == ["audio", "image", "text", "audio"]
    assert "error" in lines[3] and all(abs(np.linalg.norm(line["vector"]) - 1) < 1e-5 for line in lines[:3])
    heard = read_sound(senses / "tone.wav", 16000)
    assert heard.shape[0] == 1 and abs(heard.shape[1] - 8000) < 100 and 0.3 < abs(heard).max() < 0.5
    assert "has image, text" in run("embed", senses / "tone.wav", *model(senses)).err


def test_what_a_sound_may_not_be(senses: Path) -> None:
    noise(30, 20, 1).save(senses / "picture.wav", "PNG")
    (senses / "empty.wav").touch()
    for name, said in (("picture.wav", "sound"), ("empty.wav", "0 bytes"), ("gone.wav", "no")):
        with pytest.raises(InputError, match=said):
            read_sound(senses / name, 16000)


def test_parquet_holds_what_lines_say(senses: Path) -> None:
    out = senses / "points.parquet"
    words = ("embed", senses / "0.png", "a cat", senses / "broken.png", *model(senses, "unsure"))
    assert run(*words, "-o", out).code == 0
    said = [json.loads(line) for line in run(*words).out.splitlines()]
    table = pq.read_table(out)
    assert table["kind"].to_pylist() == ["image", "text", "image"] and table["error"].to_pylist()[2]
    for row, line in zip(table.to_pylist()[:2], said, strict=False):
        assert np.allclose(row["vector"], line["vector"], atol=1e-6)
    assert table["uncertainty"].to_pylist()[0] == pytest.approx(said[0]["uncertainty"], rel=1e-5)


def test_a_region_is_looked_at(senses: Path) -> None:
    words = ("classify", senses / "0.png", "--labels", "cat,dog", "--json", *model(senses, "regions"))
    ours = built("alpha-clip-b-16")
    mask = np.zeros((30, 40), bool)
    mask[5:25, 10:30] = True
    Image.fromarray(mask).save(senses / "mask.png")
    want = ours.classify_points(point_regions(ours, [noise(40, 30, 0)], [mask]), ["cat", "dog"]).probability[0]
    for region in ("10,5,30,25", str(senses / "mask.png")):
        done = run(*words, "--region", region)
        assert np.allclose(list(json.loads(done.out)["pictures"][0]["probabilities"].values()), want.numpy(), atol=1e-5)
    for region, said in (("1,2,3", "is no region"), ("10,5,90,25", "does not lie in a picture of 40 x 30")):
        assert said in run(*words, "--region", region).sentence
    assert "sees whole pictures only" in run(*words[:-6], "--region", "1,1,9,9", *model(senses)).sentence
    assert "There are 2 regions for 1 pictures" in run(*words, "--region", "1,1,9,9", "--region", "1,1,9,9").sentence


def test_how_sure_a_model_is(senses: Path) -> None:
    words = ("classify", senses / "0.png", senses / "1.png", "--labels", "cat,dog", *model(senses, "unsure"))
    said = [row["uncertainty"] for row in json.loads(run(*words, "--json").out)["pictures"]]
    ours = built("prolip-b-16")
    want = uncertainties(ours, look_images(ours, [noise(40, 30, 0), noise(41, 30, 1)])).tolist()
    assert said == pytest.approx(want, rel=1e-4) and run(*words).out.count("uncertainty") == 2
