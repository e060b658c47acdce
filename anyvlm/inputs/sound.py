"""Sounds: a file -> its wave, by FFmpeg's libraries (PyAV, the extra `video`), at the rate that a model listens at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anyvlm.errors import AnyVLMError, InputError
from anyvlm.inputs.image import local_file, name_of
from anyvlm.inputs.signal import Array

FORMATS = ("wav", "mp3", "flac", "ogg", "mov", "mp4", "m4a", "aac", "aiff", "matroska", "webm")
SUFFIXES = frozenset([".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff"])
LONGEST = 3600
"""Seconds: a longer sound is refused, not cut."""


def read_sound(source: str | Path, rate: int) -> Array:
    """(channels, samples) between -1 and 1, `rate` of them a second. Raises InputError."""
    try:
        import av
    except ImportError:
        raise InputError("Sounds are read with PyAV, which is not installed; pip install 'anyvlm[video]'.") from None
    name, parts, count = name_of(source, "sound"), list[Array](), 0
    with local_file(Path(source), "sound") as file:
        if not file.read(1):
            raise InputError(f"{name} is empty (0 bytes).")
        file.seek(0)
        options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": ""}
        try:
            with av.open(file, "r", container_options=options) as container:
                if not container.streams.audio:
                    raise InputError(f"{name} holds no sound; give a file that does.")
                resampler = av.AudioResampler(format="fltp", rate=rate)
                for frame in (*container.decode(audio=0), None):
                    for some in resampler.resample(frame):
                        parts.append(np.asarray(some.to_ndarray(), np.float32))
                        count += parts[-1].shape[1]
                    if count > LONGEST * rate:
                        raise InputError(f"{name} is longer than the allowed {LONGEST} seconds; cut it first.")
        except AnyVLMError:
            raise
        except Exception:  # libraries that parse bytes of strangers raise many types, and their texts help nobody
            raise InputError(
                f"{name} is no sound that can be read; it is damaged, cut off, or not one of WAV, MP3, FLAC, OGG."
            ) from None
    if not count:
        raise InputError(f"{name} holds no sound; give a file that does.")
    return np.concatenate(parts, 1)
