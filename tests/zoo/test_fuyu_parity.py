"""Fuyu equals transformers': prompt, pixels, logits, greedy tokens, names."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import tokenizers
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import load_file
from tokenizers import decoders, models, normalizers, pre_tokenizers
from transformers.models.fuyu.image_processing_pil_fuyu import FuyuImageProcessorPil

from anyvlm import registry
from anyvlm.generate.device import Place
from anyvlm.generate.engine import Engine
from anyvlm.generate.model import Model
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import revert
from anyvlm.system import Batch, Checkpoint, System
from anyvlm.weights.load import Loaded, load_module
from anyvlm.weights.save import tensors
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.test_manifest import fits, names

NAME = "fuyu-8b"
SPECIALS = ("<unk>", "<s>", "</s>", "|ENDOFTEXT|")
WORDS = ("<0x04>", "|SPEAKER|", "|NEWLINE|")
ALPHABET = "▁abcdefghijklmnopqrstuvwxyz?.-\n"
QUESTION = "generate a coco-style caption.\n"
SIZES = ((300, 450), (61, 30), (1, 1), (2000, 500), (333, 1500), (3000, 2000))


def inner() -> tokenizers.Tokenizer:
    """As Fuyu's: a mark before each text, and words of the vocabulary, not control tokens, among the patches."""
    vocab = {word: id for id, word in enumerate((*ALPHABET, *WORDS))}
    out = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    out.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    out.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(word, "isolated") for word in WORDS])
    out.decoder = decoders.Fuse()
    out.add_special_tokens([tokenizers.AddedToken(text, normalized=False, special=True) for text in SPECIALS])
    return out


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer(inner(), bos="<s>", eos=("|ENDOFTEXT|",))


class Slow(FuyuImageProcessorPil):
    """Its patches are made by numpy, and its own processor hands it tensors: in 5.23 the two do not work together."""

    def patchify_image(self, image: torch.Tensor, patch_size: object = None) -> torch.Tensor:
        return torch.from_numpy(super().patchify_image(image.numpy(), patch_size))[None]


@cache
def processor() -> hf.FuyuProcessor:
    fast = hf.PreTrainedTokenizerFast(tokenizer_object=inner(), bos_token="<s>", eos_token="|ENDOFTEXT|")
    return hf.FuyuProcessor(image_processor=Slow(), tokenizer=fast)


@cache
def reference() -> hf.FuyuForCausalLM:
    text = {
        "model_type": "persimmon", "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "max_position_embeddings": 256, "eos_token_id": tokenizer().id("|ENDOFTEXT|"),
        "rope_parameters": {"rope_type": "default", "rope_theta": 25000.0, "partial_rotary_factor": 0.5},
    }  # fmt: skip
    return stirred(hf.FuyuForCausalLM(hf.FuyuConfig(text_config=text, image_token_id=tokenizer().id("|SPEAKER|"))))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Model:
    zoo = registry.system(NAME)
    assert isinstance(zoo, System)
    source = Directory(path=str(saved(reference(), tmp_path_factory.mktemp("fuyu"))))
    small = zoo.but(
        lm__vocab=64, lm__width=64, lm__depth=3, lm__heads=4, lm__kv_heads=4, lm__ffn__hidden=96, lm__context=4096,
        checkpoints=(Checkpoint(source=source, layouts=zoo.checkpoints[0].layouts),),
    )  # fmt: skip
    return Model(small, load_module(small), tokenizer(), Place(torch.device("cpu"), torch.float32))


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def laid_out(system: System, image: Image.Image) -> tuple[Plan, Batch]:
    laid = plan(system, tokenizer(), [Message("user", (Picture(""), QUESTION))], sizes=[image.size])
    return laid, collate(system, [laid], [system.streams["image"].policy.arrays(image)])


def prepared(image: Image.Image) -> dict[str, torch.Tensor]:
    theirs = processor()(images=image, text=QUESTION, return_legacy_image_output=False)
    return {name: theirs[name] for name in ("input_ids", "attention_mask", "pixel_values")}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_prompt_and_pixels(size: tuple[int, int]) -> None:
    system, image = registry.system(NAME), picture(*size)
    assert isinstance(system, System)
    theirs = prepared(image)
    laid, batch = laid_out(system, image)
    assert list(laid.ids) == torch.as_tensor(theirs["input_ids"])[0].tolist()
    x_NC = batch.media["image"].x_NC.unflatten(1, (3, 900)).transpose(1, 2).flatten(1)  # theirs: pixel by pixel
    assert gap(x_NC, torch.as_tensor(theirs["pixel_values"])) <= 1e-6


def test_lines_end_in_a_token() -> None:
    system = registry.system(NAME)
    assert isinstance(system, System)
    stream = system.streams["image"]
    assert stream.cells(stream.policy.cut(450, 300)) == ((1, 1, 15), "|NEWLINE|") * 10


@torch.no_grad()
def test_logits_and_greedy_tokens(ours: Model) -> None:
    worst = 0.0
    for size in ((100, 61), (30, 150)):
        theirs = {name: torch.as_tensor(value) for name, value in prepared(picture(*size)).items()}
        _, batch = laid_out(ours.system, picture(*size))
        worst = max(worst, gap(ours.vlm(batch), reference()(**theirs).logits))
        length = theirs["input_ids"].shape[1]
        wanted = reference().generate(**theirs, max_new_tokens=32, min_new_tokens=32, do_sample=False, eos_token_id=None)
        deltas = Engine(ours.vlm).generate(batch, Sampling(max_tokens=32), decoders=[tokenizer().stream()], ends=())
        assert [delta.id for delta in deltas] == wanted[0, length:].tolist()
    assert worst <= 1e-5, worst
    record("parity", NAME, worst)


def test_export_is_what_was_loaded(ours: Model) -> None:
    (checkpoint,) = ours.system.checkpoints
    assert isinstance(checkpoint.source, Directory)
    before = load_file(f"{checkpoint.source.path}/model.safetensors")
    after = dict(revert(tensors(Loaded(ours.system, ours.vlm, None)), checkpoint.layouts[0], ours.system.part))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_manifest() -> None:
    system = registry.system(NAME)
    assert isinstance(system, System)
    text = {
        "model_type": "persimmon", "vocab_size": 262144, "hidden_size": 4096, "intermediate_size": 16384,
        "num_hidden_layers": 36, "num_attention_heads": 64, "max_position_embeddings": 16384,
    }  # fmt: skip
    with torch.device("meta"):
        model = hf.FuyuForCausalLM(hf.FuyuConfig(text_config=text))
        theirs, memory = names(model), names(model, in_files=False)
    layouts = system.checkpoints[0].layouts
    fits(system, memory, layouts, "hf-module")
    fits(system, theirs, layouts, "hf")
    record("manifest", NAME, 0.0)
