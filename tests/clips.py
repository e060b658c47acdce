"""Small videos made on the spot: frame n is grey of brightness 8 n, with a mark that says which way is up."""

from __future__ import annotations

import io
from functools import cache

import av
import numpy as np
import numpy.typing as npt


def frame(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """(h, w, 3); its upper left quarter is red."""
    pixels = np.full((height, width, 3), 8 * n % 256, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    return pixels


@cache
def clip(
    kind: str = "mp4", codec: str = "mpeg4", *, frames: int = 30, size: tuple[int, int] = (64, 48), rate: int = 10,
    gap: int = 8, pixels: str = "yuv420p", turn: int = 0, sound: bool = False, options: tuple[tuple[str, str], ...] = (),
) -> bytes:  # fmt: skip
    """A file of this format; `gap`: frames between those at which decoding can begin; `turn`: degrees to the left."""
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, options=dict(options))
        (stream.width, stream.height), stream.pix_fmt = size, pixels
        stream.codec_context.gop_size = gap
        if turn:
            stream.set_display_rotation(turn)
        voice = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for n in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame(n, *size), format="rgb24")))
        container.mux(stream.encode())
        if voice is not None:
            for n in range(frames * 8000 // rate // 1000):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
                silence.sample_rate, silence.pts = 8000, 1000 * n
                container.mux(voice.encode(silence))
            container.mux(voice.encode())
    return out.getvalue()
