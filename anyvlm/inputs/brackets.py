"""Boxes as plain digits between double brackets (CogVLM)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from anyvlm.inputs.boxes import Boxes
from anyvlm.inputs.regions import Box


@dataclass(frozen=True, kw_only=True)
class Brackets(Boxes):
    """"a cat [[102,204,512,700;010,020,030,040]]": left, top, right, bottom in 1/`steps` of the picture, three digits each.

    A box's label is the text since the box before. Source: THUDM/CogVLM f7283b2 README.md ("Task Prompts") and
    utils/utils/grounding_parser.py, which finds labels with a parser of English.
    """

    steps: int = 1000

    def read(self, text: str, size: tuple[int, int]) -> tuple[Box, ...]:
        """Boxes turned inside out, and those that are not four numbers, are left out."""
        width, height = size
        boxes = []
        for label, inner in _BOXES.findall(text):
            for one in inner.split(";"):
                numbers = _FOUR.fullmatch(one.strip())
                if numbers is None:
                    continue
                left, top, right, bottom = (int(number) / self.steps for number in numbers.groups())
                if left <= right and top <= bottom:
                    boxes.append(Box(label.strip(), (left * width, top * height, right * width, bottom * height)))
        return tuple(boxes)

    def write(self, boxes: Sequence[Box], size: tuple[int, int]) -> str:
        """Rounded to the nearest step, cut off at the edges of the picture."""
        return " ".join(f"{box.label} [[{self._one(box, *size)}]]".strip() for box in boxes)

    def _one(self, box: Box, width: int, height: int) -> str:
        left, top, right, bottom = box.xyxy
        shares = (left / width, top / height, right / width, bottom / height)
        return ",".join(f"{min(max(round(share * self.steps), 0), self.steps - 1):03d}" for share in shares)


_BOXES = re.compile(r"([^\[\]]*)\[\[([^\[\]]*)\]\]")
_FOUR = re.compile(r",".join([r"\s*(\d{1,3})\s*"] * 4))
