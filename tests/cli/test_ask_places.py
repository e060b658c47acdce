"""`ask` of a model that writes boxes, points and masks: lines for people, JSON, a picture. The ids it says are told to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import tokenizers
import torch
from PIL import Image
from tokenizers import decoders, models, pre_tokenizers

from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.registry import system
from anyvlm.system import System
from anyvlm.tiny import tiny
from anyvlm.weights.load import Loaded
from anyvlm.weights.save import save
from tests.commands import Done, run
from tests.parts.mask_weights import weights
from tests.saved import save_tiny

TAGS = ("<phrase>", "</phrase>", "<object>", "</object>", "</delimiter_of_multi_objects/>")
CELLS = tuple(f"<patch_index_{n:04d}>" for n in range(1024))
STEPS = tuple(f"<loc{n:04d}>" for n in range(1024)) + tuple(f"<seg{n:03d}>" for n in range(128))


def tokenizer(found: System, words: Sequence[str], end: str) -> Tokenizer:
    """Bytes, the control tokens of the system, and the words it writes places with."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE(vocab={char: id for id, char in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    inner.add_special_tokens([*found.template.specials, found.placeholder])
    inner.add_tokens([tokenizers.AddedToken(word, normalized=False) for word in words])
    return Tokenizer(inner, eos=(end,))


def saved(name: str, words: Sequence[str], end: str, folder: Path) -> tuple[Path, Tokenizer]:
    whole = system(name)
    assert isinstance(whole, System)
    spec = tiny(whole, vocab=256 + 8 + len(words)).but(name=f"tiny-{name}", lm__context=2048)
    torch.manual_seed(0)
    save(Loaded(spec, spec.build().eval(), made := tokenizer(spec, words, end)), folder)
    return folder, made


@pytest.fixture(scope="module")
def kosmos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokenizer]:
    return saved("kosmos-2", TAGS + CELLS, "</s>", tmp_path_factory.mktemp("models") / "kosmos")


@pytest.fixture(scope="module")
def paligemma(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokenizer]:
    return saved("paligemma-3b-mix-224", STEPS, "<eos>", tmp_path_factory.mktemp("models") / "paligemma")


@pytest.fixture(scope="module")
def fuyu(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokenizer]:
    words = ("|NEWLINE|", "<0x00>", "<0x01>", "<0x02>", "<0x03>", *map(str, range(100, 200)))
    return saved("fuyu-8b", words, "|ENDOFTEXT|", tmp_path_factory.mktemp("models") / "fuyu")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.effect_noise((320, 160), 80).convert("RGB").save(tmp_path / "a.png")
    return tmp_path / "a.png"


@contextmanager
def saying(text: str, told: Tokenizer) -> Iterator[None]:
    """The model will say this and end."""
    ids = iter([*told._inner.encode(text, add_special_tokens=False).ids, min(told.eos)])
    with patch("anyvlm.generate.engine.choose", lambda *_: torch.tensor([next(ids)])):
        yield


DOG = "a<phrase> dog</phrase><object><patch_index_0000><patch_index_0527></object>."
DOG_LINE = "dog: 5.0, 2.5, 155.0, 82.5"


def ask(model: tuple[Path, Tokenizer], text: str, *words: object) -> Done:
    with saying(text, model[1]):
        return run("ask", *words, "-m", model[0], "--device", "cpu", "--dtype", "fp32")


def test_lines_for_people(kosmos: tuple[Path, Tokenizer], picture: Path) -> None:
    done = ask(kosmos, DOG, picture, "This is")
    assert (done.out, done.err) == (f"a dog.\n{DOG_LINE}\n", "")
    assert ask(kosmos, "a dog.", picture, "This is").out == "a dog.\n"
    assert ask(kosmos, DOG, "This is").out == f"{DOG}\n"  # without a picture there is nothing to be placed in


