"""Pictures whose rows are words: ids of a codebook become ids of the vocabulary (Chameleon, 2405.09818)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.features import Connector, Features


@dataclass(frozen=True, kw_only=True)
class Vocabulary(Connector):
    """Codes are words: rows of codes become rows of ids, which the language model embeds as it does text (2405.09818).

    `words`: the ids of all codes in order, or that of the first where the others follow it.
    """

    words: int | tuple[int, ...]

    def build(self, into: int, out: int) -> VocabularyModule:
        """The module; it has no parameters."""
        return VocabularyModule(self)


class VocabularyModule(nn.Module):
    """Rows of codes (N, 1) -> rows of ids (N, 1)."""

    def __init__(self, spec: Vocabulary) -> None:
        super().__init__()
        self.spec = spec
        self._tables: dict[torch.device, Tensor] = {}  # no buffer: it is no weight, and a module begins on the meta device

    def ids(self, codes: Tensor) -> Tensor:
        """Codes (...) -> ids (...)."""
        words = self.spec.words
        if isinstance(words, int):
            return codes + words
        if codes.device not in self._tables:
            self._tables[codes.device] = torch.tensor(words, device=codes.device)
        return self._tables[codes.device][codes]

    def forward(self, features: Features) -> Features:
        """Every row alone."""
        return Features(self.ids(features.x_ND), features.grids)
