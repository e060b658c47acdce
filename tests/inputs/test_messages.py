"""OpenAI's content lists, and what is wrong with them in one sentence."""

from __future__ import annotations

import pytest
from PIL import Image

from anyvlm.errors import InputError
from anyvlm.inputs.messages import Message, Picture, Video, ask, read_messages


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


def test_videos() -> None:
    content = [
        {"type": "video", "video": "a.mp4", "fps": 0.5},
        {"type": "image", "image": "b.png"},
        {"type": "video_url", "video_url": {"url": "c.mp4"}, "frames": 8},
        Video("d.mp4"),
        "What?",
    ]
    (message,) = read_messages([{"role": "user", "content": content}])
    found = [(part.source, part.fps, part.frames) for part in message.media if isinstance(part, Video)]
    assert found == [("a.mp4", 0.5, None), ("c.mp4", None, 8), ("d.mp4", None, None)]
    assert len(message.media) == 4 and len(message.pictures) == 1
    (asked,) = ask(["a.png", Video("a.mp4")], "What?")
    assert [type(part) for part in asked.content] == [Picture, Video, str]


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
        ([{"role": "assistant", "content": [{"type": "video", "video": "a"}]}], "only user messages"),
        ([{"role": "user", "content": [{"type": "video"}]}], "part 1: .* needs the field 'video'"),
        ([{"role": "user", "content": [{"type": "video_url", "video_url": 3}]}], "needs the field 'video_url'"),
        ([{"role": "user", "content": [{"type": "video", "video": "a", "fps": "2"}]}], "part 1: fps and frames"),
        ([{"role": "user", "content": [{"type": "video", "video": "a", "fps": 0}]}], "part 1: fps is 0"),
        ([{"role": "user", "content": [{"type": "video", "video": "a", "frames": -1}]}], "part 1: frames is -1"),
    ],
)
def test_refused(items: list[object], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        read_messages(items)
    assert str(caught.value).endswith(".")
