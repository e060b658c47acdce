"""Videos in SmolVLM2: frames and text of transformers' processors; prompt ids, pixels, logits and greedy tokens.

`golden/smolvlm_video.json` was written by transformers 5.23 (`SmolVLMVideoProcessor.sample_frames`,
`SmolVLMProcessor.replace_video_token` with two rows a frame) beside torchvision 0.28 and num2words 0.5.14, which are not among
our tests' packages. Pixels are those of the image processor with one tile, as in the code released with the models; today's
video processor resizes with torchvision, at most two steps of 255 apart.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

from anyvlm import registry
from anyvlm.inputs.collate import collate
from anyvlm.inputs.film import in_words
from anyvlm.inputs.look import looked_at, pixels_of
from anyvlm.inputs.messages import Message, Video
from anyvlm.inputs.plan import plan
from anyvlm.inputs.video import Footage, Reel
from anyvlm.weights.load import load_module
from tests.parity import gap, record, saved
from tests.whole import greedy, noise, theirs_greedy
from tests.zoo.test_idefics3_parity import CASES, NAMED, reference, small

NAMES = ("smolvlm2-2.2b", "smolvlm2-256m", "smolvlm2-500m")
GOLDEN = json.loads((Path(__file__).parent / "golden" / "smolvlm_video.json").read_text())


def footage(total: int, rate: float, size: tuple[int, int] = (64, 48)) -> Footage:
    ticks = tuple(range(total))
    return Footage(*size, ticks, ticks, 1 / Fraction(rate), rate)


@pytest.mark.parametrize("name", NAMES)
def test_frames(name: str) -> None:
    film = registry.system(name).streams["image"].film
    for row in GOLDEN["frames"]:
        wish = None if row["fps"] == 1 else row["fps"]
        assert list(film.cut(footage(row["total"], row["rate"]), wish, row["most"]).frames) == row["frames"]
    assert len(GOLDEN["frames"]) == 12


def test_text() -> None:
    """How many frames, how long, and when: written out."""
    film = registry.system("smolvlm2-256m").streams["image"].film
    for row in GOLDEN["texts"]:
        cut = film.cut(footage(row["total"], row["rate"]), None, row["most"])
        lines = film.script.lines(cut, ((len(cut.frames), 1, 2),))
        assert "".join(line if isinstance(line, str) else written(line) for line in lines) == row["text"]


def written(cells: tuple[object, ...]) -> str:
    return "".join(cell if isinstance(cell, str) else "<image>" * (cell[1] * cell[2]) for cell in cells)


def test_numbers_in_words() -> None:
    """As num2words writes them."""
    some = {0: "zero", 13: "thirteen", 64: "sixty-four", 100: "one hundred", 768: "seven hundred and sixty-eight"}
    some |= {1005: "one thousand and five", 12345: "twelve thousand, three hundred and forty-five"}
    assert {number: in_words(number) for number in some} == some


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_whole(name: str, tmp_path: Path) -> None:
    theirs = reference(name)
    system = small(name, saved(theirs, tmp_path), 3)
    side = system.streams["image"].policy.one.size[0]
    tile = {"one__size": (side, side), "longest": side}
    system = system.but(**{f"streams__image__film__policy__{field}": value for field, value in tile.items()})
    ours = load_module(system, dtype=torch.float32).eval()
    tokenizer, fast = NAMED
    frames = [noise(90, 40, seed=n) for n in range(9)]
    messages = [Message("user", (Video(Reel(frames, 3.0)), "What is it?"))]
    media = looked_at(system, messages)
    laid = plan(system, tokenizer, messages, sizes=[each.size for each in media])
    arrays = pixels_of(system, media, laid)
    batch = collate(system, [laid], [arrays])
    seen = laid.pictures[0].cut.frames
    assert seen == (0, 4, 8)
    film, rows = system.streams["image"].film, (CASES[name][0] // CASES[name][1]) ** 2
    lines = film.script.lines(laid.pictures[0].cut, ((3, 1, rows),))
    told = "".join(line if isinstance(line, str) else written(line) for line in lines)
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What is it?"}]}]
    text = fast.apply_chat_template(chat, chat_template=DEFAULT_CHAT_TEMPLATE, add_generation_prompt=True, tokenize=False)
    assert text.startswith("<|im_start|>User: <video>What")
    inputs = dict(fast(text.replace("<video>", told), return_tensors="pt"))
    assert list(laid.ids) == inputs["input_ids"][0].tolist()
    processor = SmolVLMImageProcessorPil(size={"longest_edge": side}, max_image_size={"longest_edge": side})
    pixels = processor([[frames[n] for n in seen]], return_tensors="pt", do_image_splitting=False)
    assert np.array_equal(np.stack(arrays), pixels["pixel_values"][0].numpy())
    inputs |= {key: pixels[key] for key in ("pixel_values", "pixel_attention_mask")}
    worst = gap(ours(batch), theirs(**inputs).logits)
    assert worst <= 1e-5, worst
    assert greedy(ours, batch, 32) == theirs_greedy(theirs, inputs, 32)
    assert laid.video_tokens == 3 * rows and laid.image_tokens == 0
    record("parity", name, worst)
