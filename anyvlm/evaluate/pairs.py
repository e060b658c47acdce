"""Zero-shot classification and retrieval on any data set of pictures with labels or captions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anyvlm.data.pairs import Pair, PairSet
from anyvlm.errors import InputError
from anyvlm.evaluate.metrics import (
    Measured,
    accuracy,
    mean_average_precision,
    mean_per_class_recall,
    recall_of_images,
    recall_of_texts,
)
from anyvlm.inputs.decode import FEW, Held, decoded, workers_for
from anyvlm.inputs.policy import Policy

RECALLS = (1, 5, 10)


class Embedder(Protocol):
    """What is measured: pictures and texts as vectors of length 1 in one space (`anyvlm.search.embedder`)."""

    @property
    def policy(self) -> Policy: ...
    def pictures(self, arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]: ...
    def texts(self, lines: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Scores:
    """Named metrics; `count` pictures, and `broken`: those that could not be read, which are not counted -> why."""

    task: str
    count: int
    metrics: dict[str, Measured]
    broken: dict[str, str]


def task_of(data: PairSet) -> str:
    """"classify" where the pictures have labels, "retrieve" where they have captions. Raises InputError for neither."""
    first = next(iter(data), None)
    if first is None:
        raise InputError(f"There are no samples in '{data.where}'.")
    if first.labels is not None and data.classes:
        return "classify"
    if first.captions:
        return "retrieve"
    more = "; put the names of its classes into classnames.txt beside it" if first.labels is not None else ""
    raise InputError(f"The samples of '{data.where}' have neither labels nor captions{more}.")


def classify(
    embedder: Embedder, data: PairSet, templates: Sequence[str], *, batch: int = 32, workers: int | None = None
) -> Scores:
    """Which class fits best, by the mean over templates of its sentences: acc1, acc5, mean_per_class_recall.

    Where some pictures have several classes: mean_average_precision alone. `templates`: with {} for the class. `workers`:
    processes that decode; None: as many as pay.
    """
    if len(data.classes) < 2:
        raise InputError(f"'{data.where}' has {len(data.classes)} classes; at least two are needed to choose among.")
    if not templates or any("{}" not in one for one in templates):
        raise InputError("A template must hold {} where the class goes, such as 'a photo of a {}.'; give at least one.")
    means = [embedder.texts([one.replace("{}", name) for one in templates]).mean(0) for name in data.classes]
    heads = np.stack([mean / np.linalg.norm(mean) for mean in means])
    scores, labels, broken = list[NDArray[np.float32]](), list[tuple[int, ...]](), dict[str, str]()
    for some, vectors in _embedded(embedder, data, batch, broken, workers):
        for pair, vector in zip(some, vectors, strict=True):
            if pair.labels is None:
                raise InputError(f"'{pair.key}' has no label.")
            if not all(0 <= label < len(data.classes) for label in pair.labels):
                raise InputError(f"'{pair.key}' has the label {pair.labels[0]}, and there are {len(data.classes)} classes.")
            labels.append(pair.labels)
            scores.append(heads @ vector)
    if not scores:
        raise InputError(f"No picture of '{data.where}' can be read.")
    table = np.stack(scores)
    if any(len(some) != 1 for some in labels):
        truth = np.zeros(table.shape, bool)
        for n, several in enumerate(labels):
            truth[n, list(several)] = True
        return Scores("classify", len(table), {"mean_average_precision": mean_average_precision(table, truth)}, broken)
    target = np.array([label for (label,) in labels])
    metrics = {"acc1": accuracy(table, target, 1)}
    if len(data.classes) >= 5:
        metrics["acc5"] = accuracy(table, target, 5)
    return Scores("classify", len(table), metrics | {"mean_per_class_recall": mean_per_class_recall(table, target)}, broken)


def retrieve(
    embedder: Embedder, data: PairSet, *, recalls: Sequence[int] = RECALLS, batch: int = 32, workers: int | None = None
) -> Scores:
    """Texts by picture and pictures by text: {text,image}_retrieval_recall@k. Rows of the same picture are one picture."""
    number, owner, lines = dict[str, int](), list[int](), list[str]()
    images, broken = list[NDArray[np.float32]](), dict[str, str]()
    for some, vectors in _embedded(embedder, data, batch, broken, workers):
        for pair, vector in zip(some, vectors, strict=True):
            if not pair.captions:
                raise InputError(f"'{pair.key}' has no caption.")
            if pair.key not in number:
                number[pair.key] = len(images)
                images.append(vector)
            lines += pair.captions
            owner += [number[pair.key]] * len(pair.captions)
    if not images:
        raise InputError(f"No picture of '{data.where}' can be read.")
    texts = np.concatenate([embedder.texts(lines[start : start + batch]) for start in range(0, len(lines), batch)])
    scores, image_of = texts @ np.stack(images).T, np.array(owner)
    metrics = {f"text_retrieval_recall@{k}": recall_of_texts(scores, image_of, k) for k in recalls}
    metrics |= {f"image_retrieval_recall@{k}": recall_of_images(scores, image_of, k) for k in recalls}
    return Scores("retrieve", len(images), metrics, broken)


def _embedded(
    embedder: Embedder, data: PairSet, batch: int, broken: dict[str, str], workers: int | None
) -> Iterator[tuple[list[Pair], NDArray[np.float32]]]:
    """Pairs with the vectors of their pictures, `batch` at a time; those that cannot be read go into `broken`."""
    some, arrays, waiting = list[Pair](), list[NDArray[np.float32]](), deque[Pair]()

    def sources(pairs: Iterable[Pair]) -> Iterator[str | Held]:
        for pair in pairs:
            waiting.append(pair)
            yield Held(pair.key, pair.image) if isinstance(pair.image, bytes) else str(pair.image)

    pairs = iter(data)
    first = list(islice(pairs, FEW))
    count = workers_for(len(first)) if workers is None else workers
    for each in decoded(sources(chain(first, pairs)), embedder.policy, workers=count):
        pair = waiting.popleft()
        if each.error:
            broken[pair.key] = each.error
            continue
        some.append(pair)
        arrays.append(each.array)
        if len(some) == batch:
            yield some, embedder.pictures(arrays)
            some, arrays = [], []
    if some:
        yield some, embedder.pictures(arrays)
