"""Aria equals transformers': pixels, prompt, logits, greedy tokens at both numbers of queries, names at full size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.aria.image_processing_pil_aria import AriaImageProcessorPil
from transformers.models.aria.processing_aria import AriaProcessor

from anyvlm import registry
from anyvlm.errors import InputError, SpecError
from anyvlm.system import Checkpoint, System
from anyvlm.weights.load import find, load_module, load_system
from anyvlm.weights.sources import Directory
from anyvlm.zoo.aria import TILES
from tests.parity import gap, record, saved, stirred
from tests.whole import both, greedy, laid, noise, theirs_greedy
from tests.zoo.test_manifest import fits, names

NAMES = {"aria": 5_000_000.0, "aria-chat": 5_000_000.0, "aria-base-64k": 5_000_000.0, "aria-base-8k": 100_000.0}
CONTROL = ("<|im_start|>", "<|im_end|>", "<|img|>", "<fim_prefix>", "<fim_suffix>", "<pad>")
OURS, THEIRS = both(*CONTROL)
LM = {
    "vocab_size": 300, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4,
    "moe_num_experts": 8, "moe_topk": 3, "moe_num_shared_experts": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
}  # fmt: skip
EYE = {
    "model_type": "idefics3_vision", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "image_size": 980, "patch_size": 14,
}  # fmt: skip
QUERIES = {1225: 3, 4900: 5}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for item in message['content'] %}{% if item['type'] == "
    "'text' %}{{ item['text'] }}{% else %}<fim_prefix><|img|><fim_suffix>{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""As transformers' convert_aria_weights_to_hf.py writes it."""


def reference(theta: float = 5_000_000.0) -> hf.AriaForConditionalGeneration:
    config = hf.AriaConfig(
        text_config=hf.AriaTextConfig(**LM, rope_theta=theta), vision_config=EYE, projector_patch_to_query_dict=QUERIES,
        image_token_index=OURS.id("<|img|>"),
    )  # fmt: skip
    return stirred(hf.AriaForConditionalGeneration(config))


def small(name: str, folder: Path, longest: int) -> System:
    system = registry.system(name)
    assert isinstance(system, System)
    return system.but(
        lm__vocab=300, lm__width=24, lm__depth=2, lm__heads=4, lm__kv_heads=4, lm__context=2048, lm__ffn__experts=8,
        lm__ffn__top=3, lm__ffn__expert__hidden=20, lm__ffn__shared__hidden=40, streams__image__policy__longest=longest,
        streams__image__encoder__width=32, streams__image__encoder__depth=2, streams__image__encoder__heads=4,
        streams__image__encoder__ffn__hidden=48, streams__image__connector__heads=4,
        streams__image__connector__queries=((35, 3), (70, 5)), tokenizer=None,
        checkpoints=(Checkpoint(source=Directory(path=str(folder)), layouts=system.checkpoints[0].layouts),),
    )  # fmt: skip


@pytest.mark.parametrize(("name", "longest", "sizes"), [
    ("aria", 490, [(90, 61), (300, 700)]), ("aria", 980, [(1000, 777)]), ("aria-base-8k", 490, [(40, 40), (9, 400)]),
])  # fmt: skip
def test_whole(name: str, longest: int, sizes: list[tuple[int, int]], tmp_path: Path) -> None:
    """Padded and masked there, never padded here."""
    theirs = reference(NAMES[name])
    system = small(name, saved(theirs, tmp_path), longest)
    ours = load_module(system, dtype=torch.float32).eval()
    pictures = [noise(*size, seed=n) for n, size in enumerate(sizes)]
    content = ["How? ", *(part for n, picture in enumerate(pictures) for part in (picture, f"and {n}"))]
    plan, batch = laid(system, OURS, content)
    inputs = processed(content, longest)
    assert list(plan.ids) == inputs["input_ids"][0].tolist()
    for picture, pixels, mask in zip(pictures, inputs["pixel_values"], inputs["pixel_mask"], strict=True):
        (array,) = system.streams["image"].policy.arrays(picture)
        assert np.array_equal(array, pixels[:, : array.shape[1], : array.shape[2]].numpy())
        assert mask[:, array.shape[2] :].sum() == mask[array.shape[1] :].sum() == 0
    with torch.no_grad():
        worst = gap(ours(batch), theirs(**inputs).logits)
    assert worst <= 1e-5, worst
    assert greedy(ours, batch, 32) == theirs_greedy(theirs, inputs, 32)
    for same, theta in NAMES.items():
        if theta == NAMES[name]:
            record("parity", same, worst)


def processed(content: list[str | Image.Image], longest: int, save: Path | None = None) -> dict[str, torch.Tensor]:
    """By AriaProcessor. `save`: the folder where it shall be written, instead."""
    THEIRS.image_token, THEIRS.image_token_id, THEIRS.pad_token = "<|img|>", OURS.id("<|img|>"), "<pad>"
    pixels = AriaImageProcessorPil(max_image_size=longest)
    processor = AriaProcessor(pixels, THEIRS, TEMPLATE, size_conversion={490: 3, 980: 5})
    if save:
        processor.save_pretrained(save)
        return {}
    items = [{"type": "text", "text": x} if isinstance(x, str) else {"type": "image"} for x in content]
    text = processor.apply_chat_template([{"role": "user", "content": items}], add_generation_prompt=True)
    pictures = [part for part in content if isinstance(part, Image.Image)]
    out = processor(text=text, images=pictures, return_tensors="pt", images_kwargs={"max_image_size": longest})
    return {key: out[key] for key in ("input_ids", "attention_mask", "pixel_values", "pixel_mask")}


