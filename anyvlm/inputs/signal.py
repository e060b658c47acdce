"""What is not a picture: sound becomes mel spectrograms, other sensors' arrays are taken as they are.

Sources: facebookresearch/ImageBind `imagebind/data.py`; Kaldi's filter banks as torchaudio `compliance/kaldi.py` has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from anyvlm.errors import InputError
from anyvlm.spec import Spec

Array = npt.NDArray[np.float32]
"""(channels, height, width), or for a wave (channels, samples) or (samples,)."""

LEAST = np.float32(np.finfo(np.float32).eps)


class SignalPolicy(Spec):
    """Contract: a signal -> the arrays (channels, height, width) that an encoder reads; their points are averaged."""

    def arrays(self, signal: Array) -> list[Array]:
        """At least one array. Raises InputError for a signal of another shape."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Given(SignalPolicy):
    """Values as the authors' network takes them: (channels, height, width), or without channels, or without height, if 1."""

    channels: int
    size: tuple[int, int]

    def arrays(self, signal: Array) -> list[Array]:
        """One array."""
        whole, found = (self.channels, *self.size), np.asarray(signal, dtype=np.float32)
        flat = tuple(side for side in whole if side != 1)
        if found.shape not in (whole, flat):
            raise InputError(f"A signal has shape {found.shape}; give {' x '.join(map(str, flat))} values.")
        if not np.isfinite(found).all():
            raise InputError("A signal holds values that are no numbers; leave it out or fill them.")
        return [found.reshape(whole)]


@dataclass(frozen=True, kw_only=True)
class Rows(SignalPolicy):
    """Features that another network made, (rows, width); what is behind the first `most` rows is given up."""

    width: int
    most: int

    def arrays(self, signal: Array) -> list[Array]:
        """One array (1, rows, width)."""
        found = np.asarray(signal, dtype=np.float32)
        if found.ndim != 2 or found.shape[1] != self.width or not len(found):
            raise InputError(f"A signal has shape {found.shape}; give at least one row of {self.width} values.")
        if not np.isfinite(found).all():
            raise InputError("A signal holds values that are no numbers; leave it out or fill them.")
        return [found[None, : self.most]]


@dataclass(frozen=True, kw_only=True)
class Mel(SignalPolicy):
    """`clips` of `seconds` at equal distances, each as log energies in `bins` mel bands, `length` windows of 25 ms every 10 ms.

    Waves are of `rate` samples a second, between -1 and 1. What is missing at the end is 0 before (x - mean) / std.
    """

    rate: int = 16000
    clips: int = 3
    seconds: int = 2
    bins: int = 128
    length: int = 204
    mean: float = -4.268
    std: float = 9.138

    def arrays(self, signal: Array) -> list[Array]:
        """`clips` arrays (1, bins, length)."""
        wave = np.atleast_2d(np.asarray(signal, dtype=np.float32))
        if wave.ndim != 2 or wave.shape[1] < self.rate // 40:
            raise InputError(f"A sound has shape {wave.shape}; give (channels, samples), at least {self.rate // 40} of them.")
        if not np.isfinite(wave).all():
            raise InputError("A sound holds values that are no numbers; leave it out or fill them.")
        spare = max(Fraction(wave.shape[1] / self.rate) - self.seconds, Fraction(0))
        starts = [spare * n / max(self.clips - 1, 1) for n in range(self.clips)]
        cuts = [wave[:, int(a * self.rate) : int((a + self.seconds) * self.rate)] for a in starts]
        return [self._one(clip) for clip in cuts]

    def _one(self, wave: Array) -> Array:
        """(channels, samples) -> (1, bins, length); the mean of all channels is taken off, the first is read."""
        bands = filter_bank((wave - wave.mean(dtype=np.float32))[0], self.rate, self.bins)[:, : self.length]
        bands = np.pad(bands, ((0, 0), (0, self.length - bands.shape[1])))
        return ((bands - np.float32(self.mean)) / np.float32(self.std))[None].astype(np.float32)


def filter_bank(wave: Array, rate: int, bins: int) -> Array:
    """Kaldi's log mel energies (bins, windows): windows of 25 ms every 10 ms, each without its mean, pre-emphasised by 0.97,
    under Hann's curve; power spectra of the next power of two; triangles from 20 Hz to half the rate.
    """
    long, hop = rate * 25 // 1000, rate // 100
    points = 1 << (long - 1).bit_length()
    x = np.lib.stride_tricks.sliding_window_view(wave.astype(np.float64), long)[::hop]
    x = x - x.mean(1, keepdims=True)
    x = x - 0.97 * np.concatenate([x[:, :1], x[:, :-1]], 1)
    x = x * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(long) / (long - 1)))
    power = np.abs(np.fft.rfft(x, points)) ** 2
    energies = power[:, : points // 2] @ _triangles(rate, bins, points).T
    return np.log(np.maximum(energies, LEAST)).T.astype(np.float32)


def _triangles(rate: int, bins: int, points: int) -> npt.NDArray[np.float64]:
    """(bins, points / 2)."""
    low, high = (1127 * np.log(1 + hertz / 700) for hertz in (20.0, rate / 2))
    edges = low + (high - low) / (bins + 1) * np.arange(bins + 2)
    mel = 1127 * np.log(1 + rate / points * np.arange(points // 2) / 700)
    up = (mel - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - mel) / (edges[2:] - edges[1:-1])[:, None]
    out: npt.NDArray[np.float64] = np.maximum(0, np.minimum(up, down))
    return out
