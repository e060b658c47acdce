"""Reading, easy-vqa and plain chat."""

from __future__ import annotations

import numpy as np
import pytest

from anyvlm.data import quiz
from anyvlm.data.chat import chat
from anyvlm.data.reading import letters, reading, spelled
from anyvlm.data.sample import SIDE
from anyvlm.data.score import correct
from anyvlm.data.words import words


def test_words_for_evaluation_are_never_trained_on() -> None:
    seen, kept = set(words(False)), set(words(True))
    assert not seen & kept and len(seen) >= 2_000 and 0.08 < len(kept) / len(seen | kept) < 0.12
    rng = np.random.default_rng(0)
    for _ in range(150):
        shown = {turn.key for turn in reading(rng).turns if turn.task == "reading"}
        assert not {word for key in shown for word in key.split()} & kept
    assert {reading(rng, evaluation=True).turns[0].key for _ in range(20)} <= kept


def test_text_is_drawn_inside_and_can_be_seen() -> None:
    rng = np.random.default_rng(1)
    for _ in range(80):
        sample = reading(rng)
        (box, *each), (turn,) = sample.boxes, sample.turns
        text = box.name.strip('"')
        assert 0 <= box.x0 < box.x1 <= SIDE and 0 <= box.y0 < box.y1 <= SIDE
        letters_of = ", ".join(" ".join(word) for word in text.split())
        assert turn.key == (letters_of if turn.task == "spelling" else text)
        assert not each or "".join(b.name for b in each).lower() == text.replace(" ", "")
        assert correct(turn.task, turn.answer, turn.key) and letters_of in turn.answer
        assert sample.image is not None
        assert sample.image[box.y0 : box.y1, box.x0 : box.x1].std() > 8


def test_letters_spell_the_word_under_their_boxes() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        sample = spelled(rng)
        assert "".join(box.name for box in sample.boxes).lower() in words(False)
        assert all(a.x1 <= b.x1 for a, b in zip(sample.boxes, sample.boxes[1:], strict=False))
        assert all(box.name.islower() == (box.x0 % 28 < 14) for box in sample.boxes)
        for turn in letters(rng).turns:
            assert "".join(turn.question.removesuffix("?").split("spelled ")[1].split()) == turn.key
            assert turn.key not in words(True)


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("is no circle present?", "yes", "Yes, there is no circle."),
        ("is no blue shape present?", "no", "No, there is a blue shape."),
        ("is there a teal shape?", "yes", "Yes, there is a teal shape."),
        ("does the image not contain a triangle?", "yes", "Yes, there is no triangle."),
        ("what color is the shape?", "gray", "The color is gray."),
        ("what is the blue shape?", "circle", "The shape is a circle."),
    ],
)
def test_easy_vqa_sentences(question: str, answer: str, said: str) -> None:
    assert quiz.sentence(question, answer) == said
    assert correct("easy_vqa", said, answer)


def test_easy_vqa_questions_are_put_in_true_sentences() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        sample = quiz.quiz(rng)
        assert sample.image is not None and sample.image.shape == (SIDE, SIDE, 3)
        stated = {t.answer.split(", ")[-1] for t in sample.turns}
        for kind in {s.removeprefix("there is a ") for s in stated if s.startswith("there is a ")}:
            assert f"there is no {kind}" not in stated
        assert all(correct(t.task, t.answer, t.key) for t in sample.turns)


def test_chat_has_no_picture_and_is_seeded() -> None:
    a = [chat(np.random.default_rng(5)) for _ in range(2)]
    assert a[0] == a[1] and a[0].image is None
    rng = np.random.default_rng(0)
    questions = {turn.question for _ in range(2_000) for turn in chat(rng).turns}
    assert len(questions) > 500
