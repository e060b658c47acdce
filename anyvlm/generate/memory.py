"""Rows of pictures seen lately, so that a second question about one does not encode it again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor

from anyvlm.parts.features import Features, Grid
from anyvlm.system import VLM, Pixels

AT_ONCE = 16  # pictures encoded in one go; more costs memory and gains nothing


class FeatureMemory:
    """`VLM.features` with a memory of `limit` bytes; the least recently used rows go first.

    The key is the content: a hash of the very pixels that the encoder reads, and the words that the connector does. A batch
    with one picture many times encodes it once. `encoded` counts the pictures that went through an encoder.
    """

    def __init__(self, vlm: VLM, limit: int = 64 * 2**20) -> None:
        self.vlm, self.limit = vlm, limit
        self.encoded = 0
        self._rows: OrderedDict[str, tuple[Tensor, Grid]] = OrderedDict()
        self._bytes = 0

    @torch.inference_mode()
    def __call__(self, media: Mapping[str, Pixels]) -> dict[str, Features]:
        """Rows of every stream, in the order of its pictures."""
        return {name: self._stream(name, pixels) for name, pixels in media.items()}

    def _stream(self, name: str, pixels: Pixels) -> Features:
        items = dict[str, tuple[Tensor, Grid, tuple[int, ...]]]()
        order = []
        texts = pixels.texts or ((),) * len(pixels.grids)
        for x_NC, grid, text in zip(Features(pixels.x_NC, pixels.grids).items(), pixels.grids, texts, strict=True):
            order.append(_key(name, x_NC, grid, text))
            items[order[-1]] = (x_NC, grid, text)
        found = {key: self._rows[key] for key in items if key in self._rows}
        new = [key for key in items if key not in found]
        for start in range(0, len(new), AT_ONCE):
            keys = new[start : start + AT_ONCE]
            pixels_N, grids, words = zip(*(items[key] for key in keys), strict=True)
            some = Pixels(torch.cat(pixels_N), grids, texts=words if pixels.texts else ())
            rows = self.vlm.features({name: some})[name]
            # Clones: a slice would keep the rows of all its neighbours alive.
            found |= zip(keys, zip((x.clone() for x in rows.items()), rows.grids, strict=True), strict=True)
        self.encoded += len(new)
        self._keep(found)
        return Features(torch.cat([found[key][0] for key in order]), tuple(found[key][1] for key in order))

    def _keep(self, found: Mapping[str, tuple[Tensor, Grid]]) -> None:
        for key, (x_ND, grid) in found.items():
            if key not in self._rows:
                self._bytes += x_ND.nbytes
            self._rows[key] = (x_ND, grid)
            self._rows.move_to_end(key)
        while self._bytes > self.limit:
            _, (x_ND, _) = self._rows.popitem(last=False)
            self._bytes -= x_ND.nbytes


def _key(name: str, x_NC: Tensor, grid: Grid, text: tuple[int, ...]) -> str:
    content = hashlib.sha256(x_NC.cpu().numpy().tobytes())
    return f"{name} {grid} {text} {content.hexdigest()}"
