"""Fuyu's boxes and points, there and back, are those of transformers' processor; regions in messages are checked.

transformers 5.23 computes the ids of boxes in a prompt and drops them (`sample` in FuyuProcessor.__call__); what is compared is
the rule of its functions and of 4.48 (`_transform_within_tags`: one token of the vocabulary for every number).
"""

from __future__ import annotations

from functools import cache

import pytest
import tokenizers
import torch
import transformers as hf
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers
from transformers.models.fuyu import processing_fuyu as fuyu
from transformers.models.fuyu.image_processing_pil_fuyu import FuyuImageProcessorPil

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.generate.answer import Growing
from anyvlm.generate.engine import Delta
from anyvlm.inputs.boxes import Boxes, Corners, Locations
from anyvlm.inputs.messages import Message, Part, Picture, read_messages
from anyvlm.inputs.plan import plan
from anyvlm.inputs.regions import Box, Point, Region
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.system import System

SPECIALS = ("<unk>", "<s>", "</s>", "|ENDOFTEXT|")
WORDS = ("<0x00>", "<0x01>", "<0x02>", "<0x03>", "<0x04>", "|SPEAKER|", "|NEWLINE|")
ALPHABET = "▁abcdefghijklmnopqrstuvwxyzW?.-,<>/0123456789\n"
FUYU = Corners(most=(1080, 1920))


def inner() -> tokenizers.Tokenizer:
    """As Fuyu's: a mark before each text; bytes, and every number up to 1,000, are words of the vocabulary."""
    vocab = {word: id for id, word in enumerate((*ALPHABET, *WORDS, *map(str, range(10, 1001))))}
    out = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True, byte_fallback=True))
    out.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    out.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(word, "isolated") for word in WORDS])
    steps = (decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0))
    out.decoder = decoders.Sequence(list(steps))
    out.add_special_tokens([tokenizers.AddedToken(text, normalized=False, special=True) for text in SPECIALS])
    return out


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer(inner(), bos="<s>", eos=("|ENDOFTEXT|",))


@cache
def processor() -> hf.FuyuProcessor:
    fast = hf.PreTrainedTokenizerFast(tokenizer_object=inner(), bos_token="<s>", eos_token="|ENDOFTEXT|")
    return hf.FuyuProcessor(image_processor=FuyuImageProcessorPil(), tokenizer=fast)


def system() -> System:
    found = registry.system("fuyu-8b")
    assert isinstance(found, System) and found.boxes == FUYU
    return found


def behind_the_picture(size: tuple[int, int], *content: Part) -> list[int]:
    """Our ids from "<s>" on."""
    ids = plan(system(), tokenizer(), [Message("user", (Picture(""), *content))], sizes=[size]).ids
    return list(ids[ids.index(tokenizer().id("<s>")) + 1 :])


def theirs(text: str, size: tuple[int, int]) -> list[int]:
    """By the processor's own parser and scales."""
    pixels = torch.zeros(3, size[1], size[0]).numpy()
    scale = FuyuImageProcessorPil().preprocess(pixels, do_pad=False, input_data_format="channels_first")
    factor = torch.tensor(scale["image_scale_factors"][0][0]).item()  # as it comes out of its batch, in single precision
    ids = []
    for part, is_place in fuyu._segment_prompt_into_text_token_conversions(fuyu._replace_string_repr_with_token_tags(text)):
        if not is_place:
            ids += processor().tokenizer(part, add_special_tokens=False)["input_ids"]
            continue
        numbers = [float(number) for number in part.split(",")]
        names = ("x", "y") if len(numbers) == 2 else ("top", "left", "bottom", "right")
        scaled = getattr(fuyu, f"scale_{'point' if len(numbers) == 2 else 'bbox'}_to_transformed_image")
        marks = WORDS[2:4] if len(numbers) == 2 else WORDS[:2]
        steps = scaled(**dict(zip(names, numbers, strict=True)), scale_factor=factor)
        ids += [tokenizer().id(token) for token in (marks[0], *map(str, steps), marks[1])]
    return [*ids, tokenizer().id("<0x04>")]


SIZES = st.one_of(st.tuples(st.integers(4, 1920), st.integers(4, 1080)), st.tuples(st.integers(4, 2600), st.integers(4, 2000)))