def directory(folder: Path) -> Path:
    """All files that AriaForConditionalGeneration and AriaProcessor save."""
    saved(reference(), folder)
    processed(["x"], 490, folder)
    return folder


@torch.no_grad()
def test_a_directory_is_read(tmp_path: Path) -> None:
    """Sizes, preprocessing, chat format and tokens come from its files alone."""
    found = load_system(directory(tmp_path))
    small_ = small("aria", tmp_path, 490)
    assert found.system.lm == small_.lm
    assert found.system.streams == small_.streams
    assert found.system.placeholder == "<|img|>"
    picture = noise(90, 61, seed=0)
    plan, batch = laid(found.system, found.tokenizer, ["How? ", picture, "and"])
    inputs = processed(["How? ", picture, "and"], 490)
    assert list(plan.ids) == inputs["input_ids"][0].tolist()
    assert gap(found.module(batch), reference()(**inputs).logits) <= 1e-5


@pytest.mark.parametrize(("file", "change", "says"), [
    ("config.json", {"vision_feature_layer": -2}, "vision_feature_layer"),
    ("config.json", {"projector_patch_to_query_dict": {"1200": 3}}, "square"),
    ("config.json", {"another": 1}, "another"),
    ("processor_config.json", {"image_processor": {"max_image_size": 490, "split_image": True}}, "split_image"),
])  # fmt: skip
def test_what_a_directory_may_not_say(file: str, change: dict[str, object], says: str, tmp_path: Path) -> None:
    path = directory(tmp_path) / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SpecError, match=says):
        find(tmp_path)


@given(st.integers(1, 4000), st.integers(1, 4000))
@settings(max_examples=200)
def test_the_longer_side_decides(width: int, height: int) -> None:
    """128 or 256 tokens, whatever the shape."""
    stream = registry.system("aria").streams["image"]
    assert stream.rows(stream.policy.cut(width, height)) == ((1, 1, 256),)
    half = stream.but(policy__longest=490)
    assert half.rows(half.policy.cut(width, height)) == ((1, 1, 128),)
    (size,) = half.policy.cut(width, height).sizes
    assert max(size) == 490 and min(size) >= 336


def test_other_lengths_are_refused() -> None:
    stream = registry.system("aria").streams["image"].but(policy__longest=700)
    with pytest.raises(InputError, match="35 or 70 patches"):
        stream.rows(stream.policy.cut(100, 100))


def test_tiles_stand_behind_the_whole() -> None:
    """As rhymes-ai/Aria 9b25fec splits: 1,500 x 1,000 pixels are nearest to 3 columns and 2 rows, stretched.

    Outside this repository its own functions gave the same arrays for nine shapes, and the same lattices for 20,000.
    """
    picture = noise(1500, 1000, seed=0)
    cut = TILES.cut(*picture.size)
    assert cut.lattice == (2, 3) and len(cut.sizes) == 7
    arrays = TILES.arrays(picture)
    assert tuple(array.shape[1:] for array in arrays) == cut.sizes == ((658, 980), *((980, 980),) * 6)
    assert np.array_equal(arrays[0], TILES.one.arrays(picture)[0])
    large = picture.resize((3 * 980, 2 * 980))
    assert np.array_equal(arrays[5], TILES.one.arrays(large.crop((980, 980, 1960, 1960)))[0])
    stream = registry.system("aria").streams["image"].but(policy=TILES)
    assert stream.rows(stream.policy.cut(1500, 1000)) == ((1, 1, 256),) * 7
    assert TILES.lattice(500, 500) == TILES.lattice(2000, 2000) == (2, 2)
    assert TILES.lattice(250, 500) == (1, 2) and TILES.lattice(2000, 4000) == (2, 4)


FULL = LM | {
    "vocab_size": 100352, "hidden_size": 2560, "intermediate_size": 1664, "num_hidden_layers": 28, "num_attention_heads": 20,
    "moe_num_experts": 64, "moe_topk": 6,
}  # fmt: skip
SO400M = EYE | {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}


def test_names_at_full_size() -> None:
    system = registry.system("aria")
    with torch.device("meta"):
        model = hf.AriaForConditionalGeneration(hf.AriaConfig(text_config=hf.AriaTextConfig(**FULL), vision_config=SO400M))
    read = {name: shape for name, shape in names(model).items() if "post_layernorm" not in name}
    fits(system, names(model), system.checkpoints[0].layouts, "hf")
    fits(system, names(model, in_files=False), system.checkpoints[0].layouts, "hf-module")
    table = {
        "vision_tower.": "vision_tower.vision_model.", "multi_modal_projector.layer_norm.": "multi_modal_projector.ln_ffn.",
        "feed_forward": "ffn", "layer_norm_kv": "ln_kv",
    }  # fmt: skip
    original = {}
    for name, shape in read.items():
        for theirs, own in table.items():
            name = name.replace(theirs, own)
        original[name] = shape
    fits(system, original, system.checkpoints[0].layouts, "original")
    for name in NAMES:
        record("manifest", name, 0.0)
