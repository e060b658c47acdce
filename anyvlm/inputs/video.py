"""Videos: how long they are and when each frame is shown, known before they are decoded; then the frames that are wanted.

Files are read by FFmpeg's libraries (PyAV, the extra `video`). Only self-contained formats are opened, never a playlist
that could lead to other files, and nothing is fetched. Frames are upright RGB pictures.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from PIL import Image

from anyvlm.errors import AnyVLMError, InputError
from anyvlm.inputs.image import LIMITS, ImageSource, Limits, fetched, image_size, local_file, name_of, read_image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FORMATS = ("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "gif")
VIDEO_LIMITS = Limits(encoded=200_000_000)
"""As for pictures; `encoded` only where the bytes are held in memory, which those of a file are not."""
_TELLS = ("matroska,webm",)  # formats whose header tells the duration; of others it is known by frames, or estimated
_LATE = 2  # so many of the last packets may give no frame (some codecs keep pictures they never show)


@dataclass(frozen=True, eq=False)
class Reel:
    """A video that is decoded already: its frames, `rate` of them a second."""

    pictures: Sequence[ImageSource]
    rate: float


VideoSource: TypeAlias = str | Path | bytes | Reel


@dataclass(frozen=True)
class Footage:
    """What is known of a video without its pictures: size, the `ticks` at which its frames are shown and those at which
    decoding can begin, seconds of a tick, frames a second on average."""

    width: int
    height: int
    ticks: tuple[int, ...]
    keys: tuple[int, ...]
    tick: Fraction
    rate: float

    @property
    def count(self) -> int:
        """How many frames it has."""
        return len(self.ticks)

    @property
    def duration(self) -> float:
        """Seconds, the last frame's own time included."""
        return self.count / self.rate

    def time(self, frame: int) -> float:
        """When a frame is shown, in seconds after the first."""
        return float((self.ticks[frame] - self.ticks[0]) * self.tick)


def within_reach(source: VideoSource, remote: bool = False) -> VideoSource:
    """The source, or what stands at its address: ``data:``, or http(s) if `remote`. Raises InputError, NetworkError."""
    if isinstance(source, (str, Path)) and (data := fetched(source, remote, VIDEO_LIMITS, "video")) is not None:
        return data
    return source


def read_footage(source: VideoSource) -> Footage:
    """Size and times of a video, from its packets and its first frame.

    `source`: a path, encoded bytes, a ``data:`` URL or a Reel. Raises InputError with one sentence for what is no video, is
    damaged or cut off, or is in a format that is not decoded here.
    """
    if isinstance(source, Reel):
        return _spooled(source)
    with _opened(source) as tape:
        return _footage(tape)


def read_frames(source: VideoSource, frames: Sequence[int]) -> list[Image.Image]:
    """The pictures of these numbers, counted from 0. Same sources and errors as `read_footage`."""
    if isinstance(source, Reel):
        size = image_size(source.pictures[0])
        return [_sized(read_image(source.pictures[frame]), size) for frame in frames]
    with _opened(source) as tape:
        footage = _footage(tape)
        ticks = sorted({footage.ticks[frame] for frame in frames})
        try:
            player = _Player(tape, footage, footage.keys)
            shown = {tick: player.picture(tick) for tick in ticks}
        except _Lost:  # this format has no exact leaps: decode all
            player = _Player(tape, footage)
            shown = {tick: player.picture(tick) for tick in ticks}
        return [shown[footage.ticks[frame]] for frame in frames]


def _spooled(reel: Reel) -> Footage:
    if not reel.pictures:
        raise InputError("The video has no frames.")
    if not 0 < reel.rate < float("inf"):
        raise InputError(f"The video's rate is {reel.rate}; it must be more than 0 frames a second.")
    width, height = image_size(reel.pictures[0])
    ticks = tuple(range(len(reel.pictures)))
    return Footage(width, height, ticks, ticks, 1 / Fraction(reel.rate), reel.rate)


# Opening --------------------------------------------------------------------------------------------------------------


class _Broken(Exception):
    """What is wrong with a file, to be said behind its name."""


