"""Idefics3 and SmolVLM equal transformers': pixels, prompt, logits, greedy tokens; names and parameters at full size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE, get_image_prompt_string

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.inputs.markup import Places
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.inputs.templates import SMOLVLM
from anyvlm.parts.cut import Cut
from anyvlm.system import Checkpoint, System
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.whole import both, greedy, laid, noise, theirs_greedy
from tests.zoo.test_manifest import fits, names

CONTROL = ("<|begin_of_text|>", "<|im_start|>", "<end_of_utterance>", "<image>", "<fake_token_around_image>")
SPELLED, NAMED = both(*CONTROL), both(*CONTROL, *Places().tokens[1:])
LM = {
    "vocab_size": 308, "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 6, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192, "rope_theta": 500_000.0,
}  # fmt: skip
CASES = {  # rows and columns of patches of a tile, rows folded, rotary positions, the pictures' sizes
    "idefics3-8b": (4, 2, LLAMA3, [(90, 61), (40, 120)]),
    "smolvlm-2.2b": (3, 3, {"rope_type": "default", "rope_theta": 273_768.0}, [(90, 61), (33, 33)]),
    "smolvlm-256m": (4, 4, {"rope_type": "default", "rope_theta": 1e5}, [(90, 61), (10, 200)]),
    "smolvlm-500m": (4, 4, {"rope_type": "default", "rope_theta": 1e5}, [(300, 90)]),
    "smolvlm2-2.2b": (3, 3, {"rope_type": "default", "rope_theta": 1.3e5}, [(90, 61)]),
    "smolvlm2-256m": (4, 4, {"rope_type": "default", "rope_theta": 1e5}, [(90, 61)]),
    "smolvlm2-500m": (4, 4, {"rope_type": "default", "rope_theta": 1e5}, [(90, 61)]),
}
EYE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def reference(name: str) -> hf.PreTrainedModel:
    """Idefics3's class for the two models published under it, SmolVLM's for the others."""
    side, fold, rope, _ = CASES[name]
    patch = registry.system(name).streams["image"].encoder.patch
    config, model = {
        "idefics3-8b": (hf.Idefics3Config, hf.Idefics3ForConditionalGeneration),
        "smolvlm-2.2b": (hf.Idefics3Config, hf.Idefics3ForConditionalGeneration),
    }.get(name, (hf.SmolVLMConfig, hf.SmolVLMForConditionalGeneration))
    text = hf.LlamaConfig(**LM, rope_parameters=rope)
    eye = EYE | {"image_size": side * patch, "patch_size": patch}
    return stirred(
        model(config(text_config=text, vision_config=eye, scale_factor=fold, image_token_id=SPELLED[0].id("<image>")))
    )


def small(name: str, folder: Path, tiles: int) -> System:
    system, (side, *_) = registry.system(name), CASES[name]
    assert isinstance(system, System)
    size = side * system.streams["image"].encoder.patch
    return system.but(
        lm__vocab=308, lm__width=24, lm__depth=2, lm__heads=4, lm__kv_heads=2, lm__ffn__hidden=48, lm__context=2048,
        streams__image__encoder__width=32, streams__image__encoder__depth=2, streams__image__encoder__heads=4,
        streams__image__encoder__ffn__hidden=48, streams__image__encoder__size=size, tokenizer=None,
        streams__image__policy__one__size=(size, size), streams__image__policy__longest=tiles * size,
        checkpoints=(Checkpoint(source=Directory(path=str(folder)), layouts=system.checkpoints[0].layouts),),
    )  # fmt: skip


@pytest.mark.parametrize("tiles", [3, 1])
@pytest.mark.parametrize("name", CASES)
def test_whole(name: str, tiles: int, tmp_path: Path) -> None:
    """Pictures cut into tiles, and pictures that are one tile."""
    theirs = reference(name)
    system = small(name, saved(theirs, tmp_path), tiles)
    ours = load_module(system, dtype=torch.float32).eval()
    pictures = [noise(*size, seed=n) for n, size in enumerate(CASES[name][3])]
    content = ["How? ", *(part for n, picture in enumerate(pictures) for part in (picture, f"and {n}"))]
    tokenizer, theirs_tokenizer = SPELLED if system.streams["image"].markup.spelled else NAMED
    plan, batch = laid(system, tokenizer, content)
    text = "".join(part if isinstance(part, str) else "<image>" for part in content)
    inputs = processed(system, f"{system.template.bos}User: {text}<end_of_utterance>\nAssistant:", pictures, theirs_tokenizer)
    assert list(plan.ids) == inputs["input_ids"][0].tolist()
    arrays = [array for picture in pictures for array in system.streams["image"].policy.arrays(picture)]
    assert np.array_equal(np.stack(arrays), inputs["pixel_values"][0].numpy())
    with torch.no_grad():
        worst = gap(ours(batch), theirs(**inputs).logits)
    assert worst <= 1e-5, worst
    assert greedy(ours, batch, 32) == theirs_greedy(theirs, inputs, 32)
    record("parity", name, worst)


def processed(
    system: System, text: str, pictures: list[Image.Image], tokenizer: hf.PreTrainedTokenizerFast
) -> dict[str, torch.Tensor]:
    """By Idefics3Processor; SmolVLM's wants packages for videos, but its prompt is made by the function called here."""
    stream = system.streams["image"]
    sizes = {"size": {"longest_edge": stream.policy.longest}, "max_image_size": {"longest_edge": stream.policy.one.size[0]}}
    side, fold, *_ = CASES[system.name]
    rows = (side // fold) ** 2
    if stream.markup.spelled:
        processor = Idefics3Processor(Idefics3ImageProcessorPil(**sizes), tokenizer, image_seq_len=rows)
        out = processor(text=text, images=[pictures], return_tensors="pt", add_special_tokens=False)
        return {key: out[key] for key in ("input_ids", "attention_mask", "pixel_values", "pixel_attention_mask")}
    pixels = SmolVLMImageProcessorPil(**sizes)([pictures], return_tensors="pt", return_row_col_info=True)
    marks = {"fake_token_around_image": CONTROL[4], "image_token": "<image>", "global_image_token": "<global-img>"}
    for down, across in zip(pixels.pop("rows")[0], pixels.pop("cols")[0], strict=True):
        text = text.replace("<image>", get_image_prompt_string(down, across, rows, **marks | {"image_token": "<i>"}), 1)
    return {**tokenizer(text.replace("<i>", "<image>"), return_tensors="pt"), **pixels}


FULL = {  # config.json of the published files, and the parameters the Hub counts in them
    "idefics3-8b": (
        {"vocab_size": 128259, "hidden_size": 4096, "intermediate_size": 14336, "num_key_value_heads": 8}, (364, 14), 2, None,
    ),
    "smolvlm-2.2b": (
        {"vocab_size": 49155, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24},
        (384, 14), 3, 2_246_272_880,
    ),
    "smolvlm-256m": (
        {
            "vocab_size": 49280, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
            "num_attention_heads": 9, "num_key_value_heads": 3,
        }, (512, 16), 4, 256_484_928,
    ),
    "smolvlm-500m": (
        {
            "vocab_size": 49280, "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32,
            "num_attention_heads": 15, "num_key_value_heads": 5,
        }, (512, 16), 4, 507_482_304,
    ),
}  # fmt: skip
FULL |= {name.replace("smolvlm-", "smolvlm2-"): row for name, row in FULL.items() if name in ("smolvlm-256m", "smolvlm-500m")}
FULL["smolvlm2-2.2b"] = (FULL["smolvlm-2.2b"][0] | {"vocab_size": 49280}, (384, 14), 3, 2_246_784_880)
SO400M = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}


