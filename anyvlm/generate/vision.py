"""`VisionModel`: a loaded encoder. Pictures in, rows of features out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import nn

from anyvlm.errors import InputError
from anyvlm.generate.device import Place
from anyvlm.generate.memory import AT_ONCE
from anyvlm.generate.prepack import prepack
from anyvlm.inputs.image import ImageSource, read_image
from anyvlm.parts.features import Features, still
from anyvlm.system import VisionSystem
from anyvlm.weights.load import load_module


class VisionModel:
    """An encoder with its weights and preprocessing.

    `encoder` is an ordinary nn.Module; on a CPU in bf16 its linear layers are packed (`generate.prepack.unpack` undoes that).
    """

    def __init__(self, system: VisionSystem, encoder: nn.Module, where: Place, *, remote: bool = False) -> None:
        self.system, self.encoder, self.place, self.remote = system, encoder, where, remote

    @classmethod
    def load(cls, system: VisionSystem, where: Place, *, remote: bool = False) -> Self:
        """With the weights of the system's checkpoints, fetched if need be."""
        encoder = load_module(system, device=where.device, dtype=where.dtype)
        prepack(encoder)
        return cls(system, encoder, where, remote=remote)

    @torch.no_grad()
    def encode(self, images: ImageSource | list[ImageSource] | tuple[ImageSource, ...]) -> Features:
        """The rows (N, D) of one picture or of several, one after another, and of each its grid (t, h, w).

        `.items()` of the result parts the rows by picture. Raises InputError.
        """
        several = images if isinstance(images, (list, tuple)) else (images,)
        if not several:
            raise InputError("There are no pictures; give at least one.")
        parts = [self._some(several[start : start + AT_ONCE]) for start in range(0, len(several), AT_ONCE)]
        return Features(torch.cat([part.x_ND for part in parts]), tuple(grid for part in parts for grid in part.grids))

    def _some(self, images: Sequence[ImageSource]) -> Features:
        spec = self.system.encoder
        pixels = [torch.from_numpy(self.system.policy.apply(read_image(image, remote=self.remote))) for image in images]
        x_NC = torch.cat([still(x, spec) for x in pixels]).to(self.place.device)
        rows: Features = self.encoder(x_NC, tuple(spec.grid(x.shape[1], x.shape[2]) for x in pixels))
        return rows
