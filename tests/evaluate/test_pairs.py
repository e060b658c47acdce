"""Metrics equal CLIP_benchmark's own code, run at 48de38c on the numbers drawn here; see clip_benchmark.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anyvlm.data.pairs import Pair, PairSet
from anyvlm.errors import InputError
from anyvlm.evaluate import metrics, pairs
from anyvlm.inputs.policy import HALF, ImagePolicy

GOLD = json.loads((Path(__file__).parent / "clip_benchmark.json").read_text())
N, C = 60, 9


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def png(n: int) -> bytes:
    """A picture whose first pixel is n."""
    out = BytesIO()
    Image.new("RGB", (4, 4), (n, 0, 0)).save(out, "PNG")
    return out.getvalue()


@dataclass
class Table:
    """A model that knows its vectors by heart: of pictures by their first pixel, of texts by the number they are."""

    images: np.ndarray
    words: np.ndarray
    policy: ImagePolicy = field(default_factory=lambda: ImagePolicy(size=(4, 4), fit="stretch", mean=HALF, std=HALF))

    def pictures(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return unit(self.images[[round((float(array[0, 0, 0]) + 1) * 127.5) for array in arrays]])

    def texts(self, lines: Sequence[str]) -> np.ndarray:
        return unit(self.words[[int(line) for line in lines]])


@dataclass(frozen=True)
class Held(PairSet):
    """A data set in memory."""

    held: tuple[Pair, ...] = ()

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.held)


def drawn() -> tuple[Table, np.ndarray, np.ndarray, np.random.RandomState]:
    """The numbers that the reference was given; RandomState's stream never changes. Two sentences a class: "0", "1" of 0."""
    rng = np.random.RandomState(7)
    x, words = rng.randn(N, 8).astype(np.float32), rng.randn(C * 2, 8).astype(np.float32)
    y = rng.randint(0, C - 1, N)
    x += np.float32(0.4) * words.reshape(C, 2, 8).mean(1)[y]
    return Table(x, words), y, rng.rand(N, C) < 0.25, rng


def compared(name: str, ours: dict[str, metrics.Measured], theirs: dict[str, float]) -> None:
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        assert ours[key].value == pytest.approx(value, abs=1e-6), (name, key)
        assert ours[key].low <= ours[key].value <= ours[key].high and ours[key].high - ours[key].low < 0.6


class Sentences(Table):
    """Class c is written "c", and its two sentences are made of the templates "a{}" and "b{}"."""

    def texts(self, lines: Sequence[str]) -> np.ndarray:
        return unit(self.words[[2 * int(line[1:]) + (line[0] == "b") for line in lines]])


def test_classification_is_clip_benchmarks() -> None:
    table, y, many, _ = drawn()
    model = Sentences(table.images, table.words)
    held = tuple(Pair(str(n), png(n), (), (int(y[n]),)) for n in range(N))
    data = Held("held", tuple(map(str, range(C))), held=held)
    one = pairs.classify(model, data, ("a{}", "b{}"), batch=16)
    compared("classify", one.metrics, GOLD["classify"])
    held = tuple(replace(pair, labels=tuple(np.flatnonzero(many[n]).tolist())) for n, pair in enumerate(held))
    several = pairs.classify(model, replace(data, held=held), ("a{}", "b{}"))
    compared("multilabel", several.metrics, GOLD["multilabel"])


def test_retrieval_is_clip_benchmarks() -> None:
    *_, rng = drawn()
    img = rng.randn(20, 8).astype(np.float32)
    n = rng.randint(1, 5, 20)
    captions = np.stack([img[i] + np.float32(1.5) * rng.randn(8).astype(np.float32) for i in range(20) for _ in range(n[i])])
    at = np.cumsum([0, *n])
    held = tuple(Pair(str(i), png(i), tuple(map(str, range(at[i], at[i + 1])))) for i in range(20))
    scores = pairs.retrieve(Table(img, captions), Held("held", held=held), batch=7)
    compared("retrieve", scores.metrics, GOLD["retrieve"])
    single = tuple(replace(pair, captions=(text,)) for pair in held for text in pair.captions)  # a row for each caption
    assert pairs.retrieve(Table(img, captions), Held("held", held=single)).metrics == scores.metrics


def test_a_tie_is_a_miss() -> None:
    same, target = np.zeros((10, 4), np.float32), np.arange(10) % 4
    assert metrics.accuracy(same, target, 1).value == 0 and metrics.mean_per_class_recall(same, target).value == 0
    owner = np.arange(10)
    flat = np.zeros((10, 10), np.float32)
    assert metrics.recall_of_texts(flat, owner, 5).value == 0 == metrics.recall_of_images(flat, owner, 5).value
    assert metrics.average_precision(np.zeros(4, np.float32), np.array([True, False, False, False])) == 0.25


def test_intervals_hold_what_they_say() -> None:
    """Of 200 samples from a model that is right 70 % of the time, about 95 % of the intervals hold 0.7."""
    rng, held = np.random.RandomState(1), {"acc": 0, "mean": 0}
    for _ in range(200):
        right = rng.rand(90) < 0.7
        target = np.arange(90) % 3
        scores = np.zeros((90, 3), np.float32)
        scores[np.arange(90), np.where(right, target, (target + 1) % 3)] = 1
        held["acc"] += (one := metrics.accuracy(scores, target, 1)).low <= 0.7 <= one.high
        held["mean"] += (one := metrics.mean_per_class_recall(scores, target)).low <= 0.7 <= one.high
    assert 178 <= held["acc"] <= 200 and 178 <= held["mean"] <= 200


def test_bad_data_is_told() -> None:
    table, *_ = drawn()
    fine = Pair("fine", png(1), (), (0,))
    for data, around, said in (
        (Held("d", ("one",), held=(fine,)), ("{}",), "at least two are needed"),
        (Held("d", ("0", "1"), held=(fine,)), ("photo",), "must hold {}"),
        (Held("d", ("0", "1"), held=(replace(fine, labels=(7,)),)), ("{}",), "has the label 7"),
        (Held("d", ("0", "1"), held=(replace(fine, labels=None),)), ("{}",), "has no label"),
        (Held("d", ("0", "1"), held=(replace(fine, image=b"no"),)), ("{}",), "No picture of 'd' can be read"),
    ):
        with pytest.raises(InputError, match=said):
            pairs.classify(table, data, around)
    with pytest.raises(InputError, match="has no caption"):
        pairs.retrieve(table, Held("d", held=(fine,)))
    with pytest.raises(InputError, match="classnames.txt"):
        pairs.task_of(Held("d", held=(fine,)))
    some = pairs.classify(table, Held("d", ("0", "1"), held=(fine, replace(fine, key="bad", image=b"no"))), ("{}",))
    assert some.count == 1 and "bad" in some.broken
