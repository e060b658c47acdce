"""Pictures and videos of a conversation: opened once, measured, and, when the plan is made, turned into pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from anyvlm.inputs.image import read_image
from anyvlm.inputs.messages import Message, Video
from anyvlm.inputs.plan import Plan, Size, filmed
from anyvlm.inputs.policy import Array
from anyvlm.inputs.video import Footage, VideoSource, read_footage, read_frames, within_reach
from anyvlm.system import System


@dataclass(frozen=True)
class Opened:
    """An upright picture, or a video whose frames are not decoded yet."""

    picture: Image.Image | None = None
    video: VideoSource | None = None
    footage: Footage | None = None

    @property
    def size(self) -> Size:
        """What the planner needs to know."""
        if self.picture is not None:
            return self.picture.size
        assert self.footage is not None
        return self.footage


def looked_at(system: System, messages: Iterable[Message], remote: bool = False) -> list[Opened]:
    """All of a conversation, in order. Raises InputError, for a video that the system does not take before it is opened."""
    media = [part for message in messages for part in message.media]
    if any(isinstance(part, Video) for part in media):
        filmed(system)
    out = []
    for part in media:
        if isinstance(part, Video):
            source = within_reach(part.source, remote)
            out.append(Opened(video=source, footage=read_footage(source)))
        else:
            out.append(Opened(picture=read_image(part.source, remote=remote)))
    return out


def pixels_of(system: System, media: Sequence[Opened], laid: Plan) -> list[Array]:
    """What the encoders read, one picture or video after another."""
    pictures = sum(each.picture is not None for each in media)
    out: list[Array] = []
    for each, seen in zip(media, laid.pictures, strict=True):
        stream = system.streams[seen.stream]
        if each.picture is not None:
            out += stream.policy_among(pictures).arrays(each.picture)
            continue
        assert each.video is not None and stream.film is not None
        policy = stream.film.policy.of_frames(len(seen.cut.frames))
        for frame in read_frames(each.video, seen.cut.frames):
            out += policy.arrays(frame)
    return out
