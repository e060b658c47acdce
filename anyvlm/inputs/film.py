"""How a video goes in by a stream made for pictures: which frames are seen, at what size, and how the prompt tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

import numpy as np

from anyvlm.errors import SpecError
from anyvlm.inputs.policy import Policy
from anyvlm.parts.cut import Cut
from anyvlm.spec import Spec

if TYPE_CHECKING:
    from anyvlm.inputs.video import Footage
    from anyvlm.parts.features import Grid

Cells = tuple["str | Grid", ...]


class Sampler(Spec):
    """Contract of samplers: which of a video's frames are seen. `most`: at most so many, unless the user says."""

    most: int

    def pick(self, footage: Footage, fps: float | None, most: int) -> Sequence[int]:
        """Numbers of frames, growing; `fps` where the user says how many of a second."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Spread(Sampler):
    """`most` frames of every video, from the first to the last (LLaVA-OneVision); short ones show some frames twice.

    Source: LLaVA-VL/LLaVA-NeXT docs/LLaVA_OneVision_Tutorials.ipynb (`load_video`).
    """

    most: int

    def pick(self, footage: Footage, fps: float | None, most: int) -> Sequence[int]:
        """Rounded down."""
        count = most if fps is None else min(most, max(1, round(fps * footage.duration)))
        return [int(n) for n in np.linspace(0, footage.count - 1, count, dtype=int)]


@dataclass(frozen=True, kw_only=True)
class Paced(Sampler):
    """`fps` frames of a second, `least` to `most` of them and no more than there are, a multiple of `multiple` (Qwen2-VL).

    Source: qwen-vl-utils 0.0.10 `vision_process.py`; transformers' own sampling takes other frames, none near the end. A
    video with fewer frames than `multiple`, which that code refuses, is seen whole.
    """

    fps: float
    least: int
    most: int
    multiple: int

    def pick(self, footage: Footage, fps: float | None, most: int) -> Sequence[int]:
        """The nearest to equal distances, the first and the last among them."""
        count = min(max(footage.count / footage.rate * (fps or self.fps), self.least), most, footage.count)
        whole = floor(count / self.multiple) * self.multiple or floor(count)
        return evenly(footage.count, whole)


@dataclass(frozen=True, kw_only=True)
class Skimmed(Sampler):
    """`fps` frames of a second, at most `most`; of a long video not the first and last `skip` seconds (SmolVLM2).

    Source: transformers `video_processing_smolvlm.py` (`sample_frames`).
    """

    fps: float
    most: int
    skip: float

    def pick(self, footage: Footage, fps: float | None, most: int) -> Sequence[int]:
        """Rounded down, each once."""
        fps = fps or self.fps
        count = max(1, min(round(fps * footage.duration), most))
        first, last = 0, footage.count - 1
        if footage.duration - 2 * self.skip > most * fps:
            first, last = int(self.skip * footage.rate), min(int(footage.count - self.skip * footage.rate), last)
        if first >= last:
            first, last = 0, footage.count - 1
        return [int(n) for n in np.unique(np.linspace(first, last, count, dtype=int))]


def evenly(count: int, places: int) -> list[int]:
    """So many of the numbers below `count` at equal distances, the first and the last among them.

    They are those of `torch.linspace(0, count - 1, places).round()`, which counts from both ends with one rounding each.
    """
    step = np.float64(np.float32(count - 1) / np.float32(max(places - 1, 1)))
    ahead = np.arange(places)
    exact = np.where(ahead < places // 2 + (places == 1), step * ahead, count - 1 - step * (places - 1 - ahead))
    out: list[int] = np.rint(exact.astype(np.float32)).astype(int).tolist()
    return out


class Script(Spec):
    """Contract: text and cells of a video. Text is read together with the text around it, cells are places of their own."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every control token it may write."""
        return ()

    def lines(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[str | Cells, ...]:
        """In order; together the cells hold the rows of `grids`, in their order."""
        return (grids,)


@dataclass(frozen=True, kw_only=True)
class Narrated(Script):
    """How many frames there are and how long the video is, then each frame behind its time (SmolVLM2).

    Source: transformers `processing_smolvlm.py` (`replace_video_token`), which counts frames in words.
    """

    intro: str = "You are provided the following series of {} frames from a {} [H:MM:SS] video.\n"
    frame: str = "\nFrame from {:02d}:{:02d}:"
    outro: str = "\n\n"
    around: str = "<fake_token_around_image>"
    whole: str = "<global-img>"

    @property
    def tokens(self) -> tuple[str, ...]:
        """Those of a frame."""
        return self.around, self.whole

    def lines(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[str | Cells, ...]:
        """Intro, frames, outro."""
        ((t, h, w),) = grids
        seconds = int(cut.duration)
        out: list[str | Cells] = [
            self.intro.format(in_words(t), f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}")
        ]
        for time in cut.times:
            out += [self.frame.format(int(time // 60), int(time % 60)), (self.around, self.whole, (1, h, w), self.around)]
        return (*out, self.outro)


@dataclass(frozen=True, kw_only=True)
class Film(Spec):
    """How a video goes in: which frames (`sampler`), each by `policy`, told by `script`.

    `placeholder`: the token whose places its rows take in prompt ids, if not the pictures'. `pace`: positions on the axis of
    time that a second takes; None: a row of the grid takes one, however long it lasts (Qwen2-VL).
    """

    sampler: Sampler
    policy: Policy
    script: Script = Script()
    placeholder: str | None = None
    pace: float | None = None

    def cut(self, footage: Footage, fps: float | None = None, most: int | None = None) -> Cut:
        """What a video becomes. `fps` and `most` are the user's wishes, if any. Raises InputError by its size."""
        frames = tuple(self.sampler.pick(footage, fps, most or self.sampler.most))
        policy = self.policy.of_frames(len(frames))
        size = (footage.width, footage.height)
        one = policy.cut(*size).sizes
        if len(one) != 1:
            raise SpecError(f"Film: a frame of {size} pixels becomes {len(one)} arrays; it must be one.")
        times = tuple(map(footage.time, frames))
        return Cut(size, one * len(frames), frames=frames, times=times, duration=footage.duration)

    def step(self, cut: Cut, patch: int) -> float:
        """Positions that a row of the grid takes on the axis of time, where it lasts `patch` frames."""
        return 1.0 if self.pace is None else self.pace * patch * cut.duration / len(cut.frames)


ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """64 -> "sixty-four", up to a million, as the package num2words writes it."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens] + (f"-{ONES[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{ONES[hundreds]} hundred" + (f" and {in_words(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    link = " and " if rest < 100 else ", "
    return f"{in_words(thousands)} thousand" + (link + in_words(rest) if rest else "")