@st.composite
def places(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """The size of a picture no longer than the processor takes, and a box of whole pixels in it."""
    size = draw(SIZES.filter(lambda size: max(size) <= 30 * min(size)))
    (left, right), (top, bottom) = (sorted(draw(st.tuples(st.integers(0, side), st.integers(0, side)))) for side in size)
    return size, (left, top, right, bottom)


@given(places())
def test_fuyu_reads_boxes_and_points_in_a_prompt(place: tuple[tuple[int, int], tuple[int, int, int, int]]) -> None:
    size, (left, top, right, bottom) = place
    box, point = Region("", ((left, top, right, bottom),)), Region("b", (), ((left, top),))
    text = f"what is\n<box>{top}, {left}, {bottom}, {right}</box>andb<point>{left}, {top}</point>"
    assert behind_the_picture(size, "what is\n", box, "and", point) == theirs(text, size)


def grown(ids: list[int], size: tuple[int, int]) -> Growing:
    laid = plan(system(), tokenizer(), [Message("user", (Picture(""), "x"))], sizes=[size])
    growing, stream = Growing(laid, 0.0, FUYU), FUYU.stream(tokenizer(), size)
    for id in ids:
        growing.push(Delta(0, id, stream.push(id), None))
    growing.push(Delta(0, 0, stream.finish(), "stop"))
    return growing


@given(places())
@example(((43, 1274), (0, 0, 0, 1273)))
def test_fuyu_writes_boxes_and_points(place: tuple[tuple[int, int], tuple[int, int, int, int]]) -> None:
    """The text is the processor's, in pixels of the original; boxes come back within one of its steps."""
    size, xyxy = place
    region = Region("", (xyxy,), (xyxy[:2],))
    ids = [tokenizer().id(piece.text) for piece in FUYU.pieces(region, size)]
    ids = [*(said := processor().tokenizer("box", add_special_tokens=False)["input_ids"]), *ids, *said]
    answer = grown(ids, size).answer()
    (found,) = processor().post_process_box_coordinates([torch.tensor(ids)], torch.tensor([size[::-1]]))
    # whether theirs puts a space before a mark depends on the vocabulary
    assert answer.text == processor().tokenizer.decode(found).lstrip().replace(" <", "<")
    (box,), (point,) = answer.boxes, answer.points
    assert box.label == point.label == ""
    scale = min(1080 / size[1], 1920 / size[0], 1)
    lost = 1 - int(size[1] * scale) / size[1] / scale  # it writes by the height's rounded scale, and reads by the exact
    pairs = zip((*box.xyxy, *point.xy), (*xyxy, *xyxy[:2]), strict=True)
    assert all(abs(a - b) <= 2 / scale + 1 + lost * b for a, b in pairs)
    assert FUYU.read(FUYU.write([Box("", tuple(map(float, xyxy)))], size), size) == (Box("", tuple(map(float, xyxy))),)


def test_the_larger_the_picture_the_larger_its_boxes() -> None:
    """A picture twice as large as the canvas: numbers are quarters of pixels."""
    ids = [tokenizer().id(token) for token in ("<0x00>", "194", "214", "202", "244", "<0x01>")]
    answer = grown(ids, (3840, 2160)).answer()
    assert answer.text == "<box>776, 856, 808, 976</box>"
    assert answer.boxes == (Box("", (856.0, 776.0, 976.0, 808.0)),)


@pytest.mark.parametrize("tokens", [
    ("<0x00>", "194", "214", "<0x01>", "a"), ("<0x00>", "194", "214", "202", "244", "12"), ("<0x00>", "a"), ("<0x02>", "7"),
    ("<0x02>", "b", "7", "<0x03>", "c"),
])  # fmt: skip
def test_what_is_not_whole_is_no_place(tokens: tuple[str, ...]) -> None:
    ids = [tokenizer().id(token) for token in tokens]
    answer = grown(ids, (640, 480)).answer()
    assert answer.boxes == () == answer.points and answer.text == tokenizer().decode(ids)


def test_points_have_labels_and_places() -> None:
    assert FUYU.points("a <point>10, 20</point> b", (640, 480)) == (Point("", (10.0, 20.0)),)


def test_paligemma_reads_boxes_in_a_prompt() -> None:
    pieces = Locations().pieces(Region("cat", ((0.0, 0.0, 320.0, 480.0),)), (640, 480))
    assert [(piece.text, piece.kind) for piece in pieces] == [
        *((f"<loc{n:04d}>", "special") for n in (0, 0, 1023, 512)), ("cat", "user"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="no points"):
        Locations().pieces(Region("cat", points=((1.0, 1.0),)), (640, 480))


# Messages -------------------------------------------------------------------------------------------------------------


def test_a_region_means_the_picture_before_it() -> None:
    sizes = []

    class Noted(Corners):
        def pieces(self, region: Region, size: tuple[int, int]) -> tuple[()]:
            sizes.append(size)
            return ()

    noting = system().but(boxes=Noted(most=(1080, 1920)), streams__image__most=None)
    here = Region("", points=((1.0, 1.0),))
    message = Message("user", (here, Picture(""), "a", here, Picture(""), here, "b", here))
    plan(noting, tokenizer(), [message], sizes=[(40, 30), (50, 20)])
    assert sizes == [(40, 30), (40, 30), (50, 20), (50, 20)]


def test_systems_without_places_refuse_regions() -> None:
    message = [Message("user", (Picture(""), Region("it", ((0.0, 0.0, 1.0, 1.0),))))]
    with pytest.raises(InputError, match="reads no regions"):
        plan(system().but(boxes=None), tokenizer(), message, sizes=[(40, 30)])
    with pytest.raises(InputError, match="does not read regions"):
        Boxes().pieces(Region("it"), (40, 30))


@pytest.mark.parametrize(("part", "word"), [
    ({"type": "region"}, "needs 'label'"),
    ({"type": "region", "label": 3}, "label"),
    ({"type": "region", "boxes": [1, 2, 3, 4]}, "lists of 4"),
    ({"type": "region", "boxes": [[1, 2, 3]]}, "lists of 4"),
    ({"type": "region", "boxes": 7}, "lists of 4"),
    ({"type": "region", "points": [["1", 2]]}, "lists of 2"),
    ({"type": "region", "points": [[True, 2]]}, "lists of 2"),
])  # fmt: skip
def test_regions_that_are_none(part: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        read_messages([{"role": "user", "content": [part]}])
    assert "message 1, part 1" in str(caught.value)


def test_regions_in_messages() -> None:
    part = {"type": "region", "label": "it", "boxes": [[1, 2, 3, 4.5]], "points": [[5, 6]]}
    (message,) = read_messages([{"role": "user", "content": [part, "?"]}])
    assert message.content == (Region("it", ((1.0, 2.0, 3.0, 4.5),), ((5.0, 6.0),)), "?")
    assert message.text == "?" and message.pictures == ()
    with pytest.raises(InputError, match="only user messages can hold regions"):
        read_messages([{"role": "user", "content": "a"}, {"role": "assistant", "content": [part]}])
