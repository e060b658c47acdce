"""Pairs of a video and its speech that overlap in time, and batches of neighbours: VideoCLIP's data (2109.14084).

As facebookresearch/fairseq 3d262bb examples/MMPT `mmpt/processors/how2processor.py` (TextClipSamplingProcessor,
VideoClipSamplingProcessor, OverlappedAligner) and `mmpt/tasks/retritask.py` (VideoRetriPredictor) draw them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from anyvlm.errors import InputError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Caption:
    """What is said from `start` to `end`, in seconds, as ids."""

    start: float
    end: float
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """Numbers of captions [text_start, text_end) and seconds [video_start, video_end) of one video."""

    text_start: int
    text_end: int
    video_start: int
    video_end: int


def overlapping(
    captions: Sequence[Caption], seconds: int, draw: Random, *, tokens: tuple[int, int] = (8, 64),
    rows: tuple[int, int] = (3, 32),
) -> Pair:  # fmt: skip
    """One pair of a video of so many seconds, one row each.

    The text is a caption, to which neighbours on either side are added up to a length drawn from `tokens` (the last may exceed
    it: readers cut); the video grows from a second in the text's time, second by second on either side, to a length drawn
    from `rows`, or to the whole. Raises InputError for a video without captions or rows.
    """
    if not captions or seconds < 1:
        raise InputError(f"A video of {seconds} seconds with {len(captions)} captions gives no pair; leave it out.")
    centre = draw.randrange(len(captions))
    text_start, text_end = _text(captions, centre, draw.randint(*tokens), draw)
    low, high = math.floor(captions[text_start].start), math.ceil(captions[text_end - 1].end)
    second = min(max(draw.randint(low, high) if low < high else (low + high) // 2, 0), seconds - 1)
    return Pair(text_start, text_end, *_video(seconds, second, draw.randint(*rows), draw))


def _text(captions: Sequence[Caption], centre: int, most: int, draw: Random, longest: float = 256.0) -> tuple[int, int]:
    """`longest`: seconds that a text lasts before it grows no more."""
    start, end, length = centre, centre + 1, len(captions[centre].ids)
    while length < most and end - start < len(captions) and captions[end - 1].end - captions[start].start < longest:
        behind = end < len(captions) and (draw.random() > 0.5 or start == 0)
        start, end = (start, end + 1) if behind else (start - 1, end)
        length += len(captions[end - 1 if behind else start].ids)
    return start, end


def _video(seconds: int, second: int, most: int, draw: Random) -> tuple[int, int]:
    start = end = second
    while end - start < min(most, seconds):
        behind = end < seconds and (start == 0 or draw.random() > 0.5)
        start, end = (start, end + 1) if behind else (start - 1, end)
    return start, end


def neighbours(vectors: Floats, draw: Random, *, size: int = 32, candidates: int = 64) -> list[list[int]]:
    """Batches of videos, by their numbers: len(vectors) // size times a video and its `candidates` nearest, of which `size` are
    drawn, so that the one in the middle may itself be left out.

    vectors: of every video the mean of its clips' points, (videos, width); `mean_points`.
    """
    batches = []
    for centre in draw.sample(range(len(vectors)), len(vectors) // size):
        distance = np.square(vectors - vectors[centre]).sum(1)
        nearest = [int(n) for n in np.argsort(distance, kind="stable")[: candidates + 1] if n != centre]
        found = [centre, *nearest[: candidates - 1]]
        batches.append(draw.sample(found, size) if len(found) > size else found)
    return batches


def mean_points(video_CE: Floats, text_CE: Floats, clips: int) -> Floats:
    """(videos, width): of every video the mean over its `clips` neighbouring pairs, and over both sides of each."""
    both: Floats = ((video_CE + text_CE) / 2).reshape(-1, clips, video_CE.shape[1]).mean(1)
    return both