class _Tape:
    """An open file, and the stream of pictures in it as often as it is played from the start."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.container: InputContainer | None = None

    def rewind(self) -> tuple[InputContainer, VideoStream]:
        """Both, at the very beginning: not every format can be sought exactly."""
        import av

        self.close()
        self.file.seek(0)
        options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": ""}
        container = self.container = av.open(self.file, "r", container_options=options)
        return container, _stream(container)

    def close(self) -> None:
        """The file stays open."""
        if self.container is not None:
            self.container.close()


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[_Tape]:
    """Whatever FFmpeg raises inside becomes one sentence."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise InputError("Videos are read with PyAV, which is not installed; pip install 'anyvlm[video]'.") from None
    name = name_of(source, "video")
    with _file(source, name) as file:
        tape = _Tape(file)
        try:
            yield tape
        except AnyVLMError:
            raise
        except _Broken as error:
            raise InputError(f"{name} {error}") from None
        except Exception:  # libraries that parse bytes of strangers raise many types, and their texts help nobody
            raise InputError(
                f"{name} is no video that can be read; it is damaged, cut off, or not one of MP4, WebM, MKV, AVI, MOV, GIF."
            ) from None
        finally:
            tape.close()


@contextmanager
def _file(source: str | Path | bytes, name: str) -> Iterator[BinaryIO]:
    data = within_reach(source)
    if isinstance(data, bytes):
        if not data:
            raise InputError(f"{name} is empty (0 bytes).")
        if len(data) > VIDEO_LIMITS.encoded:
            raise InputError(f"{name} has more than the allowed {VIDEO_LIMITS.encoded / 1e6:g} MB; give it as a file.")
        yield BytesIO(data)
        return
    assert isinstance(source, (str, Path))
    with local_file(Path(source), "video") as file:
        if not file.read(1):
            raise InputError(f"{name} is empty (0 bytes).")
        file.seek(0)
        yield file


def _stream(container: InputContainer) -> VideoStream:
    import av

    # a cover is a stream of one picture
    found = [stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic]
    if not found:
        raise _Broken("holds no moving pictures; give a file with a video stream.")
    stream = found[0]
    context = stream.codec_context
    if context is None or not context.is_decoder:
        raise _Broken("is in a format for which there is no decoder here; convert it to H.264 or VP9.")
    if min(context.width, context.height) > 0:
        _check(context.width, context.height)
    context.options = {"max_pixels": str(LIMITS.pixels)}
    if av.logging.get_level() is None:  # else its threads wait for Python to log, which waits for them
        stream.thread_type = "AUTO"
    return stream


def _check(width: int, height: int) -> None:
    if min(width, height) < 1:
        raise _Broken(f"has no pixels ({width} x {height}).")
    if width * height > LIMITS.pixels:
        raise _Broken(f"has {width} x {height} pixels; at most {LIMITS.pixels / 1e6:g} megapixels are allowed.")
    if max(width, height) > LIMITS.ratio * min(width, height):
        raise _Broken(f"is {width} x {height}, more than {LIMITS.ratio} times as long as wide; crop it first.")


# Times ----------------------------------------------------------------------------------------------------------------


