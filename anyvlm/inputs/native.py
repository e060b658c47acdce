"""A picture at its own size, between two numbers of pixels (Qwen2-VL and those who see by its eyes)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, sqrt

from PIL import Image

from anyvlm.errors import InputError, SpecError
from anyvlm.inputs.policy import CLIP_MEAN, CLIP_STD, Array, ImagePolicy, Policy, Resample, Rounds, Triple
from anyvlm.parts.cut import Cut


@dataclass(frozen=True, kw_only=True)
class Native(Policy):
    """Both sides to the nearest multiple of `multiple`; then, with the proportions of the picture, as many multiples as fit
    into `most` pixels or as few as reach `least`. Pictures more than `ratio` times as long as wide are refused.

    `budget`: pixels of all frames of a video together; each has an equal share, but at least 1.05 times `least`.

    value = (pixel * rescale - mean) / std. Sources: transformers' `image_processing_pil_qwen2_vl.py` (`smart_resize`),
    qwen-vl-utils' `vision_process.py` (`fetch_video`).
    """

    least: int
    most: int
    multiple: int = 28
    budget: int | None = None
    ratio: int = 200
    resample: Resample = "bicubic"
    rounds: Rounds = "two"
    rescale: float = 1 / 255
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD

    def __post_init__(self) -> None:
        if not self.multiple**2 <= self.least <= self.most:
            raise SpecError(f"Native: {self.multiple}^2 <= least <= most is needed, but they are {self.least}, {self.most}.")

    def plan(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of the pixel array. Raises InputError beyond `ratio`."""
        if max(width, height) > self.ratio * min(width, height):
            raise InputError(
                f"A picture of {width} x {height} pixels is more than {self.ratio} times as long as wide; crop it first."
            )
        one = self.multiple
        # Python's round, to even: 14 pixels are nearer to 0 than to 28
        h, w = round(height / one) * one, round(width / one) * one
        if h * w > self.most:
            shrink = sqrt(height * width / self.most)
            return max(one, floor(height / shrink / one) * one), max(one, floor(width / shrink / one) * one)
        if h * w < self.least:
            grow = sqrt(self.least / (height * width))
            return ceil(height * grow / one) * one, ceil(width * grow / one) * one
        return h, w

    def of_frames(self, count: int) -> Native:
        """With fewer pixels the more frames there are."""
        if self.budget is None:
            return self
        return self.but(most=max(min(self.most, self.budget // count), int(self.least * 1.05)))

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return Cut((width, height), (self.plan(width, height),))

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        size = self.plan(*image.size)
        whole = ImagePolicy(
            size=size, fit="stretch", resample=self.resample, rounds=self.rounds, rescale=self.rescale, mean=self.mean,
            std=self.std,
        )  # fmt: skip
        return [whole.apply(image)]
