"""Videos in LLaVA-OneVision: 32 frames, each a tile, rows pooled, one newline; ids, pixels, logits and greedy tokens.

transformers' LlavaOnevisionVideoProcessor needs torchvision; the released code makes frames with SigLIP's image processor, and
so is done here. Places of a video are counted by `LlavaOnevisionProcessor`.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as hf
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from anyvlm import registry
from anyvlm.inputs.collate import collate
from anyvlm.inputs.film import Spread
from anyvlm.inputs.look import looked_at, pixels_of
from anyvlm.inputs.messages import Message, Picture, Video
from anyvlm.inputs.plan import plan
from anyvlm.inputs.video import Footage, Reel
from anyvlm.system import Checkpoint
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.whole import both, greedy, noise, theirs_greedy
from tests.zoo.test_llava_onevision_parity import NAME, SIDE, TIED, processor, system

OURS, FAST = both("<|im_start|>", "<|im_end|>", "<image>", "<video>")
VOCAB = len(FAST)


def reference(tied: bool) -> hf.LlavaOnevisionForConditionalGeneration:
    lm = hf.Qwen2Config(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, max_position_embeddings=4096, rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6}, tie_word_embeddings=tied,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    eye = hf.SiglipVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=SIDE, patch_size=14,
        vision_use_head=False,
    )  # fmt: skip
    points = [[SIDE * h, SIDE * w] for h in range(1, 7) for w in range(1, 7)]
    ids = {"image_token_index": OURS.id("<image>"), "video_token_index": OURS.id("<video>")}
    whole = hf.LlavaOnevisionConfig(
        text_config=lm, vision_config=eye, image_grid_pinpoints=points, tie_word_embeddings=tied, **ids
    )
    return stirred(hf.LlavaOnevisionForConditionalGeneration(whole))


@pytest.mark.parametrize("tied", TIED)
@torch.no_grad()
def test_whole(tied: bool, tmp_path: Path) -> None:
    """A video, and the same behind a picture, which keeps its tiles."""
    theirs = reference(tied)
    layouts = registry.system(NAME).checkpoints[0].layouts
    checkpoint = Checkpoint(source=Directory(path=str(saved(theirs, tmp_path))), layouts=layouts)
    spec = system().but(lm__vocab=VOCAB, lm__tied=tied, checkpoints=(checkpoint,), lm__context=4096)
    ours = load_module(spec, dtype=torch.float32).eval()
    frames, still = [noise(60, 40, seed=n) for n in range(11)], noise(100, 60, seed=99)
    video = Video(Reel(frames, 10.0))
    worst = 0.0
    for content in ((video, "What is it?"), (Picture(still), video, "What is it?")):
        messages = [Message("user", content)]
        media = looked_at(spec, messages)
        laid = plan(spec, OURS, messages, sizes=[each.size for each in media])
        arrays = pixels_of(spec, media, laid)
        batch = collate(spec, [laid], [arrays])
        seen = laid.pictures[-1].cut.frames
        assert seen == (0, 3, 6, 10)
        half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": SIDE, "width": SIDE}, "resample": 3}
        pixels = SiglipImageProcessorPil(**half)([frames[n] for n in seen], return_tensors="pt")["pixel_values"]
        assert np.array_equal(np.stack(arrays[-len(seen) :]), pixels.numpy())
        counter = SimpleNamespace(num_image_tokens=9, video_token="<video>")
        places = LlavaOnevisionProcessor.replace_video_token(counter, {"pixel_values_videos": pixels[None]}, 0)
        assert laid.video_tokens == 4 * 2 * 2 + 1
        shown = "<image>" * laid.image_tokens + "\n" * (len(content) - 2)
        text = spec.template.text([Message("user", ("What is it?",))]).replace("What", f"{shown}{places}\nWhat")
        inputs = dict(FAST(text, return_tensors="pt")) | {"pixel_values_videos": pixels[None]}
        assert list(laid.ids) == inputs["input_ids"][0].tolist()
        if len(content) > 2:
            inputs |= processor()([[still]], return_tensors="pt")
        worst = max(worst, gap(ours(batch), theirs(**inputs).logits))
        assert greedy(ours, batch, 32) == theirs_greedy(theirs, inputs, 32)
    assert worst <= 1e-5, worst
    for name in TIED[tied]:
        record("parity", f"llava-onevision-{name}", worst)


def test_frames_are_spread_as_released() -> None:
    """numpy's linspace, rounded down, as in `load_video` of LLaVA-NeXT's tutorial; short videos show frames twice."""
    assert registry.system(NAME).streams["image"].film.sampler == Spread(most=32)
    for total in (1, 5, 32, 100, 5001):
        ticks = tuple(range(total))
        cut = registry.system(NAME).streams["image"].film.cut(Footage(64, 48, ticks, ticks, 1, 25.0))
        assert list(cut.frames) == np.linspace(0, total - 1, 32, dtype=int).tolist()
        assert len(cut.sizes) == 32 and set(cut.sizes) == {(384, 384)}
    stream = registry.system(NAME).streams["image"]
    assert stream.rows(cut) == ((32, 14, 14), (1, 1, 1))  # 196 a frame
