"""Videos in Qwen2-VL and Qwen2.5-VL: frames, sizes and seconds of the authors' code; ids, pixels, positions, logits, tokens.

`golden/qwen_video.json` was written by the authors' qwen-vl-utils 0.0.10 (`fetch_video`, its reader replaced by one that
numbers frames) on torchvision 0.28, outside this repository; `tokens` is its VIDEO_TOTAL_PIXELS / 784. What it does to the
pixels of a frame is written out here, as torchvision is not among our tests' packages. (transformers' Qwen2VLVideoProcessor,
with its own resize of bytes, differs by more on noise: it rounds between the passes, like Pillow.)
"""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from PIL import Image
from torch import Tensor

from anyvlm import registry
from anyvlm.generate.engine import Engine
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.collate import collate
from anyvlm.inputs.look import looked_at, pixels_of
from anyvlm.inputs.messages import Message, Picture, Video
from anyvlm.inputs.native import Native
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.video import Footage, Reel
from anyvlm.system import Batch, System
from tests.parity import gap, record
from tests.zoo.test_qwen_vl_parity import ID, KIND, NAMES, Silent, blocked, family, inner, ours, picture, reference, tokenizer

GOLDEN = json.loads((Path(__file__).parent / "golden" / "qwen_video.json").read_text())
FRAME = Native(least=28 * 28, most=28 * 28 * 12, rounds="last")
AUTHORS = "qwen-vl-utils 0.0.10"


@pytest.mark.parametrize("name", ["qwen2-vl-7b-instruct", "qwen2.5-vl-7b-instruct"])
def test_frames_and_sizes_are_the_authors(name: str) -> None:
    film = registry.system(name).streams["image"].film
    tokens = {"qwen2-vl": 24_576, "qwen2.5-vl": 115_200}[family(name)]
    rows = [row for row in GOLDEN if row["tokens"] == tokens]
    for row in rows:
        ticks = tuple(range(row["total"]))
        footage = Footage(*row["size"], ticks, ticks, 1 / Fraction(row["rate"]), row["rate"])
        cut = film.cut(footage, row["wish"].get("fps"), row["wish"].get("max_frames"))
        assert list(cut.frames) == row["frames"] and set(cut.sizes) == {tuple(row["resized"])}
        assert film.step(cut, 2) == (pytest.approx(2 * row["spg"], rel=1e-12) if film.pace else 1.0)
    assert len(rows) == 11
    for entry in (entry for entry in NAMES if family(entry) == family(name)):
        record("golden", entry, 0.0, f"{AUTHORS}, frames of videos")


def small(name: str, folder: Path) -> tuple[hf.PreTrainedModel, System, torch.nn.Module]:
    theirs = reference(name)
    loaded = ours(name, theirs, folder)
    return theirs, loaded.system.but(streams__image__film__policy=FRAME), loaded.module


def reel(frames: int, width: int, height: int, rate: float) -> Reel:
    return Reel([picture(width, height, seed) for seed in range(frames)], rate)


def laid_out(system: System, *content: str | Picture | Video) -> tuple[Plan, Batch]:
    messages = [Message("user", content)]
    media = looked_at(system, messages)
    laid = plan(system, tokenizer(), messages, sizes=[each.size for each in media])
    return laid, collate(system, [laid], [pixels_of(system, media, laid)])


def by_hand(frame: Image.Image, size: tuple[int, int]) -> Tensor:
    """A frame as torchvision makes it for the released model: bicubic with antialiasing in fp32, rounded to bytes, normed."""
    x = torch.from_numpy(np.asarray(frame).copy()).permute(2, 0, 1)[None].float()
    x = F.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 255).round()[0]
    mean, std = (torch.tensor(values)[:, None, None] for values in (FRAME.mean, FRAME.std))
    return (x / 255 - mean) / std


@pytest.mark.parametrize("size", [(90, 60), (30, 200), (640, 360)])
def test_pixels(size: tuple[int, int]) -> None:
    """Equal but where a value lies on the edge between two bytes."""
    frame = picture(*size)
    (array,) = FRAME.arrays(frame)
    step = 1 / 255 / min(FRAME.std)
    difference = (torch.from_numpy(array) - by_hand(frame, FRAME.plan(*size))).abs()
    assert float(difference.max()) <= 1.01 * step and float((difference > 0.01 * step).float().mean()) < 1e-3