@pytest.mark.parametrize("name", FULL)
def test_names_at_full_size(name: str) -> None:
    system, (text, (size, patch), fold, count) = registry.system(name), FULL[name]
    eye = (SO400M if patch == 14 else BASE) | {"image_size": size, "patch_size": patch}
    config = hf.Idefics3Config(text_config=hf.LlamaConfig(**text), vision_config=eye, scale_factor=fold)
    with torch.device("meta"):
        theirs = names(hf.Idefics3ForConditionalGeneration(config))
        ours = system.build()
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    assert count in (None, sum(parameter.numel() for parameter in ours.parameters()))
    record("manifest", name, 0.0)


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), tiles=st.integers(1, 5), side=st.sampled_from([364, 384, 512]))
@settings(max_examples=300)
def test_tiles_are_counted_as_the_processor_counts(width: int, height: int, tiles: int, side: int) -> None:
    policy = Mosaic(one=ImagePolicy(size=(side, side), fit="stretch"), longest=tiles * side)
    theirs = Idefics3ImageProcessorPil(size={"longest_edge": tiles * side}, max_image_size={"longest_edge": side})
    count, rows, columns = theirs.get_number_of_image_patches(height, width)
    cut = policy.cut(width, height)
    assert cut.lattice == (rows, columns) and len(cut.sizes) == max(1, count) and cut.last


