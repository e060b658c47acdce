"""OpenAI's content lists, and what is wrong with them in one sentence."""

from __future__ import annotations

import pytest
from PIL import Image

from anyvlm.errors import InputError
from anyvlm.inputs.messages import Message, Picture, ask, read_messages


def test_order_is_kept() -> None:
    image = Image.new("RGB", (2, 2))
    content = [
        {"type": "text", "text": "before"},
        {"type": "image_url", "image_url": {"url": "a.png", "detail": "high"}},
        {"type": "image_url", "image_url": "b.png"},
        {"type": "input_image", "image_url": "c.png"},
        {"type": "image", "image": image},
        {"type": "input_text", "text": "after"},
    ]
    system, user = read_messages([{"role": "system", "content": "Be short."}, {"role": "user", "content": content}])
    assert system == Message("system", ("Be short.",))
    assert [p.source if isinstance(p, Picture) else p for p in user.content] == [
        "before",
        "a.png",
        "b.png",
        "c.png",
        image,
        "after",
    ]
    assert user.text == "before\nafter" and len(user.pictures) == 4
    assert read_messages([system, user]) == (system, user)


def test_ask_puts_images_first() -> None:
    for images, count in (("a.png", 1), (["a.png", b"x"], 2), ((), 0)):
        (message,) = ask(images, "What?")
        assert message.role == "user" and len(message.pictures) == count and message.content[-1] == "What?"


@pytest.mark.parametrize(
    ("items", "word"),
    [
        ([], "no messages"),
        (["hi"], "message 1: expected an object"),
        ([{"role": "tool", "content": "x"}], "role is 'tool'"),
        ([{"content": "x"}], "role is None"),
        ([{"role": "user"}], "content must be"),
        ([{"role": "user", "content": ""}], "empty"),
        ([{"role": "user", "content": []}], "empty"),
        ([{"role": "user", "content": [3]}], "part 1: expected text"),
        ([{"role": "user", "content": [{"type": "audio"}]}], "part 1: a part of type 'audio'"),
        ([{"role": "user", "content": [{"type": "text"}]}], "needs the field 'text'"),
        ([{"role": "user", "content": ["a", {"type": "image_url"}]}], "part 2: .* needs the field 'image_url'"),
        ([{"role": "user", "content": [{"type": "image"}]}], "needs the field 'image'"),
        ([{"role": "user", "content": "x"}, {"role": "system", "content": "x"}], "message 2: a system message"),
        ([{"role": "assistant", "content": [{"type": "image", "image": "a"}]}], "only user messages"),
    ],
)
def test_refused(items: list[object], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        read_messages(items)
    assert str(caught.value).endswith(".")