def inputs(name: str, laid: Plan, batch: Batch, text: str) -> hf.BatchFeature:
    """What transformers' processor makes of the question, with our pixels in its order of rows."""
    media, spans = batch.media["image"], iter(laid.spans)
    for pad in ("<|video_pad|>" if kind == 2 else "<|image_pad|>" for kind in kinds_of(laid)):
        text = text.replace(f"<{pad[2:7]}>", f"<|vision_start|>{pad * next(spans).length}<|vision_end|>", 1)
    before = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    ids_BT = torch.tensor([inner().encode(f"{before}{text}<|im_end|>\n<|im_start|>assistant\n").ids])
    types_BT = (ids_BT == ID["<|image_pad|>"]).int() + 2 * (ids_BT == ID["<|video_pad|>"]).int()
    out = {"input_ids": ids_BT, "mm_token_type_ids": types_BT, "attention_mask": torch.ones_like(ids_BT)}
    items = zip(media.x_NC.split([t * h * w for t, h, w in media.grids]), media.grids, media.cuts, strict=True)
    for x_NC, grid, cut in items:
        kind = ("pixel_values_videos", "video_grid_thw") if cut.frames else ("pixel_values", "image_grid_thw")
        out |= {kind[0]: blocked(x_NC, [grid]), kind[1]: torch.tensor([grid])}
        if cut.frames and name == "qwen2.5-vl":
            out["second_per_grid_ts"] = torch.tensor([2 / (len(cut.frames) / cut.duration)])
    return hf.BatchFeature(out)


def kinds_of(laid: Plan) -> list[int]:
    return [laid.kinds[span.start] for span in laid.spans]


@pytest.mark.parametrize("name", KIND)
@torch.no_grad()
def test_whole(name: str, tmp_path: Path) -> None:
    """A picture and a video whose time goes no further than its width: there transformers counts as the released code."""
    theirs, system, module = small(name, tmp_path)
    laid, batch = laid_out(system, "See ", Picture(picture(60, 90)), "and ", Video(reel(9, 150, 40, 3.0)), "what is it?")
    asked = inputs(name, laid, batch, "See <image>and <video>what is it?")
    assert kinds_of(laid) == [1, 2] and laid.video_tokens and laid.image_tokens
    assert list(laid.ids) == asked["input_ids"][0].tolist()
    grids = ("mm_token_type_ids", "image_grid_thw", "video_grid_thw", "second_per_grid_ts")
    places, _ = theirs.model.get_rope_index(asked["input_ids"], **{key: asked[key] for key in grids if key in asked})
    assert torch.equal(batch.pos_PBT, places)
    worst = gap(module(batch), theirs(**asked).logits)
    out = theirs.generate(**asked, max_new_tokens=32, do_sample=False, return_dict_in_generate=True, output_logits=True)
    ids = out.sequences[0, len(laid) :].tolist()
    deltas = Engine(module).generate(batch, Sampling(max_tokens=32), decoders=[Silent()], ends=())
    assert [delta.id for delta in deltas] == ids and len(ids) == 32
    logits, steps = Engine(module)._prefill(batch, None, 32)
    for id, want in zip(ids, out.logits, strict=True):
        worst = max(worst, gap(logits, want))
        logits = steps.next(torch.tensor([id]))
    assert worst <= 1e-5, worst
    for entry in (entry for entry in NAMES if family(entry) == name):
        record("parity", entry, worst)


@pytest.mark.parametrize("name", KIND)
@torch.no_grad()
def test_long_video(name: str, tmp_path: Path) -> None:
    """Behind a video that lasts, text goes on after its last moment, as in the code released with the models.

    transformers 5 goes on after its width and height alone; with our positions it gives our logits.
    """
    theirs, system, module = small(name, tmp_path)
    laid, batch = laid_out(system, Video(reel(40, 30, 30, 2.0)), "what?")
    asked = inputs(name, laid, batch, "<video>what?")
    (span,) = laid.spans
    last = int(batch.pos_PBT[0, 0, span.start + span.length - 1])
    assert int(batch.pos_PBT[0, 0, span.start + span.length]) == last + 1
    assert last - span.start == (38 if name == "qwen2.5-vl" else 19)
    assert gap(module(batch), theirs(**asked, position_ids=batch.pos_PBT).logits) <= 1e-5
    assert gap(module(batch), theirs(**asked).logits) > 1e-3


@pytest.mark.parametrize("name", KIND)
@torch.no_grad()
def test_seconds_scale_time(name: str, tmp_path: Path) -> None:
    """Half the rate: in Qwen2.5-VL twice the distance between moments, in Qwen2-VL none."""
    _, system, module = small(name, tmp_path)
    frames = reel(8, 60, 60, 1.0).pictures
    (_, slow), (_, fast) = (laid_out(system, Video(Reel(frames, rate), fps=rate), "?") for rate in (1.0, 2.0))
    assert torch.equal(slow.media["image"].x_NC, fast.media["image"].x_NC)
    spread = [int(batch.pos_PBT[0].max() - batch.pos_PBT[1].max()) for batch in (slow, fast)]
    assert spread == [0, 0]  # both go on behind the last moment
    times = [batch.pos_PBT[0, 0, batch.kind_BT[0] == 2].unique() for batch in (slow, fast)]
    steps = [int(time[1] - time[0]) for time in times]
    assert steps == ([4, 2] if name == "qwen2.5-vl" else [1, 1])
    assert torch.equal(module(slow), module(replace(fast, pos_PBT=slow.pos_PBT)))
