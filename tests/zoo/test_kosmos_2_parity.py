"""KOSMOS-2 equals transformers': prompt, pixels, logits, greedy tokens, names; phrases with boxes there and back."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.kosmos2.processing_kosmos2 import coordinate_to_patch_index, patch_index_to_coordinate

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.generate.answer import Growing
from anyvlm.generate.device import Place
from anyvlm.generate.engine import Delta, Engine
from anyvlm.generate.model import Model
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.boxes import Phrases
from anyvlm.inputs.collate import collate
from anyvlm.inputs.formats import KOSMOS_2_PLAIN
from anyvlm.inputs.messages import Message, Part, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.regions import Box, Region
from anyvlm.keys import revert
from anyvlm.system import Batch, System
from anyvlm.weights.load import Loaded, find, load_tokenizer
from anyvlm.weights.save import tensors
from tests.parity import gap, record, saved, stirred
from tests.zoo.test_manifest import fits, names

NAME = "kosmos-2"
LETTERS = "abcdefghijklmnopqrstuvwxyzADIQ.,?:"
QUERIES = 64
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (31, 57, 3), dtype=np.uint8))


@cache
def processor() -> hf.Kosmos2Processor:
    """With a vocabulary of letters, at the beginning of words and inside, in the order of the published one."""
    pieces = ["▁", *LETTERS, *(f"▁{letter}" for letter in LETTERS)]
    vocab = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")] + [(piece, -float(len(piece))) for piece in pieces]
    return hf.Kosmos2Processor(CLIPImageProcessorPil(use_square_size=True), hf.XLMRobertaTokenizer(vocab=vocab))


@cache
def reference() -> hf.Kosmos2ForConditionalGeneration:
    text = {
        "vocab_size": len(processor().tokenizer), "embed_dim": 48, "layers": 3, "ffn_dim": 80, "attention_heads": 4,
        "max_position_embeddings": 256,
    }  # fmt: skip
    eye = {
        "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40, "image_size": 224,
        "patch_size": 32,
    }  # fmt: skip
    model = hf.Kosmos2ForConditionalGeneration(
        hf.Kosmos2Config(text_config=text, vision_config=eye, latent_query_num=QUERIES)
    )
    return stirred(model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = saved(reference(), tmp_path_factory.mktemp(NAME))
    processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> Model:
    """As anyone loads a directory."""
    found = find(folder)
    assert isinstance(found, System)
    return Model.load(found, Place(torch.device("cpu"), torch.float32))


def laid_out(model: Model, *content: Part) -> tuple[Plan, Batch]:
    message = Message("user", (Picture(""), *content))
    laid = plan(model.system, model.tokenizer, [message], sizes=[PICTURE.size])
    return laid, collate(model.system, [laid], [model.system.streams["image"].policy.arrays(PICTURE)])


def prepared(text: str, boxes: object = None) -> dict[str, torch.Tensor]:
    return dict(processor()(images=PICTURE, text=text, bboxes=boxes, return_tensors="pt"))


BOXES = ((3.0, 2.5, 40.0, 30.0), (0.0, 0.0, 57.0, 31.0))
SHARES = [(a / 57, b / 31, c / 57, d / 31) for a, b, c, d in BOXES]
PROMPTS = [
    (("An image of",), "<grounding> An image of", None),
    ((Region(" a dog"), " is"), "<grounding><phrase> a dog</phrase> is", None),
    ((Region("It", BOXES[:1]), "is"), "<grounding><phrase>It</phrase> is", [SHARES[0]]),
    (
        ("Is", Region("a dog", BOXES), "by", Region("it", BOXES[1:]), "?"),
        "<grounding> Is<phrase> a dog</phrase> by<phrase> it</phrase> ?", [SHARES, SHARES[1]],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text", "boxes"), PROMPTS)
def test_prompt_and_pixels(ours: Model, content: tuple[Part, ...], text: str, boxes: object) -> None:
    theirs = prepared(text, boxes)
    laid, batch = laid_out(ours, *content)
    (pixels,) = ours.system.streams["image"].policy.arrays(PICTURE)
    assert gap(torch.from_numpy(pixels), theirs["pixel_values"][0]) == 0.0
    places = theirs["image_embeds_position_mask"][0].bool()
    assert torch.equal(batch.kind_BT[0] == 1, places)
    assert torch.equal(batch.ids_BT[0][~places], theirs["input_ids"][0][~places])  # at places of rows theirs count from 4


def test_without_grounding(ours: Model) -> None:
    plain = Model(ours.system.but(template=KOSMOS_2_PLAIN), ours.vlm, ours.tokenizer, ours.place)
    laid, _ = laid_out(plain, "Question: is it a dog? Answer:")
    theirs = prepared("Question: is it a dog? Answer:")["input_ids"][0].tolist()
    assert [*laid.ids[:2], *laid.ids[66:]] == [*theirs[:2], *theirs[66:]]
    assert "<grounding>" not in processor().decode(laid.ids)
    typed, _ = laid_out(plain, "<grounding> An image of")
    assert ours.tokenizer.id("<grounding>") not in typed.ids  # what a user types stays text


@torch.no_grad()
def test_logits_and_greedy_tokens(ours: Model) -> None:
    worst = 0.0
    for content, text, boxes in PROMPTS:
        theirs = prepared(text, boxes)
        _, batch = laid_out(ours, *content)
        worst = max(worst, gap(ours.vlm(batch), reference()(**theirs).logits))
        wanted = reference().generate(**theirs, max_new_tokens=32, min_new_tokens=32, do_sample=False, eos_token_id=None)
        deltas = Engine(ours.vlm).generate(batch, Sampling(max_tokens=32), decoders=[ours.tokenizer.stream()], ends=())
        assert [delta.id for delta in deltas] == wanted[0, theirs["input_ids"].shape[1] :].tolist()
    assert worst <= 1e-5, worst
    record("parity", NAME, worst)


def test_directory(ours: Model) -> None:
    """It says of itself what the registry says of the published one, but for sizes."""
    zoo, read = registry.system(NAME), ours.system
    assert isinstance(zoo, System)
    lm = zoo.lm.but(vocab=read.lm.vocab, width=48, depth=3, heads=4, hidden=80, context=256, scale=48**0.5)
    assert read.lm == lm and read.template == zoo.template and read.boxes == zoo.boxes
    assert read.streams["image"].policy == zoo.streams["image"].policy
    eye = zoo.streams["image"].encoder.but(width=24, depth=2, heads=4, patch=32, ffn__hidden=40)
    assert read.streams["image"].encoder == eye
    assert load_tokenizer(read) is not None


def test_export_is_what_was_loaded(ours: Model, folder: Path) -> None:
    before = load_file(folder / "model.safetensors")
    (layout,) = ours.system.checkpoints[0].layouts
    after = dict(revert(tensors(Loaded(ours.system, ours.vlm, None)), layout, ours.system.part))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_manifest() -> None:
    system = registry.system(NAME)
    assert isinstance(system, System)
    with torch.device("meta"):
        theirs = names(hf.Kosmos2ForConditionalGeneration(hf.Kosmos2Config(text_config={}, vision_config={})))
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    theirs.pop("text_model.lm_head.weight")  # tied, and left out of files
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", NAME, 0.0)


# Boxes ----------------------------------------------------------------------------------------------------------------

PHRASES = Phrases()
SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
EDGES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda pair: pair[1] - pair[0] > 1e-6)
CELL = st.integers(0, 1023).map(lambda n: f"<patch_index_{n:04d}>")
MARKS = ("<phrase>", "</phrase>", "<object>", "</object>", "</delimiter_of_multi_objects/>", "<grounding>", "<", ">", "\n", " ")
TEXTS = st.lists(st.one_of(st.sampled_from(MARKS), CELL, st.text("ab .", max_size=4)), max_size=14).map("".join)
ANSWERS = st.lists(
    st.one_of(
        st.tuples(st.text("abc ", min_size=1), st.text("abc ").map(lambda t: f"x{t}"), st.lists(st.tuples(CELL, CELL)))
        .map(lambda t: (t[0], t[1], "</delimiter_of_multi_objects/>".join(map("".join, t[2])))).map(
            lambda t: f"{t[0]}<phrase>{t[1]}</phrase>" + (f"<object>{t[2]}</object>" if t[2] else "")
        ),
        TEXTS,
    ),
    max_size=4,
).map("".join)  # fmt: skip


@given(SIZES, EDGES, EDGES)
def test_pixels_to_text_to_pixels(size: tuple[int, int], across: list[float], down: list[float]) -> None:
    width, height = size
    box = Box("a cat", (across[0] * width, down[0] * height, across[1] * width, down[1] * height))
    again = PHRASES.read(PHRASES.write([box, box], size), size)
    assert len(again) == 2 and again[0] == again[1] and again[0].label == "a cat" and again[0].span == (0, 5)
    steps = (width / 32, height / 32) * 2
    assert all(abs(a - b) <= step * (1 + 1e-9) for a, b, step in zip(again[0].xyxy, box.xyxy, steps, strict=True))


@given(EDGES, EDGES)
def test_cells_are_those_of_the_processor(across: list[float], down: list[float]) -> None:
    shares = (across[0], down[0], across[1], down[1])
    first, last = coordinate_to_patch_index(shares, 32)
    assert PHRASES.write([Box("", shares)], (1, 1)) == (
        f"<object><patch_index_{first:04d}><patch_index_{last:04d}></object>"
    )
    (box,) = PHRASES.read(PHRASES.write([Box("", shares)], (1, 1)), (1, 1))
    np.testing.assert_allclose(box.xyxy, patch_index_to_coordinate(first, last, 32), atol=1e-12)


@given(ANSWERS)
def test_what_a_text_says_is_what_the_processor_reads(text: str) -> None:
    """Clean text, phrases, where they stand in it, boxes."""
    caption, entities = processor().post_process_generation(text)
    assert PHRASES.shown(text, True) == caption
    found = PHRASES.read(text, (1, 1))
    flat = [(name, span, box) for name, span, boxes in entities for box in boxes]
    assert len(found) == len(flat)
    for box, (name, span, xyxy) in zip(found, flat, strict=True):
        np.testing.assert_allclose(box.xyxy, xyxy, atol=1e-12)
        if box.span is None:
            assert box.label == "" and name.startswith("<patch_index_")  # theirs names it after its cells
        elif name:
            assert (box.label, box.span) == (name, span)


@given(ANSWERS, st.data())
def test_shown_pieces_join_to_the_clean_text(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    before = ""
    for cut in cuts:
        assert (shown := PHRASES.shown(text[:cut], False)).startswith(before)
        before = shown
    assert PHRASES.shown(text, True).startswith(before)


def test_the_example_of_the_processor(ours: Model) -> None:
    """The fixed string of its docstring, as an answer that grows."""
    said = (
        " An image of<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> warming himself by"
        "<phrase> a fire</phrase><object><patch_index_0005><patch_index_0911></object>."
    )
    growing = Growing(laid_out(ours, "An image of")[0], 0.0, ours.system.boxes)
    shown = [growing.push(Delta(0, 5, char, "stop" if n == len(said) - 1 else None)) for n, char in enumerate(said)]
    answer = growing.answer()
    assert "".join(shown) == answer.text == "An image of a snowman warming himself by a fire."
    snowman, fire = answer.boxes
    assert (snowman.label, snowman.span, fire.label, fire.span) == ("a snowman", (12, 21), "a fire", (41, 47))
    np.testing.assert_allclose(snowman.xyxy, np.multiply((0.390625, 0.046875, 0.984375, 0.828125), (57, 31) * 2))
    np.testing.assert_allclose(fire.xyxy, np.multiply((0.171875, 0.015625, 0.484375, 0.890625), (57, 31) * 2))


def test_a_phrase_is_found(ours: Model) -> None:
    """It stands in the prompt, its boxes in the answer: together they are what the processor reads."""
    said = "<object><patch_index_0044><patch_index_0863></object> is small"
    laid, _ = laid_out(ours, Region(" a dog"))
    growing = Growing(laid, 0.0, ours.system.boxes)
    growing.push(Delta(0, 5, said, "stop"))
    _, ((name, _, (xyxy,)),) = processor().post_process_generation(f"<grounding><phrase> a dog</phrase>{said}")
    (box,) = growing.answer().boxes
    assert box.label == name == "a dog" and growing.answer().text == "is small"
    np.testing.assert_allclose(box.xyxy, np.multiply(xyxy, (57, 31) * 2))


def test_text_is_decoded_as_by_the_processor(ours: Model) -> None:
    """Markup and all, token by token."""
    said = (
        "a dog<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></delimiter_of_multi_objects/>"
        "<patch_index_0005><patch_index_0911></object> is by<phrase> it</phrase>"
    )
    ids = processor().tokenizer(said, add_special_tokens=False)["input_ids"] + [2]
    assert ours.system.boxes is not None
    stream = ours.system.boxes.stream(ours.tokenizer, PICTURE.size)
    text = "".join(map(stream.push, ids)) + stream.finish()
    assert text == processor().decode(ids, skip_special_tokens=True) == said


def test_what_cannot_be_said(ours: Model) -> None:
    with pytest.raises(InputError, match="covers nothing"):
        laid_out(ours, Region("it", ((5.0, 5.0, 5.0, 9.0),)))
    with pytest.raises(InputError, match="no points"):
        laid_out(ours, Region("it", points=((1.0, 2.0),)))
    with pytest.raises(InputError, match="no picture"):
        plan(ours.system, ours.tokenizer, [Message("user", (Region("it", BOXES),))])


def test_a_conversation_carries_regions(ours: Model) -> None:
    parts = [
        {"type": "image", "image": PICTURE},
        {"type": "region", "label": "It", "boxes": [[3, 2.5, 40, 30]]},
        {"type": "text", "text": "is"},
    ]
    answer = ours.chat([{"role": "user", "content": parts}], max_tokens=4)
    assert answer.usage.prompt_tokens == len(laid_out(ours, Region("It", BOXES[:1]), "is")[0])
