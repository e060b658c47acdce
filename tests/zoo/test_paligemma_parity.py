"""PaliGemma equals transformers': prompt, pixels, prefix, logits, greedy tokens, names; boxes there and back."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import tokenizers
import torch
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tokenizers import decoders, models, pre_tokenizers
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from anyvlm import registry
from anyvlm.generate.answer import Growing
from anyvlm.generate.device import Place
from anyvlm.generate.engine import Delta, Engine
from anyvlm.generate.model import Model
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.boxes import Box, Locations
from anyvlm.inputs.collate import NOTHING, collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.system import Batch, Checkpoint, System
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.test_manifest import fits, names

NAMES = [name for name in registry.SYSTEMS if registry.SYSTEMS[name].startswith("paligemma:")]
SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", "<image>")
ALPHABET = "abcdefghijklmnopqrstuvwxyz ?.\n"
VOCAB, SIDE = 96, 42
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (31, 57, 3), dtype=np.uint8))


def inner() -> tokenizers.Tokenizer:
    out = tokenizers.Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(ALPHABET)}, merges=[]))
    out.pre_tokenizer, out.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    out.add_special_tokens(list(SPECIALS))
    return out


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer(inner(), bos="<bos>", eos=("<eos>",))


@cache
def processor() -> hf.PaliGemmaProcessor:
    fast = hf.PreTrainedTokenizerFast(tokenizer_object=inner(), bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    fast.image_token, fast.image_token_id = "<image>", tokenizer().id("<image>")
    eye = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    eye.image_seq_length = (SIDE // 14) ** 2
    return hf.PaliGemmaProcessor(image_processor=eye, tokenizer=fast)


@cache
def reference() -> hf.PaliGemmaForConditionalGeneration:
    text = {
        "model_type": "gemma", "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 256,
        "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": tokenizer().id("<eos>"),
    }  # fmt: skip
    eye = {
        "model_type": "siglip_vision_model", "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
        "num_attention_heads": 4, "image_size": SIDE, "patch_size": 14, "vision_use_head": False,
    }  # fmt: skip
    whole = hf.PaliGemmaConfig(
        text_config=text, vision_config=eye, projection_dim=32, hidden_size=32, image_token_index=tokenizer().id("<image>")
    )
    model = stirred(hf.PaliGemmaForConditionalGeneration(whole))
    with torch.no_grad():
        for name, parameter in model.model.language_model.named_parameters():
            parameter -= int("norm" in name)  # Gemma's lie around 0
    return model


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Model:
    zoo = registry.system("paligemma-3b-mix-224")
    assert isinstance(zoo, System)
    source = Directory(path=str(saved(reference(), tmp_path_factory.mktemp("paligemma"))))
    small = zoo.but(
        lm__vocab=VOCAB, lm__width=32, lm__depth=3, lm__heads=4, lm__head=16, lm__ffn__hidden=48, lm__embed_scale=32**0.5,
        lm__context=256, streams__image__encoder__width=24, streams__image__encoder__depth=2, streams__image__encoder__heads=4,
        streams__image__encoder__size=SIDE, streams__image__encoder__ffn__hidden=40, streams__image__policy__size=(SIDE, SIDE),
        checkpoints=(Checkpoint(source=source, layouts=zoo.checkpoints[0].layouts),),
    )  # fmt: skip
    return Model(small, load_module(small), tokenizer(), Place(torch.device("cpu"), torch.float32))


def laid_out(system: System, question: str, answer: str | None = None) -> tuple[Plan, Batch]:
    said = () if answer is None else (Message("assistant", (answer,)),)
    laid = plan(system, tokenizer(), [Message("user", (Picture(""), question)), *said], sizes=[PICTURE.size], reply=not said)
    pixels = system.streams["image"].policy.arrays(PICTURE)
    return laid, collate(system, [laid], [pixels], labels=True)


@torch.no_grad()
def test_prompt_pixels_and_logits(ours: Model) -> None:
    theirs = processor()(images=PICTURE, text="<image>detect cat", return_tensors="pt")
    laid, batch = laid_out(ours.system, "detect cat")
    assert list(laid.ids) == theirs["input_ids"][0].tolist() and laid.prefix == len(laid)
    (pixels,) = ours.system.streams["image"].policy.arrays(PICTURE)
    assert gap(torch.from_numpy(pixels), theirs["pixel_values"][0]) <= 1e-6
    theirs.pop("labels")
    worst = gap(ours.vlm(batch), reference()(**theirs).logits)
    assert worst <= 1e-5, worst
    for name in NAMES:
        record("parity", name, worst)


@torch.no_grad()
def test_answers_are_read_from_left_to_right(ours: Model) -> None:
    theirs = processor()(images=PICTURE, text="<image>what?", suffix="a dog.", return_tensors="pt")
    laid, batch = laid_out(ours.system, "what?", "a dog.")
    assert list(laid.ids) == theirs["input_ids"][0].tolist()
    assert laid.prefix == int((theirs["token_type_ids"] == 0).sum())
    labels = theirs.pop("labels")
    assert batch.labels_BT[0, :-1].tolist() == labels[0, 1:].tolist() and int((labels != NOTHING).sum()) == 7
    logits = ours.vlm(batch)
    assert gap(logits, reference()(**theirs).logits) <= 1e-5
    answered, asked = (ours.vlm(laid_out(ours.system, *talk)[1]) for talk in (("what?", "a cat."), ("whet?", "a dog.")))
    changed = (logits - answered)[0].abs().amax(1) > 0
    assert not changed[: laid.prefix + 2].any() and changed[laid.prefix + 2]  # "a " is the same
    assert bool(((logits - asked)[0].abs().amax(1) > 0).all())  # pictures see the question


@torch.no_grad()
def test_greedy_tokens(ours: Model) -> None:
    theirs = processor()(images=PICTURE, text="<image>detect cat", return_tensors="pt")
    theirs.pop("labels")
    length = theirs["input_ids"].shape[1]
    wanted = reference().generate(**theirs, max_new_tokens=32, min_new_tokens=32, do_sample=False, eos_token_id=None)
    _, batch = laid_out(ours.system, "detect cat")
    deltas = Engine(ours.vlm).generate(batch, Sampling(max_tokens=32), decoders=[tokenizer().stream()], ends=())
    assert [delta.id for delta in deltas] == wanted[0, length:].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_manifest(name: str) -> None:
    system = registry.system(name)
    assert isinstance(system, System)
    side = system.streams["image"].policy.cut(1, 1).sizes[0][0]
    text = {
        "model_type": "gemma", "vocab_size": 257216, "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18,
        "num_attention_heads": 8, "num_key_value_heads": 1,
    }  # fmt: skip
    eye = {
        "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
        "num_attention_heads": 16, "image_size": side, "patch_size": 14, "vision_use_head": False,
    }  # fmt: skip
    with torch.device("meta"):
        model = hf.PaliGemmaForConditionalGeneration(hf.PaliGemmaConfig(text_config=text, vision_config=eye))
        theirs, memory = names(model), names(model, in_files=False)
    layouts = system.checkpoints[0].layouts
    fits(system, memory, layouts, "hf-module")
    fits(system, theirs, layouts, "hf-5")
    old = {n.replace("vision_tower.", "vision_tower.vision_model."): shape for n, shape in theirs.items()}
    old.pop("language_model.lm_head.weight")  # published files leave the tied matrix out
    fits(system, old, layouts, "hf")
    record("manifest", name, 0.0)


SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
EDGES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(SIZES, EDGES, EDGES)
def test_pixels_to_text_to_pixels(size: tuple[int, int], across: list[float], down: list[float]) -> None:
    width, height = size
    box = Box("a cat", (across[0] * width, down[0] * height, across[1] * width, down[1] * height))
    text = Locations().write([box, box], size)
    for again in Locations().read(text, size):
        assert again.label == "a cat" and again.score is None
        steps = (width / 1023, height / 1023) * 2
        assert all(abs(a - b) <= 0.51 * step for a, b, step in zip(again.xyxy, box.xyxy, steps, strict=True))
    assert len(Locations().read(text, size)) == 2


def test_what_a_text_says_of_boxes() -> None:
    read = Locations().read
    mask = "".join(f"<seg{n:03d}>" for n in range(16))
    text = f"<loc0000><loc0000><loc1023><loc1023>{mask} a dog ; <loc0100><loc0200><loc0300> cat"
    assert read(text, (640, 480)) == (Box("a dog", (0.0, 0.0, 640.0, 480.0)),)
    assert read("<loc0500><loc0000><loc0100><loc1023> cat", (640, 480)) == ()  # upside down
    assert read("<loc0000><loc0000><loc1024><loc1023> cat", (640, 480)) == ()
    assert read("a cat", (640, 480)) == ()


def test_an_answer_holds_boxes(ours: Model) -> None:
    """In pixels of the picture, and none where nothing is said of them."""
    assert ours.ask(PICTURE, "detect cat", max_tokens=4).boxes == ()
    growing = Growing(laid_out(ours.system, "detect cat")[0], 0.0, ours.system.boxes)
    growing.push(Delta(0, 5, "<loc0000><loc0000><loc1023><loc1023> cat", "stop"))
    assert growing.answer().boxes == (Box("cat", (0.0, 0.0, 57.0, 31.0)),)
