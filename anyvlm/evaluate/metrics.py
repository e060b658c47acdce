"""The numbers of CLIP_benchmark (LAION-AI/CLIP_benchmark at 48de38c, metrics/zeroshot_*.py), with intervals, in numpy.

One thing differs: a tie counts as a miss, where torch's order of equal scores decides there. A model whose vectors are all the
same scores 0 here.

N pictures, C classes, J texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyvlm.data.score import wilson

Floats = NDArray[np.float32] | NDArray[np.float64]
Ints = NDArray[np.int64]
_DRAWS = 1000


@dataclass(frozen=True)
class Measured:
    """A share between 0 and 1, and the interval it lies in with 95 % confidence."""

    value: float
    low: float
    high: float


# Classification -------------------------------------------------------------------------------------------------------


def ranks(scores_NC: Floats, target_N: Ints) -> Ints:
    """How many classes score as well as the true one or better: 0 is right at first place."""
    own_N: Floats = scores_NC[np.arange(len(target_N)), target_N]
    return np.asarray(np.greater_equal(scores_NC, own_N[:, None]).sum(1) - 1, np.int64)


def accuracy(scores_NC: Floats, target_N: Ints, k: int) -> Measured:
    """The share of pictures whose class is among the first k (acc1, acc5); Wilson's interval."""
    return _share(ranks(scores_NC, target_N) < k)


def mean_per_class_recall(scores_NC: Floats, target_N: Ints) -> Measured:
    """The mean over the classes that occur of the share that is right; bootstrap within each class."""
    right = ranks(scores_NC, target_N) < 1
    classes = [right[target_N == c] for c in np.unique(target_N)]
    draw = np.random.RandomState(0)  # its stream is the same in every version of numpy
    # of n pictures with a share p right, a resample has binomially many
    drawn = [draw.binomial(len(one), one.mean(), _DRAWS) / len(one) for one in classes]
    return _with_interval(float(np.mean([one.mean() for one in classes])), np.mean(drawn, 0))


def mean_average_precision(scores_NC: Floats, true_NC: NDArray[np.bool_]) -> Measured:
    """Where pictures have several classes: the mean over classes of average precision; bootstrap over pictures."""
    return _bootstrap(len(scores_NC), lambda rows: _map(scores_NC[rows], true_NC[rows]), draws=200)


def average_precision(scores_N: Floats, true_N: NDArray[np.bool_]) -> float:
    """The mean, over the true ones, of the precision at the place of each; 0 where none is true."""
    order = np.lexsort((true_N, -scores_N))  # of equal scores the false ones come first
    truth = true_N[order]
    precision = np.cumsum(truth) / np.arange(1, len(truth) + 1)
    return float(precision[truth].sum() / max(truth.sum(), 1))


def _map(scores_NC: Floats, true_NC: NDArray[np.bool_]) -> float:
    return float(np.mean([average_precision(scores_NC[:, c], true_NC[:, c]) for c in range(scores_NC.shape[1])]))


# Retrieval ------------------------------------------------------------------------------------------------------------


def recall_of_texts(scores_JN: Floats, image_J: Ints, k: int) -> Measured:
    """`text_retrieval_recall@k`: the share of pictures with one of their texts among the first k. `image_J`: of each text."""
    hit = np.zeros(scores_JN.shape[1], bool)
    for n in range(scores_JN.shape[1]):
        own = image_J == n
        best = scores_JN[own, n].max(initial=-np.inf)
        hit[n] = own.any() and (scores_JN[~own, n] >= best).sum() < k
    return _share(hit)


def recall_of_images(scores_JN: Floats, image_J: Ints, k: int) -> Measured:
    """`image_retrieval_recall@k`: the share of texts whose picture is among the first k; bootstrap over pictures."""
    hit_J = ranks(scores_JN, image_J) < k
    count = np.bincount(image_J, minlength=scores_JN.shape[1])
    hits = np.bincount(image_J, hit_J, minlength=scores_JN.shape[1])
    used = np.flatnonzero(count)
    return _bootstrap(len(used), lambda rows: float(hits[used[rows]].sum() / count[used[rows]].sum()))


# Intervals ------------------------------------------------------------------------------------------------------------


def _share(hit: NDArray[np.bool_]) -> Measured:
    return Measured(float(hit.mean()), *wilson(int(hit.sum()), len(hit)))


def _bootstrap(count: int, measure: Callable[[Ints], float], *, draws: int = _DRAWS) -> Measured:
    """The middle 95 % of what is measured on samples drawn with replacement."""
    draw = np.random.RandomState(0)
    return _with_interval(measure(np.arange(count)), [measure(draw.randint(0, count, count)) for _ in range(draws)])


def _with_interval(value: float, drawn: Sequence[float] | Floats) -> Measured:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Measured(value, min(float(low), value), max(float(high), value))
