"""Boxes as systems write them in text, and as pixels of the original picture: both ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from anyvlm.spec import Spec


@dataclass(frozen=True)
class Box:
    """xyxy: left, top, right, bottom in pixels of the original picture; score: None where the system gives none."""

    label: str
    xyxy: tuple[float, float, float, float]
    score: float | None = None


class Boxes(Spec):
    """Contract: how a system writes boxes. `size` is the (width, height) of the picture in pixels."""

    def read(self, text: str, size: tuple[int, int]) -> tuple[Box, ...]:
        """The boxes in a text; what is not whole is left out."""
        raise NotImplementedError

    def write(self, boxes: Sequence[Box], size: tuple[int, int]) -> str:
        """The text of boxes, as the system was trained to write it."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Locations(Boxes):
    """PaliGemma: "<loc0102><loc0204><loc0512><loc0700> cat ; ...": top, left, bottom, right in 1/`last` of the picture.

    Sixteen tokens "<seg000>" behind a box stand for its mask. They are passed over: masks need the weights of the authors'
    VQ-VAE, which is not part of the checkpoint. Sources: big_vision 5f95305 pp/proj/paligemma/segmentation.py (writes),
    evaluators/proj/paligemma/transfers/segmentation.py (reads; both divide by 1023).
    """

    last: int = 1023

    def read(self, text: str, size: tuple[int, int]) -> tuple[Box, ...]:
        """Boxes turned inside out or with numbers beyond `last` are left out."""
        width, height = size
        boxes = []
        for *numbers, label in _LOCATIONS.findall(text):
            top, left, bottom, right = (int(number) / self.last for number in numbers)
            if top <= bottom <= 1 and left <= right <= 1:
                boxes.append(Box(label.strip(), (left * width, top * height, right * width, bottom * height)))
        return tuple(boxes)

    def write(self, boxes: Sequence[Box], size: tuple[int, int]) -> str:
        """Rounded to the nearest step, cut off at the edges of the picture."""
        return " ; ".join(self._one(box, *size) for box in boxes)

    def _one(self, box: Box, width: int, height: int) -> str:
        left, top, right, bottom = box.xyxy
        shares = (top / height, left / width, bottom / height, right / width)
        steps = (min(max(round(share * self.last), 0), self.last) for share in shares)
        return "".join(f"<loc{step:04d}>" for step in steps) + f" {box.label}"


_LOCATIONS = re.compile(r"\s*".join([r"<loc(\d{4})>"] * 4) + r"(?:\s*<seg\d{3}>)*([^;<>]*)")
