"""The evaluation sets, on the real icons, which are fetched and drawn once (about a minute)."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from filelock import FileLock

from anyvlm.data import held_out
from anyvlm.data.icons import HELD_OUT, TRAINING_STYLES, atlas_dir, open_atlas


@pytest.fixture(scope="session")
def icons() -> None:
    """The icons in the cache; one worker draws what it lacks, the others wait."""
    atlas_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(atlas_dir() / "lock"):
        open_atlas()
        open_atlas((HELD_OUT,))


def test_training_styles_leave_the_held_out_one_out() -> None:
    assert HELD_OUT not in TRAINING_STYLES and len(TRAINING_STYLES) >= 7


@pytest.mark.network
def test_atlas_has_enough_names_in_enough_styles(icons: None) -> None:
    training, evaluation = open_atlas(), open_atlas((HELD_OUT,))
    assert len(training.names) >= 1_300 and training.names == evaluation.names
    assert HELD_OUT not in training.styles
    for thing in training.names:
        assert len(training.styles_of(thing)) >= 3 and evaluation.styles_of(thing) == (HELD_OUT,)
    assert len({thing.key for thing in training.names}) == len(training.names)
    rng = np.random.default_rng(0)
    for i in rng.choice(len(training.names), 200, replace=False):
        for style in training.styles_of(training.names[i]):
            assert training.icon(style, training.names[i])[..., 3].max() > 100, (style, training.names[i])


@pytest.mark.network
def test_sets_are_fixed_and_balanced(icons: None) -> None:
    first, again = (list(islice(held_out.naming(), 5)) for _ in range(2))
    assert all(np.array_equal(a.image, b.image) and a.key == b.key for a, b in zip(first, again, strict=True))
    assert Counter(item.key for item in held_out.counting(60)) == Counter({str(n): 10 for n in range(1, 7)})
    keys = Counter(item.key for item in held_out.directions(40))
    assert keys == Counter({"left": 10, "right": 10, "above": 10, "below": 10})
