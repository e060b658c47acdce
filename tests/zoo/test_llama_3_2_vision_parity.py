"""Llama 3.2-Vision equals transformers': names at full size, pixels, logits and greedy tokens.

Two differences are transformers' own, and the released model is followed: which hidden states of the tower are returned
(`anyvlm/parts/catalog/mllama.py`), and tokens before the first picture, to which transformers adds an average over all
pictures where Meta's code adds nothing. So the reference is told other layers, and prompts here begin with a picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil

from anyvlm import registry
from anyvlm.inputs.reach import reaches
from anyvlm.inputs.tiles import Canvas
from anyvlm.parts.catalog.mllama import mllama_hf
from anyvlm.parts.features import patches
from anyvlm.seq import causal
from anyvlm.system import VLM, Batch, Checkpoint, Pixels, System
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.test_manifest import fits, names

NAME, IMAGE, SIDE = "llama-3.2-11b-vision-instruct", 90, 28
CROSSES = (1, 3)
SIZES = [(28, 28), (80, 30), (20, 100), (60, 50), (7, 300)]  # (width, height)


def system() -> System:
    found = registry.system(NAME)
    assert isinstance(found, System)
    (gated,) = found.lm.inserts
    return found.but(
        lm__vocab=90, lm__width=32, lm__depth=3, lm__heads=4, lm__kv_heads=2, lm__ffn__hidden=48, lm__rope__scaling=None,
        lm__inserts=(gated.but(layers=(1, 2), heads=4, kv_heads=2, head=8, ffn__hidden=48),),
        streams__image__policy__one__size=(SIDE, SIDE),
        streams__image__encoder=found.streams["image"].encoder.but(
            width=24, depth=3, top=2, heads=4, tile=SIDE, ffn__hidden=40, layers=(1, 3)
        ),
    )  # fmt: skip


def reference() -> hf.MllamaForConditionalGeneration:
    eye = {
        "hidden_size": 24, "num_hidden_layers": 3, "num_global_layers": 2, "attention_heads": 4, "intermediate_size": 40,
        "vision_output_dim": 72, "image_size": SIDE, "intermediate_layers_indices": [0, 2],
        "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
    }  # fmt: skip
    text = {
        "vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 48, "cross_attention_layers": list(CROSSES), "max_position_embeddings": 256, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    }  # fmt: skip
    config = hf.MllamaConfig(vision_config=eye, text_config=text, image_token_index=IMAGE)
    return stirred(hf.MllamaForConditionalGeneration(config))


def picture(size: tuple[int, int]) -> Image.Image:
    width, height = size
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def processor(side: int = SIDE) -> MllamaImageProcessorPil:
    mean = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    return MllamaImageProcessorPil(size={"height": side, "width": side}, max_image_tiles=4, **mean)


@pytest.mark.parametrize("size", SIZES)
def test_pixels(size: tuple[int, int]) -> None:
    theirs = processor()(picture(size), return_tensors="np")
    policy = system().streams["image"].policy
    assert isinstance(policy, Canvas)
    (canvas,) = policy.arrays(picture(size))
    assert policy.cut(*size).sizes == (canvas.shape[1:],)
    tiles = canvas.reshape(3, canvas.shape[1] // SIDE, SIDE, canvas.shape[2] // SIDE, SIDE).transpose(1, 3, 0, 2, 4)
    tiles = tiles.reshape(-1, 3, SIDE, SIDE)
    assert np.abs(theirs["pixel_values"][0, 0, : len(tiles)] - tiles).max() <= 1e-6
    assert theirs["aspect_ratio_mask"][0, 0].sum() == len(tiles)
    shape = (canvas.shape[1] // SIDE, canvas.shape[2] // SIDE)
    assert theirs["aspect_ratio_ids"][0, 0] == system().streams["image"].encoder.shapes.index(shape) + 1


def batch(ids: list[int], sizes: list[tuple[int, int]]) -> Batch:
    stream = system().streams["image"]
    cuts = tuple(stream.policy.cut(*size) for size in sizes)
    arrays = [torch.from_numpy(array) for size in sizes for array in stream.policy.arrays(picture(size))]
    places = [n for n, id in enumerate(ids) if id == IMAGE]
    seen = tuple((0, *span) for span in reaches("group", places, len(ids)))
    grids = tuple(grid for cut in cuts for grid in stream.patches(cut))
    media = Pixels(torch.cat([patches(array[None], 14) for array in arrays]), grids, cuts, seen)
    start = causal(torch.zeros(1, len(ids), 1))
    return Batch(torch.tensor([ids]), start.kind_BT, start.pos_PBT, start.seg_BT, {"image": media})


@pytest.mark.parametrize("start", [[IMAGE, 5, 6, 7], [IMAGE, 5, IMAGE, IMAGE, 6, 7]])
@torch.no_grad()
def test_logits_and_greedy_tokens(start: list[int], tmp_path: Path) -> None:
    theirs, small = reference(), system()
    sizes = SIZES[1 : 1 + start.count(IMAGE)]
    source = Directory(path=str(saved(theirs, tmp_path)))
    checkpoint = Checkpoint(source=source, layouts=mllama_hf(5, CROSSES))
    ours = load_module(small.but(checkpoints=(checkpoint,)), dtype=torch.float32)
    assert isinstance(ours, VLM)
    inputs = processor()([[picture(size) for size in sizes]], return_tensors="pt")
    tiles = inputs.pop("num_tiles")[0]
    worst, ids = 0.0, list(start)
    for _ in range(32):
        mask = torch.zeros(1, len(ids), len(sizes), 4, dtype=torch.long)
        for n, (_, a, b) in enumerate((own := batch(ids, sizes)).media["image"].reaches):
            mask[0, a:b, n, : tiles[n]] = 1
        expected = theirs(input_ids=torch.tensor([ids]), **inputs, cross_attention_mask=mask, use_cache=False).logits
        logits = ours(own)
        worst = max(worst, gap(logits, expected))
        assert logits[0, -1].argmax() == expected[0, -1].argmax()
        ids.append(int(logits[0, -1].argmax()))
    assert worst <= 1e-5, worst
    for name in (NAME, "llama-3.2-90b-vision-instruct"):  # they differ in size alone
        record("parity", name, worst)


@pytest.mark.parametrize(("name", "sizes"), [
    (NAME, {}),
    ("llama-3.2-90b-vision-instruct", {
        "hidden_size": 8192, "num_hidden_layers": 100, "num_attention_heads": 64, "intermediate_size": 28672,
        "cross_attention_layers": list(range(3, 100, 5)),
    }),
])  # fmt: skip
def test_full_size_names(name: str, sizes: dict[str, object]) -> None:
    config = hf.MllamaConfig(vision_config={"image_size": 560}, text_config=sizes)
    with torch.device("meta"):
        model = hf.MllamaForConditionalGeneration(config)
    found = registry.system(name)
    layouts = found.checkpoints[0].layouts
    fits(found, names(model), layouts, "hf")
    fits(found, names(model, in_files=False), layouts, "hf-module")
    record("manifest", name, 0.0)
