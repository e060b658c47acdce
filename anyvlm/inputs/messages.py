"""What a user says: turns of text, pictures, their regions, videos; in OpenAI's content-list form or as (images, question)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from anyvlm.errors import InputError
from anyvlm.inputs.image import ImageSource
from anyvlm.inputs.regions import Region
from anyvlm.inputs.video import VideoSource

Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture at its place in a message; the source is not opened yet."""

    source: ImageSource


@dataclass(frozen=True, eq=False)
class Video:
    """A video at its place in a message, not opened yet. `fps`: so many frames of a second are looked at, `frames`: at most
    so many of all; the system's own numbers where None."""

    source: VideoSource
    fps: float | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise InputError(f"fps is {self.fps}; it must be more than 0 frames a second.")
        if self.frames is not None and self.frames < 1:
            raise InputError(f"frames is {self.frames}; at least one frame of a video must be looked at.")


Part: TypeAlias = str | Picture | Video | Region


@dataclass(frozen=True)
class Message:
    """One turn. `content` keeps its parts in the order in which they were given."""

    role: Role
    content: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, a line break between neighbours."""
        return "\n".join(part for part in self.content if isinstance(part, str))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(part for part in self.content if isinstance(part, Picture))

    @property
    def media(self) -> tuple[Picture | Video, ...]:
        """Pictures and videos."""
        return tuple(part for part in self.content if isinstance(part, (Picture, Video)))


Medium: TypeAlias = ImageSource | Picture | Video


def ask(images: Medium | list[Medium] | tuple[Medium, ...], question: str) -> tuple[Message, ...]:
    """One user turn: the images and videos (one, several or none), then the question."""
    several = images if isinstance(images, (list, tuple)) else (images,)
    media = (each if isinstance(each, (Picture, Video)) else Picture(each) for each in several)
    return (Message("user", (*media, question)),)


def read_messages(items: Iterable[Message | Mapping[str, object]]) -> tuple[Message, ...]:
    """Messages in OpenAI's form: ``{"role": ..., "content": "text" | [part, ...]}``.

    Parts: ``{"type": "text", "text": ...}``, ``{"type": "image_url", "image_url": {"url": ...} | url}``,
    ``{"type": "input_image", "image_url": url}``, ``{"type": "image", "image": source}``, ``{"type": "region", "label":
    "words", "boxes": [[left, top, right, bottom], ...], "points": [[x, y], ...]}`` in pixels of the picture before it,
    ``{"type": "video", "video": source}`` and ``{"type": "video_url", "video_url": {"url": ...} | url}``, both with `fps`
    and `frames` if wanted. A `detail` beside an image has no effect: the resolution belongs to the system.
    Raises InputError with the place of what is wrong.
    """
    messages = tuple(_message(item, f"message {n}") for n, item in enumerate(items, 1))
    if not messages:
        raise InputError("There are no messages; give at least one from the user.")
    for n, message in enumerate(messages, 1):
        if message.role == "system" and n > 1:
            raise InputError(f"message {n}: a system message is only possible as the first.")
        if message.role != "user" and message.media:
            raise InputError(f"message {n}: only user messages can hold images and videos.")
        if message.role != "user" and any(isinstance(part, Region) for part in message.content):
            raise InputError(f"message {n}: only user messages can hold regions.")
    return messages


def _message(item: Message | Mapping[str, object], at: str) -> Message:
    if isinstance(item, Message):
        return item
    if not isinstance(item, Mapping):
        raise InputError(f"{at}: expected an object with role and content, found {type(item).__name__}.")
    role, content = item.get("role"), item.get("content")
    if role not in get_args(Role):
        raise InputError(f"{at}: the role is {role!r}; it must be one of {', '.join(get_args(Role))}.")
    if isinstance(content, str):
        parts: tuple[Part, ...] = (content,)
    elif isinstance(content, (list, tuple)):
        parts = tuple(_part(part, f"{at}, part {n}") for n, part in enumerate(content, 1))
    else:
        raise InputError(f"{at}: the content must be text or a list of parts, not {type(content).__name__}.")
    if not any(parts):
        raise InputError(f"{at}: the content is empty.")
    return Message(role, parts)  # type: ignore[arg-type]  # the role was checked above


def _part(part: object, at: str) -> Part:
    if isinstance(part, (str, Picture, Video, Region)):
        return part
    match part:
        case {"type": "text" | "input_text" | "output_text", "text": str(text)}:
            return text
        case {"type": "image_url" | "input_image", "image_url": {"url": str(url)}}:
            return Picture(url)
        case {"type": "image_url" | "input_image", "image_url": str(url)}:
            return Picture(url)
        case {"type": "image", "image": source} if source is not None:
            return Picture(source)
        case {"type": "region", **fields}:
            return _region(fields, at)
        case {"type": "video", "video": source, **rest} if source is not None:
            return _video(source, rest, at)
        case {"type": "video_url", "video_url": ({"url": str(url)} | str(url)), **rest}:
            return _video(url, rest, at)
        case {"type": str(kind)} if kind in _FIELD:
            raise InputError(f"{at}: a part of type '{kind}' needs the field {_FIELD[kind]}.")
        case {"type": kind}:
            raise InputError(
                f"{at}: a part of type {kind!r} is not understood; use text, image_url, input_image, image, region, "
                "video_url or video."
            )
    raise InputError(f"{at}: expected text or an object with a type, found {type(part).__name__}.")


def _region(part: Mapping[object, object], at: str) -> Region:
    label = part.get("label", "")
    if not isinstance(label, str):
        raise InputError(f"{at}: the label of a region must be text, not {type(label).__name__}.")
    boxes, points = (_places(part.get(name, ()), length, f"{at}, {name}") for name, length in (("boxes", 4), ("points", 2)))
    if not (label or boxes or points):
        raise InputError(f"{at}: a region needs 'label', 'boxes' or 'points'.")
    return Region(label, tuple((a, b, c, d) for a, b, c, d in boxes), tuple((x, y) for x, y in points))


def _places(value: object, length: int, at: str) -> list[list[float]]:
    """Lists of so many numbers."""
    places = []
    for place in value if isinstance(value, (list, tuple)) else [value]:
        found = list(place) if isinstance(place, (list, tuple)) else []
        numbers = [float(n) for n in found if type(n) in (int, float)]
        if not len(numbers) == len(found) == length:
            raise InputError(f"{at}: expected lists of {length} numbers (pixels), found {place!r}.")
        places.append(numbers)
    return places


def _video(source: VideoSource, wishes: Mapping[object, object], at: str) -> Video:
    fps, frames = wishes.get("fps"), wishes.get("frames")
    if not isinstance(fps, (int, float, type(None))) or not isinstance(frames, (int, type(None))):
        raise InputError(f"{at}: fps and frames of a video are numbers, not {fps!r} and {frames!r}.")
    try:
        return Video(source, fps, frames)
    except InputError as error:
        raise InputError(f"{at}: {error}") from None


_FIELD = {
    "text": "'text' with a string",
    "input_text": "'text' with a string",
    "output_text": "'text' with a string",
    "image_url": "'image_url' with {'url': ...}",
    "input_image": "'image_url' with an address",
    "image": "'image' with a path, bytes, a PIL image or an array",
    "video": "'video' with a path, bytes or a Reel",
    "video_url": "'video_url' with {'url': ...}",
}
