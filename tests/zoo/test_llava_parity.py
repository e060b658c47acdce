"""LLaVA whole equals transformers': logits, greedy tokens, and the way back."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import models, pre_tokenizers

from anyvlm import registry
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.inputs.policy import CLIP_FILL, ImagePolicy, preprocessor_from_policy
from anyvlm.inputs.templates import LLAVA_HF
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.seq import Kind
from anyvlm.system import VLM, Batch, Pixels
from anyvlm.tiny import tiny
from anyvlm.weights.load import Loaded, load_system
from anyvlm.weights.save import export, save
from tests.parity import gap, pixels, record, saved, stirred

IMAGE = 90
LM = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EYE = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 42,
    "patch_size": 14,
}  # fmt: skip
CASES = {
    "llama": (hf.LlamaConfig, hf.CLIPVisionConfig, {}),
    "llama-cls": (hf.LlamaConfig, hf.CLIPVisionConfig, {"vision_feature_select_strategy": "full"}),
    "llama-layers": (hf.LlamaConfig, hf.CLIPVisionConfig, {"vision_feature_layer": [-2, -1]}),
    "mistral": (hf.MistralConfig, hf.CLIPVisionConfig, {"multimodal_projector_bias": False}),
    "qwen2-siglip": (hf.Qwen2Config, hf.SiglipVisionConfig, {"vision_feature_select_strategy": "full"}),
    "cohere-siglip": (hf.CohereConfig, hf.SiglipVisionConfig, {"vision_feature_select_strategy": "default"}),  # Maya
    "phi3": (hf.Phi3Config, hf.CLIPVisionConfig, {}),
}


def reference(case: str) -> hf.LlavaForConditionalGeneration:
    lm, eye, extra = CASES[case]
    own = {"vision_use_head": False} if eye is hf.SiglipVisionConfig else {}
    # transformers' LLaVA forgets the factor on Cohere's logits
    scale = {"logit_scale": 1.0} if lm is hf.CohereConfig else {}
    config = hf.LlavaConfig(text_config=lm(**LM, **scale), vision_config=eye(**EYE, **own), image_token_index=IMAGE, **extra)
    return stirred(hf.LlavaForConditionalGeneration(config))


def directory(model: hf.LlavaForConditionalGeneration, folder: Path) -> Path:
    policy = ImagePolicy(size=(42, 42), fit="pad", fill=CLIP_FILL)
    (saved(model, folder) / "preprocessor_config.json").write_text(json.dumps(preprocessor_from_policy(policy)))
    return folder


def prompt(loaded: Loaded, images: torch.Tensor) -> Batch:
    """Text, an image, text, an image, text."""
    h, w = 42, 42
    stream = loaded.system.streams["image"]
    rows = sum(map(prod, stream.rows(stream.policy.cut(w, h))))
    ids = [5, 6, *[IMAGE] * rows, 7, *[IMAGE] * rows, 8, 9]
    return batch(ids, pixels(images, 14))


def batch(ids: list[int], media: Pixels) -> Batch:
    ids_BT = torch.tensor([ids])
    kind_BT = torch.where(ids_BT == IMAGE, int(Kind.IMAGE), int(Kind.TEXT))
    return Batch(ids_BT, kind_BT, torch.arange(len(ids))[None, None], torch.zeros_like(ids_BT), {"image": media})


def greedy(module: VLM, start: Batch, steps: int) -> list[int]:
    ids = start.ids_BT[0].tolist()
    for _ in range(steps):
        ids.append(int(module(batch(ids, start.media["image"]))[0, -1].argmax()))
    return ids


@pytest.mark.parametrize("case", CASES)
def test_logits_and_greedy_tokens(case: str, tmp_path: Path) -> None:
    theirs = reference(case)
    loaded = load_system(directory(theirs, tmp_path))
    images = torch.randn(2, 3, 42, 42)
    with torch.no_grad():
        ours = prompt(loaded, images)
        inputs = {"input_ids": ours.ids_BT, "pixel_values": images}
        worst = gap(loaded.module(ours), theirs(**inputs).logits)
        out = theirs.generate(**inputs, max_new_tokens=32, min_new_tokens=32, do_sample=False)
        assert greedy(loaded.module, ours, 32)[: out.shape[1]] == out[0].tolist()
    assert worst <= 1e-5, worst
    record("parity", "family:llava", worst)


@pytest.mark.parametrize("case", CASES)
def test_export_is_what_was_loaded(case: str, tmp_path: Path) -> None:
    """Published names (with "vision_model.") in, the same bytes out, and transformers computes the same from them."""
    theirs = reference(case)
    source = directory(theirs, tmp_path / "in")
    before = load_file(source / "model.safetensors")
    before = {name.replace("vision_tower.", "vision_tower.vision_model."): t.half() for name, t in before.items()}
    save_file(before, source / "model.safetensors")
    loaded = load_system(source)
    assert {p.dtype for p in loaded.module.parameters()} == {torch.float16}
    export(loaded, tmp_path / "out")
    after = load_file(tmp_path / "out" / "model.safetensors")
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    again = hf.LlavaForConditionalGeneration.from_pretrained(tmp_path / "out", dtype=torch.float32)
    again.config.image_token_id = again.config.image_token_index = IMAGE  # a directory without tokenizer cannot know it
    images = torch.randn(2, 3, 42, 42)
    ours = load_system(tmp_path / "out", dtype=torch.float32)
    with torch.no_grad():
        start = prompt(ours, images)
        assert gap(ours.module(start), again(input_ids=start.ids_BT, pixel_values=images).logits) <= 1e-5


def test_saved_directory_computes_the_same(tmp_path: Path) -> None:
    loaded = load_system(directory(reference("qwen2-siglip"), tmp_path / "in"))
    save(loaded, tmp_path / "ours")
    again = load_system(tmp_path / "ours")
    start = prompt(loaded, torch.randn(2, 3, 42, 42))
    with torch.no_grad():
        assert torch.equal(loaded.module(start), again.module(start))
    export(again, tmp_path / "back", "hf-5")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("in", "back"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_an_exported_directory_is_complete(tmp_path: Path) -> None:
    """transformers finds processor, tokenizer and image token, and prepares the same prompt and pixels."""
    inner = tokenizers.Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(ALPHABET)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.add_special_tokens(["<s>", "</s>", "<image>"])
    tokenizer = Tokenizer(inner, bos="<s>", eos=("</s>",))
    system = tiny(registry.system("llava-1.5-7b")).but(lm__vocab=len(tokenizer.vocab) + 1)
    system = system.but(template=LLAVA_HF, streams__image__policy__fill=CLIP_FILL)
    loaded = Loaded(system, stirred_like(system.build().eval()), tokenizer)
    export(loaded, tmp_path / "out")
    processor = hf.AutoProcessor.from_pretrained(tmp_path / "out")
    model = hf.LlavaForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (31, 57, 3), dtype=np.uint8))
    theirs = processor(text="<s>USER: <image>\nwhy? ASSISTANT:", images=picture, return_tensors="pt", add_special_tokens=False)
    laid = plan(system, tokenizer, [Message("user", (Picture(""), "why?"))], sizes=[picture.size])
    assert list(laid.ids) == theirs["input_ids"][0].tolist()
    pixels_ = system.streams["image"].policy.apply(picture)
    assert gap(torch.from_numpy(pixels_), theirs["pixel_values"][0]) <= 1e-6
    with torch.no_grad():
        ours = loaded.module(collate(system, [laid], [[pixels_]]))
        assert gap(ours, model(**theirs).logits) <= 1e-5


ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ?:.\n"


def stirred_like(module: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=parameter.shape[-1] ** -0.5)
    return module
