"""What counts as right, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.data.grammar import NAMING_ONE, NUMBERS
from anyvlm.data.names import name
from anyvlm.data.score import correct, wilson


@pytest.mark.parametrize(
    ("task", "said", "key", "right"),
    [
        ("naming", "This is a red apple.", "red apple", True),
        ("naming", "It's an owl", "owl", True),
        ("naming", "Owl.", "owl", True),
        ("naming", "This is a black cat.", "cat", False),
        ("naming", "This is a cat.", "black cat", False),
        ("naming", "These are grapes.", "grapes", True),
        ("naming", "This is the flag of the United States.", "flag of the united states", True),
        ("naming", "This is Mrs. Claus.", "mrs. claus", True),
        ("naming", "This is a cat. It sits on a mat.", "cat", True),
        ("naming", "A rocket is at the top left.", "rocket", True),
        ("naming", "This is a man’s shoe.", "man's shoe", True),
        ("naming", "", "cat", False),
        ("count", "There are three owls.", "3", True),
        ("count", "There are 3 owls.", "3", True),
        ("count", "3", "3", True),
        ("count", "There are thirteen owls.", "3", False),
        ("count", "Many.", "3", False),
        ("relation", "The cat is to the left of the tree.", "left", True),
        ("relation", "The cat is under the tree.", "below", True),
        ("relation", "The left arrow is to the right of the cat.", "right", True),
        ("relation", "The left arrow is to the right of the cat.", "left", False),
        ("relation", "left", "left", True),
        ("relation", "left or right", "left", False),
        ("relation", "Yes, the cat is above the tree.", "yes", True),
        ("relation", "The owl is to the left of the cat.", "owl", True),
        ("presence", "No, there is no cat.", "no", True),
        ("presence", "Nothing is there.", "no", False),
        ("reading", 'The text says "Apple Tree".', "apple tree", True),
        ("reading", "It says apple.", "apple", True),
        ("reading", 'It says "apples".', "apple", False),
        ("easy_vqa", "The color is gray.", "gray", True),
        ("easy_vqa", "The circle is teal.", "teal", True),
        ("easy_vqa", "It is red or blue.", "red", False),
        ("easy_vqa", "Yes, there is no circle.", "yes", True),
        ("position", "The cat is in the top left corner.", "top left", True),
        ("listing", "I see a cat, a fork and knife and an owl.", "owl; cat; fork and knife", True),
    ],
)
def test_correct(task: str, said: str, key: str, right: bool) -> None:
    assert correct(task, said, key) is right


@given(st.sampled_from(NAMING_ONE), st.sampled_from(["red apple", "owl", "grapes", "flag of France", "Mount Fuji"]))
def test_every_naming_template_is_understood(form: tuple[str, str], text: str) -> None:
    thing = name(text)
    assert correct("naming", form[1].format(thing.noun), thing.key)
    assert not correct("naming", form[1].format("a " + text + " tree"), thing.key)


@given(st.integers(0, 12))
def test_numbers_in_words_and_digits(n: int) -> None:
    assert correct("count", f"There are {NUMBERS[n]} cats.", str(n)) and correct("count", f"I count {n}.", str(n))


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_share(right: int, extra: int) -> None:
    low, high = wilson(right, right + extra)
    assert 0 <= low <= right / (right + extra) <= high <= 1


def test_wilson_known_value() -> None:
    low, high = wilson(80, 100)
    assert (round(low, 4), round(high, 4)) == (0.7112, 0.8666)  # R: prop.test(80, 100, correct=FALSE)
