"""LLaVA-OneVision equals transformers': names at full size, pixels of one picture and of several, logits, greedy tokens."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

from anyvlm import registry
from anyvlm.parts.features import patches
from anyvlm.seq import Kind, causal
from anyvlm.system import VLM, Batch, Checkpoint, Pixels, Stream, System
from anyvlm.tiny import tiny
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.published import EYE, _qwen
from tests.zoo.test_manifest import config, fits, names

NAME, IMAGE, SIDE = "llava-onevision-0.5b-ov", 90, 42
TIED = {True: ("0.5b-si", "0.5b-ov"), False: ("7b-si", "7b-ov", "72b-ov")}
CASES = [[(100, 60)], [(300, 240)], [(400, 20)], [(50, 90), (60, 60), (90, 20)]]  # (width, height)


def system() -> System:
    found = registry.system(NAME)
    assert isinstance(found, System)
    return tiny(found).but(lm__vocab=96, tokenizer=None, streams__image__encoder__depth=3)


def stream() -> Stream:
    return system().streams["image"]


def pictures(sizes: list[tuple[int, int]]) -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def processor() -> LlavaOnevisionImageProcessorPil:
    points = [[SIDE * h, SIDE * w] for h in range(1, 7) for w in range(1, 7)]
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return LlavaOnevisionImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=points, **half)


def arrays(sizes: list[tuple[int, int]]) -> list[np.ndarray]:
    return [array for image in pictures(sizes) for array in stream().policy_among(len(sizes)).arrays(image)]


@pytest.mark.parametrize("sizes", CASES)
def test_pixels(sizes: list[tuple[int, int]]) -> None:
    theirs = processor()([pictures(sizes)], return_tensors="np")["pixel_values"]
    ours = np.stack(arrays(sizes))
    assert ours.shape == theirs[0].shape if len(sizes) == 1 else len(ours) == len(sizes)
    assert np.abs(ours - np.concatenate(theirs)).max() <= 1e-6


def reference(tied: bool) -> hf.LlavaOnevisionForConditionalGeneration:
    lm = hf.Qwen2Config(
        vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
        max_position_embeddings=4096, rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=tied, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    eye = hf.SiglipVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=SIDE, patch_size=14,
        vision_use_head=False,
    )  # fmt: skip
    points = [[SIDE * h, SIDE * w] for h in range(1, 7) for w in range(1, 7)]
    whole = hf.LlavaOnevisionConfig(
        text_config=lm, vision_config=eye, image_token_index=IMAGE, image_grid_pinpoints=points, tie_word_embeddings=tied
    )
    return stirred(hf.LlavaOnevisionForConditionalGeneration(whole))


def batch(ids: list[int], sizes: list[tuple[int, int]]) -> Batch:
    ids_BT, start = torch.tensor([ids]), causal(torch.zeros(1, len(ids), 1))
    x = torch.from_numpy(np.stack(arrays(sizes)))
    cuts = tuple(stream().policy_among(len(sizes)).cut(*size) for size in sizes)
    media = Pixels(patches(x, 14), ((1, 3, 3),) * len(x), cuts)
    kind_BT = torch.where(ids_BT == IMAGE, int(Kind.IMAGE), int(Kind.TEXT))
    return Batch(ids_BT, kind_BT, start.pos_PBT, start.seg_BT, {"image": media})


@pytest.mark.parametrize("tied", TIED)
@torch.no_grad()
def test_logits_and_greedy_tokens(tied: bool, tmp_path: Path) -> None:
    theirs = reference(tied)
    source = Directory(path=str(saved(theirs, tmp_path)))
    layouts = registry.system(NAME).checkpoints[0].layouts
    checkpoint = Checkpoint(source=source, layouts=layouts)
    ours = load_module(system().but(lm__tied=tied, checkpoints=(checkpoint,)), dtype=torch.float32)
    assert isinstance(ours, VLM)
    worst = 0.0
    for sizes in CASES:
        cuts = [stream().policy_among(len(sizes)).cut(*size) for size in sizes]
        ids = [5]
        for cut in cuts:
            ids += [*[IMAGE] * sum(map(prod, stream().rows(cut))), 7]
        inputs = processor()([pictures(sizes)], return_tensors="pt")
        out = theirs.generate(
            input_ids=torch.tensor([ids]), **inputs, max_new_tokens=32, min_new_tokens=32, do_sample=False,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        whole = out.sequences[0].tolist()
        logits = ours(batch(whole[:-1], sizes))[0, len(ids) - 1 :]
        worst = max(worst, gap(logits, torch.cat(out.logits)))
        assert logits.argmax(-1).tolist() == whole[len(ids) :]
    assert worst <= 1e-5, worst
    for name in TIED[tied]:
        record("parity", f"llava-onevision-{name}", worst)


@pytest.mark.parametrize(("name", "text"), [
    (NAME, _qwen(896, 4864, 24, 14, 2, 152000) | {"tie_word_embeddings": True}),
    ("llava-onevision-7b-ov", _qwen(3584, 18944, 28, 28, 4, 152128)),
])  # fmt: skip
def test_full_size_names(name: str, text: dict[str, object]) -> None:
    eye = EYE["siglip-vit-so400m-14-384-vision"] | {"num_hidden_layers": 26, "vision_use_head": False}
    tied = bool(text["tie_word_embeddings"])
    with torch.device("meta"):
        model = hf.LlavaOnevisionForConditionalGeneration(
            hf.LlavaOnevisionConfig(text_config=config(text), vision_config=config(eye), tie_word_embeddings=tied)
        )
    system = registry.system(name)
    fits(system, names(model), system.checkpoints[0].layouts, "hf-5")
    record("manifest", name, 0.0)