@given(width=st.integers(1, 300), height=st.integers(1, 300), tiles=st.integers(1, 4), side=st.sampled_from([14, 27, 32]))
@settings(max_examples=20)
def test_pixels_equal_transformers(width: int, height: int, tiles: int, side: int) -> None:
    one = ImagePolicy(size=(side, side), fit="stretch", resample="lanczos", mean=HALF, std=HALF)
    policy, image = Mosaic(one=one, longest=tiles * side), noise(width, height, seed=tiles)
    theirs = Idefics3ImageProcessorPil(size={"longest_edge": tiles * side}, max_image_size={"longest_edge": side})
    arrays = policy.arrays(image)
    assert [array.shape[1:] for array in arrays] == list(policy.cut(width, height).sizes)
    assert np.array_equal(np.stack(arrays), theirs(image, return_tensors="np")["pixel_values"][0])


@pytest.mark.parametrize("side", [26, 27, 32])
def test_positions_of_a_full_tile_are_the_plain_grid(side: int) -> None:
    """Idefics3 sorts fractions of a picture into buckets; for the sides of the released towers that changes nothing.

    Neither as transformers computes it now, nor as it did when the models were released. Between the two it was wrong
    (huggingface/transformers, issue 41190).
    """
    edges = torch.arange(1 / side, 1.0, 1 / side)
    step = 1.0 / torch.tensor(side)
    now = (torch.arange(side, dtype=torch.float32) * step).clamp(max=1.0 - 1e-6)
    for fractions in (now, torch.arange(0, 1 - 1e-6, step)):
        assert torch.bucketize(fractions, edges, right=True).tolist() == list(range(side))


def test_tiles_without_a_name_are_refused() -> None:
    with pytest.raises(SpecError, match="7 x 2 tiles"):
        Places().cells(Cut((1, 1), ((8, 8),) * 15, (7, 2), last=True), ((1, 1, 1),) * 15)


@pytest.mark.parametrize("system", ["", "Be brief."])
def test_prompt_is_the_published_template(system: str) -> None:
    """Turns that begin with a picture and turns that begin with text, for each."""
    turns = [("user", (None, "What?")), ("assistant", ("A cat.",)), ("user", ("And ", None, "this?"))]
    turns = [("system", (system,)), *turns] if system else turns
    chat = [
        {"role": role, "content": [{"type": "text", "text": p} if p else {"type": "image"} for p in parts]}
        for role, parts in turns
    ]
    messages = [Message(role, tuple(Picture("") if part is None else part for part in parts)) for role, parts in turns]
    asked = {"chat_template": DEFAULT_CHAT_TEMPLATE, "add_generation_prompt": True, "tokenize": False}
    assert SMOLVLM.text(messages) == NAMED[1].apply_chat_template(chat, **asked)
