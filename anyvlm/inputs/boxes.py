"""How systems write places in text: there and back, in pixels of the original picture. `size` is its (width, height)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from anyvlm.errors import InputError
from anyvlm.inputs.regions import XYXY, Box, Mask, Point, Region
from anyvlm.inputs.template import Piece
from anyvlm.spec import Spec

if TYPE_CHECKING:
    from anyvlm.inputs.incremental import Decoding
    from anyvlm.inputs.tokenizer import Tokenizer


class Boxes(Spec):
    """Contract. A system writes boxes at least; what it does not write comes back empty."""

    def read(self, text: str, size: tuple[int, int]) -> tuple[Box, ...]:
        """The boxes in a text; what is not whole is left out."""
        raise NotImplementedError

    def points(self, text: str, size: tuple[int, int]) -> tuple[Point, ...]:
        """The points in it."""
        return ()

    def masks(self, text: str, size: tuple[int, int]) -> tuple[Mask, ...]:
        """The masks in it, still in code."""
        return ()

    def write(self, boxes: Sequence[Box], size: tuple[int, int]) -> str:
        """The text of boxes, as the system was trained to write it."""
        raise NotImplementedError

    def pieces(self, region: Region, size: tuple[int, int]) -> tuple[Piece, ...]:
        """How a region stands in a prompt. Raises InputError for one that cannot be said."""
        raise InputError("This system does not read regions; say in words what is meant.")

    def shown(self, text: str, whole: bool) -> str:
        """What of a growing text a reader sees; with more text, more of it and never less. `whole`: nothing comes after."""
        return text

    def stream(self, tokenizer: Tokenizer, size: tuple[int, int]) -> Decoding:
        """A decoder of ids that arrive one by one, into the text that the methods above read."""
        return tokenizer.stream()


@dataclass(frozen=True, kw_only=True)
class Locations(Boxes):
    """PaliGemma: "<loc0102><loc0204><loc0512><loc0700> cat ; ...": top, left, bottom, right in 1/`last` of the picture.

    Sixteen tokens "<seg000>" behind a box are the code of its mask (`parts.code.mask`). Sources: big_vision 5f95305
    pp/proj/paligemma/segmentation.py (writes), evaluators/proj/paligemma/transfers/segmentation.py (reads; both divide by
    1023).
    """

    last: int = 1023

    def read(self, text: str, size: tuple[int, int]) -> tuple[Box, ...]:
        """Boxes turned inside out or with numbers beyond `last` are left out."""
        return tuple(Box(label, xyxy) for label, xyxy, _ in self._found(text, size))

    def masks(self, text: str, size: tuple[int, int]) -> tuple[Mask, ...]:
        """Those of boxes that have all sixteen tokens, and an extent."""
        found = self._found(text, size)
        masks = (Mask(label, xyxy, ids) for label, xyxy, ids in found if len(ids) == _CODE and _extent(xyxy))
        return tuple(mask for mask in masks if max(mask.ids) < _CODES)

    def write(self, boxes: Sequence[Box], size: tuple[int, int]) -> str:
        """Rounded to the nearest step, cut off at the edges of the picture."""
        return " ; ".join("".join(self._steps(box.xyxy, *size)) + f" {box.label}" for box in boxes)

    def pieces(self, region: Region, size: tuple[int, int]) -> tuple[Piece, ...]:
        """The tokens of its boxes, then its words (as in "caption en" of a region, section 3.2.5 of the paper)."""
        if region.points:
            raise InputError("PaliGemma reads boxes and no points; give a small box instead.")
        steps = [step for xyxy in region.boxes for step in self._steps(xyxy, *size)]
        return (*(Piece(step, "special") for step in steps), Piece(region.label, "user"))

    def _found(self, text: str, size: tuple[int, int]) -> list[tuple[str, XYXY, tuple[int, ...]]]:
        width, height = size
        found = []
        for *numbers, code, label in _LOCATIONS.findall(text):
            top, left, bottom, right = (int(number) / self.last for number in numbers)
            if top <= bottom <= 1 and left <= right <= 1:
                ids = tuple(map(int, re.findall(r"\d{3}", code)))
                found.append((label.strip(), (left * width, top * height, right * width, bottom * height), ids))
        return found

    def _steps(self, xyxy: XYXY, width: int, height: int) -> list[str]:
        left, top, right, bottom = xyxy
        shares = (top / height, left / width, bottom / height, right / width)
        return [f"<loc{min(max(round(share * self.last), 0), self.last):04d}>" for share in shares]


_LOCATIONS = re.compile(r"\s*".join([r"<loc(\d{4})>"] * 4) + r"((?:\s*<seg\d{3}>)*)([^;<>]*)")
_CODE, _CODES = 16, 128


def _extent(xyxy: XYXY) -> bool:
    left, top, right, bottom = xyxy
    return left < right and top < bottom


@dataclass(frozen=True, kw_only=True)
class Phrases(Boxes):
    """KOSMOS-2: "<phrase> a dog</phrase><object><patch_index_0044><patch_index_0863></object>".

    The picture is a grid of `side` x `side` cells, counted line by line; two are the first and last corner of a box. Reading,
    writing and the text without markup are those of transformers' Kosmos2Processor.
    """

    side: int = 32

    def read(self, text: str, size: tuple[int, int]) -> tuple[Box, ...]:
        """Their corners are the middle of cells, or the edges of cells where both are the same or in one line or column.

        A box without a phrase before it has no label.
        """
        body = self._clean(text)
        bare = len(body) - len(body.lstrip())
        boxes = []
        for found in _OBJECT.finditer(text):
            phrase, label, objects = found.groups()
            span = None
            if phrase:
                start = len(self._clean(text[: found.start(2)])) - bare + len(label) - len(label.lstrip())
                span = (start, start + len(label.strip()))
            for first, last in re.findall(r"<patch_index_(\d+)><patch_index_(\d+)>", objects):
                boxes.append(Box((label or "").strip(), self._xyxy(int(first), int(last), size), span=span))
        return tuple(boxes)

    def write(self, boxes: Sequence[Box], size: tuple[int, int]) -> str:
        """Neighbours of one label become one phrase with several boxes. Raises InputError for a box without extent."""
        out: list[Region] = []
        for box in boxes:
            if out and out[-1].label == box.label:
                out[-1] = Region(box.label, (*out[-1].boxes, box.xyxy))
            else:
                out.append(Region(box.label, (box.xyxy,)))
        return "".join(piece.text for region in out for piece in self.pieces(region, size))

    def pieces(self, region: Region, size: tuple[int, int]) -> tuple[Piece, ...]:
        """A phrase, and its boxes if it has any. Raises InputError for points, and for a box without extent."""
        if region.points:
            raise InputError("KOSMOS-2 reads boxes and no points; give a small box instead.")
        out = []
        if region.label:
            words = (Piece(" ", "template"), Piece(region.label, "user"))
            out = [Piece("<phrase>", "special"), *words, Piece("</phrase>", "special")]
        corners = [self._corners(xyxy, size) for xyxy in region.boxes]
        for n, (first, last) in enumerate(corners):
            out.append(Piece("</delimiter_of_multi_objects/>" if n else "<object>", "special"))
            out += [Piece(f"<patch_index_{corner:04d}>", "special") for corner in (first, last)]
        return (*out, Piece("</object>", "special")) if corners else tuple(out)

    def shown(self, text: str, whole: bool) -> str:
        """Without markup, and without white space at both ends; held back is what may become markup."""
        out = self._clean(text)
        begun = out.find("<", out.rfind("\n") + 1)
        return (out if whole or begun < 0 else out[:begun]).strip()

    def _clean(self, text: str) -> str:
        return _TAG.sub("", text)

    def _xyxy(self, first: int, last: int, size: tuple[int, int]) -> XYXY:
        (top, left), (bottom, right) = divmod(first, self.side), divmod(last, self.side)
        a, b = (0.0, 1.0) if left == right or top == bottom else (0.5, 0.5)
        (width, height), side = size, self.side
        return (
            (left + a) / side * width, (top + a) / side * height, (right + b) / side * width, (bottom + b) / side * height,
        )  # fmt: skip

    def _corners(self, xyxy: XYXY, size: tuple[int, int]) -> tuple[int, int]:
        """The cells of the first and the last corner."""
        (width, height), side = size, self.side
        left, top, right, bottom = (
            min(max(at / length, 0.0), 1.0) for at, length in zip(xyxy, (width, height) * 2, strict=True)
        )
        if not _extent((left, top, right, bottom)):
            raise InputError(f"The box {xyxy} covers nothing of the picture of {width} x {height} pixels; give a larger one.")
        first, last = [floor(at * side) for at in (top, left)], [ceil(at * side - 1) for at in (bottom, right)]
        return first[0] * side + first[1], last[0] * side + last[1]


_TAG = re.compile("<.*?>")
_PAIR = r"<patch_index_\d+><patch_index_\d+>"
_OBJECT = re.compile(rf"(<phrase>([^<]+)</phrase>)?<object>((?:{_PAIR}</delimiter_of_multi_objects/>)*{_PAIR})</object>")


@dataclass(frozen=True, kw_only=True)
class Corners(Boxes):
    """Fuyu: "<box>388, 428, 404, 488</box>" (top, left, bottom, right), "<point>x, y</point>", without labels.

    In ids the marks are four bytes and every number is one token: half of the pixels in the picture as the model sees it,
    shrunk to fit into `most` (height, width). Texts have pixels of the original. As transformers' FuyuProcessor.
    """

    most: tuple[int, int]

    def read(self, text: str, size: tuple[int, int]) -> tuple[Box, ...]:
        """Four numbers between <box> and </box>."""
        found = (tuple(map(float, numbers)) for numbers in _BOX.findall(text))
        return tuple(Box("", (left, top, right, bottom)) for top, left, bottom, right in found)

    def points(self, text: str, size: tuple[int, int]) -> tuple[Point, ...]:
        """Two numbers between <point> and </point>."""
        return tuple(Point("", (float(x), float(y))) for x, y in _POINT.findall(text))

    def write(self, boxes: Sequence[Box], size: tuple[int, int]) -> str:
        """Whole pixels."""
        return "".join(_marked("box", _turned(box.xyxy)) for box in boxes)

    def pieces(self, region: Region, size: tuple[int, int]) -> tuple[Piece, ...]:
        """Its words, if any, then one token for each mark and number."""
        out = [Piece(region.label, "user")] if region.label else []
        scale = self._scale(size)
        places = [("box", _turned(xyxy)) for xyxy in region.boxes] + [("point", xy) for xy in region.points]
        for kind, numbers in places:
            opening, closing, _ = _MARKS[kind]
            steps = [str(round(number / 2 * scale)) for number in numbers]
            out += [Piece(token, "special") for token in (opening, *steps, closing)]
        return tuple(out)

    def stream(self, tokenizer: Tokenizer, size: tuple[int, int]) -> Decoding:
        """Numbers between marks, which plain decoding runs together, are parted and become pixels."""
        width, height = size
        # as theirs computes with tensors: whatever is divided by one is multiplied by its reciprocal in single precision
        sides = (self.most[0] * (_ONE / np.float32(height)), self.most[1] * (_ONE / np.float32(width)), _ONE)
        return _Marks(tokenizer, _ONE / min(map(np.float32, sides)))

    def _shrunk(self, size: tuple[int, int]) -> float:
        width, height = size
        return min(self.most[0] / height, self.most[1] / width, 1.0)

    def _scale(self, size: tuple[int, int]) -> float:
        """Of the height, whose pixels are whole: by it the processor writes, though it reads by the exact one."""
        return float(np.float32(int(size[1] * self._shrunk(size)) / size[1]))


class _Marks:
    """Ids to text, with "<box>388, 428, 404, 488</box>" in place of the six tokens of a box."""

    def __init__(self, tokenizer: Tokenizer, growth: np.float32) -> None:
        self._tokenizer, self._growth = tokenizer, growth
        self._plain, self._held = tokenizer.stream(), list[int]()
        self._marks = {tokenizer.find(mark): (kind, *marks) for kind, marks in _MARKS.items() for mark in marks[:1]}

    def push(self, id: int) -> str:
        """The text that is certain with this id."""
        if self._held:
            self._held.append(id)
            kind, _, closing, count = self._marks[self._held[0]]
            if id == self._tokenizer.find(closing) or len(self._held) == count + 2:
                return self._marked(kind, closing, count)
            return ""
        if id not in self._marks:
            return self._plain.push(id)
        self._held = [id]
        return self._plain.finish()

    def finish(self) -> str:
        """What was held back."""
        held, self._held = self._held, []
        return "".join(map(self._plain.push, held)) + self._plain.finish()

    def _marked(self, kind: str, closing: str, count: int) -> str:
        """The text of all held ids: of a whole box or point, else as plain text."""
        held, self._held = self._held, []
        numbers = [self._tokenizer.decode([id]).strip() for id in held[1:-1]]
        if len(numbers) == count and held[-1] == self._tokenizer.find(closing) and all(map(str.isdecimal, numbers)):
            return _marked(kind, [2 * int(np.float32(number) * self._growth) for number in numbers])
        return "".join(map(self._plain.push, held))


_ONE = np.float32(1)
_MARKS = {"box": ("<0x00>", "<0x01>", 4), "point": ("<0x02>", "<0x03>", 2)}
_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_BOX = re.compile("<box>" + ",".join([_NUMBER] * 4) + "</box>")
_POINT = re.compile("<point>" + ",".join([_NUMBER] * 2) + "</point>")


def _turned(xyxy: XYXY) -> tuple[float, ...]:
    """Top, left, bottom, right."""
    left, top, right, bottom = xyxy
    return top, left, bottom, right


def _marked(kind: str, numbers: Sequence[float]) -> str:
    return f"<{kind}>{', '.join(str(round(number)) for number in numbers)}</{kind}>"
