"""LLaVA-NeXT equals transformers': names at full size, pixels, token counts, logits and greedy tokens."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor

from anyvlm import registry
from anyvlm.inputs.tiles import AnyRes
from anyvlm.parts.features import patches
from anyvlm.seq import Kind, causal
from anyvlm.system import VLM, Batch, Checkpoint, Pixels, System
from anyvlm.tiny import tiny
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.published import CLIP_L_336, LLAMA_3, MISTRAL_V0_2, VICUNA_7B, YI_34B
from tests.zoo.test_manifest import config, fits, names

NAME, IMAGE = "llava-next-vicuna-7b", 90
SIZES = [(100, 60), (30, 90), (400, 20), (42, 42)]  # (width, height)
LM = {False: ("vicuna-7b", "vicuna-13b", "mistral-7b", "34b", "llama3-8b"), True: ("72b", "110b")}  # qkv with biases or not
PINPOINTS = [[42, 84], [84, 42], [84, 84], [126, 42], [42, 126]]


def policy() -> AnyRes:
    found = tiny(registry.system(NAME)).streams["image"].policy
    assert isinstance(found, AnyRes) and [list(point) for point in found.pinpoints] == PINPOINTS
    return found


def picture(size: tuple[int, int]) -> Image.Image:
    width, height = size
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def processor() -> LlavaNextImageProcessorPil:
    return LlavaNextImageProcessorPil(
        size={"shortest_edge": 42}, crop_size={"height": 42, "width": 42}, image_grid_pinpoints=PINPOINTS
    )


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (333, 2)])
def test_pixels(size: tuple[int, int]) -> None:
    theirs = processor()(picture(size), return_tensors="np")["pixel_values"][0]
    ours = np.stack(policy().arrays(picture(size)))
    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 1e-6
    assert policy().cut(*size).sizes == ((42, 42),) * len(ours)


@given(st.integers(1, 4000), st.integers(1, 4000))
@settings(max_examples=200)
def test_token_counts_at_full_size(width: int, height: int) -> None:
    stream = registry.system(NAME).streams["image"]
    ours = sum(map(prod, stream.rows(stream.policy.cut(width, height))))
    theirs = LlavaNextProcessor._get_number_of_features(COUNTER, height, width, 336, 336)  # type: ignore[arg-type]
    assert ours == theirs - 1, "theirs counts the class token, and takes it off later"


class _Counter:
    """What the reference's count reads of a processor."""

    image_processor = LlavaNextImageProcessorPil()  # its default pinpoints are the published ones
    patch_size, num_additional_image_tokens = 14, 1
    _get_unpadded_features = LlavaNextProcessor._get_unpadded_features


COUNTER = _Counter()


def reference(biased: bool) -> hf.LlavaNextForConditionalGeneration:
    lm = (hf.Qwen2Config if biased else hf.LlamaConfig)(
        vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=256, rms_norm_eps=1e-5, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    eye = hf.CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=24, num_attention_heads=4, image_size=42, patch_size=14
    )
    whole = hf.LlavaNextConfig(text_config=lm, vision_config=eye, image_token_index=IMAGE, image_grid_pinpoints=PINPOINTS)
    return stirred(hf.LlavaNextForConditionalGeneration(whole))


def batch(system: System, ids: list[int], sizes: list[tuple[int, int]]) -> Batch:
    ids_BT = torch.tensor([ids])
    start = causal(torch.zeros(1, len(ids), 1))
    arrays = [torch.from_numpy(array) for size in sizes for array in policy().arrays(picture(size))]
    media = Pixels(patches(torch.stack(arrays), 14), ((1, 3, 3),) * len(arrays), tuple(policy().cut(*size) for size in sizes))
    kind_BT = torch.where(ids_BT == IMAGE, int(Kind.IMAGE), int(Kind.TEXT))
    return Batch(ids_BT, kind_BT, start.pos_PBT, start.seg_BT, {"image": media})


@pytest.mark.parametrize("biased", LM)
@torch.no_grad()
def test_logits_and_greedy_tokens(biased: bool, tmp_path: Path) -> None:
    theirs = reference(biased)
    system = tiny(registry.system(NAME)).but(lm__vocab=96, lm__qkv_bias=biased, tokenizer=None)
    layouts = registry.system(NAME).checkpoints[0].layouts
    source = Directory(path=str(saved(theirs, tmp_path)))
    ours = load_module(system.but(checkpoints=(Checkpoint(source=source, layouts=layouts),)), dtype=torch.float32)
    assert isinstance(ours, VLM)
    stream, worst = system.streams["image"], 0.0
    for sizes in (SIZES[:2], SIZES[2:]):
        rows = [sum(map(prod, stream.rows(stream.policy.cut(*size)))) for size in sizes]
        ids = [5, 6, *[IMAGE] * rows[0], 7, *[IMAGE] * rows[1], 8, 9]
        inputs = processor()([picture(size) for size in sizes], return_tensors="pt")
        out = theirs.generate(
            input_ids=torch.tensor([ids]), **inputs, max_new_tokens=32, min_new_tokens=32, do_sample=False,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        whole = out.sequences[0].tolist()
        logits = ours(batch(system, whole[:-1], sizes))[0, len(ids) - 1 :]
        worst = max(worst, gap(logits, torch.cat(out.logits)))
        assert logits.argmax(-1).tolist() == whole[len(ids) :]
    assert worst <= 1e-5, worst
    for name in LM[biased]:
        record("parity", f"llava-next-{name}", worst)


@pytest.mark.parametrize(("name", "text"), [
    (NAME, VICUNA_7B), ("llava-next-mistral-7b", MISTRAL_V0_2 | {"vocab_size": 32064}),
    ("llava-next-34b", YI_34B | {"vocab_size": 64064}), ("llava-next-llama3-8b", LLAMA_3 | {"vocab_size": 128320}),
])  # fmt: skip
def test_full_size_names(name: str, text: dict[str, object]) -> None:
    with torch.device("meta"):
        model = hf.LlavaNextForConditionalGeneration(
            hf.LlavaNextConfig(text_config=config(text), vision_config=config(CLIP_L_336))
        )
    system = registry.system(name)
    fits(system, names(model), system.checkpoints[0].layouts, "hf-5")
    fits(system, names(model, in_files=False), system.checkpoints[0].layouts, "hf-module")
    record("manifest", name, 0.0)