def test_json(kosmos: tuple[Path, Tokenizer], picture: Path) -> None:
    said = json.loads(ask(kosmos, DOG, picture, "This is", "--json").out)
    assert said["text"] == "a dog."
    assert said["boxes"] == [{"label": "dog", "xyxy": [5.0, 2.5, 155.0, 82.5], "score": None, "span": [2, 5]}]
    assert said["points"] == [] == said["masks"]


def test_masks(paligemma: tuple[Path, Tokenizer], picture: Path, tmp_path: Path) -> None:
    text = "<loc0000><loc0000><loc1023><loc0512>" + "".join(f"<seg{n:03d}>" for n in range(16)) + " cat"
    (coded,) = json.loads(ask(paligemma, text, picture, "segment cat", "--json").out)["masks"]
    assert coded["label"] == "cat" and coded["ids"] == list(range(16)) and coded["rle"] is None is coded["area"]
    assert "--masks" in ask(paligemma, text, picture, "segment cat").out
    np.savez(tmp_path / "vae-oid.npz", **weights())
    words = (picture, "segment cat", "--masks", tmp_path / "vae-oid.npz")
    (mask,) = json.loads(ask(paligemma, text, *words, "--json").out)["masks"]
    height, width = mask["rle"]["size"]
    pixels = np.repeat(np.arange(len(mask["rle"]["counts"])) % 2, mask["rle"]["counts"]).reshape(width, height).T
    assert (height, width) == (160, 320) and pixels.sum() == mask["area"] > 0 and not pixels[:, 161:].any()
    out = tmp_path / "out.png"
    assert f"mask of cat: {mask['area']} pixels\n" in ask(paligemma, text, *words, "--draw", out).out
    changed = (np.asarray(Image.open(out)) != np.asarray(Image.open(picture))).any(-1)
    assert changed[pixels == 1].mean() > 0.99


def test_points(fuyu: tuple[Path, Tokenizer], picture: Path, tmp_path: Path) -> None:
    text = "see <0x02>120140<0x03><0x00>101102103104<0x01>"
    done = ask(fuyu, text, picture, "where?", "--draw", tmp_path / "out.png")
    assert done.out == (
        "see <point>240, 280</point><box>202, 204, 206, 208</box>\nbox: 204.0, 202.0, 208.0, 206.0\npoint: 240.0, 280.0\n"
    )
    said = json.loads(ask(fuyu, text, picture, "where?", "--json").out)
    assert said["points"] == [{"label": "", "xy": [240.0, 280.0]}] and said["boxes"][0]["xyxy"] == [204.0, 202.0, 208.0, 206.0]


def test_draw(kosmos: tuple[Path, Tokenizer], picture: Path, tmp_path: Path) -> None:
    for name in ("out.png", "out.jpg", "out.webp"):
        assert ask(kosmos, DOG, picture, "This is", "--draw", tmp_path / name).code == 0
        assert Image.open(tmp_path / name).size == (320, 160)
    changed = (np.asarray(Image.open(tmp_path / "out.png")) != np.asarray(Image.open(picture))).any(-1)
    assert changed[2:83, 5].all() and changed[82, 5:155].all() and not changed[90:].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "out.jpg", "out.png", "out.webp"]
    ask(kosmos, "nothing", picture, "This is", "--draw", tmp_path / "out.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(Image.open(picture)))


def test_what_cannot_be_drawn(kosmos: tuple[Path, Tokenizer], picture: Path, tmp_path: Path) -> None:
    assert "needs a picture" in run("ask", "Hi", "--draw", tmp_path / "out.png", "-m", kosmos[0]).sentence
    assert "must end in" in run("ask", picture, "Hi", "--draw", tmp_path / "out.txt", "-m", kosmos[0]).sentence
    words = ("-m", save_tiny(tmp_path / "tiny"))
    assert "writes no boxes" in run("ask", picture, "Hi", "--draw", tmp_path / "out.png", *words).sentence
    assert "writes no masks" in run("ask", picture, "Hi", "--masks", picture, *words).sentence
    assert not (tmp_path / "out.png").exists()