def _footage(tape: _Tape) -> Footage:
    container, stream = tape.rewind()
    tick = stream.time_base
    everything = [packet for packet in container.demux() if packet.size]
    packets = [packet for packet in everything if packet.stream_index == stream.index and not packet.is_discard]
    shown = [(stamp, packet.is_keyframe) for packet in packets if (stamp := _stamp(packet.pts, packet.dts)) is not None]
    if tick is None or not shown:
        raise _Broken("has no frames; it is damaged or cut off.")
    if any(packet.is_corrupt for packet in packets) or (stream.frames and len(packets) < stream.frames):
        raise _Broken(f"is damaged or cut off: {len(packets)} of {stream.frames or 'its'} frames are whole.")
    ticks = tuple(sorted({stamp for stamp, _ in shown}))
    keys = tuple(sorted(stamp for stamp, key in shown if key))
    last = packets[-1].duration or (ticks[-1] - ticks[0]) // max(1, len(ticks) - 1)
    measured = float((ticks[-1] - ticks[0] + last) * tick) or len(ticks) / 25
    rate, nominal = len(ticks) / measured, float(stream.average_rate or 0)
    if nominal and abs(len(ticks) / nominal - measured) <= max(0.01 * measured, 0.05):
        rate = nominal  # times in some files are rounded to milliseconds, the rate is not
    if container.format.name in _TELLS and container.duration:
        whole, end = container.duration / 1e6, max(map(_end, everything))
        if end < whole - 1.5 * measured / len(ticks) - 0.05:  # the last packet may not say how long it lasts
            raise _Broken(f"is cut off after {end:.1f} of {whole:.1f} seconds.")
    container, stream = tape.rewind()
    first = next(container.decode(stream), None)
    if first is None:
        raise _Broken("has no frame that can be decoded; it is damaged or cut off.")
    image = _upright(first)
    return Footage(*image.size, ticks, keys, tick, rate)


def _stamp(pts: int | None, dts: int | None) -> int | None:
    """AVI has no time of showing, only the order of decoding."""
    return dts if pts is None else pts


def _end(packet: Packet[Stream]) -> float:
    """The second at which it ends."""
    stamp = _stamp(packet.pts, packet.dts)
    return 0.0 if stamp is None or packet.time_base is None else float((stamp + (packet.duration or 0)) * packet.time_base)


# Pictures -------------------------------------------------------------------------------------------------------------


class _Lost(Exception):
    """After a leap, decoding went on behind the frame that was wanted."""


class _Player:
    """Frames at growing ticks. `keys`: where to leap, so that not all that lies between is decoded."""

    def __init__(self, tape: _Tape, footage: Footage, keys: Sequence[int] = ()) -> None:
        self.container, self.stream = tape.rewind()
        self.footage, self.keys = footage, keys
        self._play()

    def _play(self) -> None:
        self.frames = self.container.decode(self.stream)
        self.before: VideoFrame | None = None
        self.here: VideoFrame | None = None
        self.ended = False

    def at(self, tick: int) -> VideoFrame:
        """The frame of that very time or, where there is none, the one before it."""
        key = self.keys[max(0, bisect_right(self.keys, tick) - 1)] if self.keys else self.footage.ticks[0]
        if leaps := key > (self.footage.ticks[0] if self.here is None else _time(self.here)):
            self.container.seek(key, stream=self.stream)
            self._play()
        while not self.ended and (self.here is None or _time(self.here) < tick):
            self.before, self.here = self.here or self.before, next(self.frames, None)
            self.ended = self.here is None
        if self.here is not None and (self.before is None or _time(self.here) == tick):
            if leaps and _time(self.here) > tick:
                raise _Lost
            return self.here
        if self.before is None or (self.ended and self._frames(_time(self.before), tick) > _LATE):
            raise _Broken(f"is damaged or cut off before second {self._second(tick):.1f}.")
        return self.before

    def picture(self, tick: int) -> Image.Image:
        """What is seen then."""
        frame = self.at(tick)
        if frame.is_corrupt:
            raise _Broken(f"is damaged at second {self._second(tick):.1f}.")
        return _sized(_upright(frame), (self.footage.width, self.footage.height))

    def _frames(self, since: int, until: int) -> int:
        return bisect_left(self.footage.ticks, until) - bisect_left(self.footage.ticks, since)

    def _second(self, tick: int) -> float:
        return float((tick - self.footage.ticks[0]) * self.footage.tick)


def _time(frame: VideoFrame) -> int:
    stamp = _stamp(frame.pts, frame.dts)
    if stamp is None:
        raise _Broken("does not say when its frames are shown; it is damaged.")
    return stamp


def _upright(frame: VideoFrame) -> Image.Image:
    _check(frame.width, frame.height)
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    turned = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    turn = turned.get(frame.rotation % 360)
    return image if turn is None else image.transpose(turn)


def _sized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A video may change its size as it goes on; the plan is made for the first frame's."""
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
