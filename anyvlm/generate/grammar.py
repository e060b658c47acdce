"""What may come next where pictures are words: text, or `begin`, exactly so many codes, `end`; never a part of a picture.

The masks are made once and lie on the device; a step compares one number per row and looks nothing up in Python.
Shape letters: B rows, K codes, V vocabulary, S states (text, a code, the end of a picture).
"""

from __future__ import annotations

import torch
from torch import Tensor


class Grammar:
    """The state of every row of one generation.

    `words_K`: of every code its id; `places`: codes of a picture; `room`: tokens that may be generated, all rows alike;
    `pictures`: they may be begun, as long as a whole one fits, else there is text alone. `name`: shown in the text for one.
    """

    def __init__(
        self, vocab: int, words_K: Tensor, begin: int, end: int, *, places: int, rows: int, room: int, pictures: bool,
        name: str = "<image>",
    ) -> None:  # fmt: skip
        device = words_K.device
        self.begin, self.places, self.room, self.name = begin, places, room, name
        self._pictures = pictures
        self._code_V = torch.full((vocab,), -1, device=device)
        self._code_V[words_K] = torch.arange(len(words_K), device=device)
        allowed_SV = torch.zeros(3, vocab, dtype=torch.bool, device=device)
        allowed_SV[0] = self._code_V < 0
        allowed_SV[0, end] = False
        allowed_SV[1, words_K] = True
        allowed_SV[2, end] = True
        closed_SV = allowed_SV.clone()
        closed_SV[0, begin] = False
        self._hidden_SV, self._closed_SV = ~allowed_SV, ~closed_SV
        self._left_B = torch.zeros(rows, dtype=torch.long, device=device)  # tokens until the picture has ended, 0 in text

    def mask(self, logits_BV: Tensor) -> Tensor:
        """Logits with -inf for what may not come next."""
        opens = self._pictures and self.room >= self.places + 2
        state_B = (self._left_B > 0).long() + (self._left_B == 1).long()
        return logits_BV.masked_fill((self._hidden_SV if opens else self._closed_SV)[state_B], -torch.inf)

    def take(self, ids_B: Tensor) -> Tensor:
        """Go on by one token in every row; returns the code that each is (B), -1 for none."""
        self.room -= 1
        self._left_B = torch.where(ids_B == self.begin, self.places + 1, (self._left_B - 1).clamp_min(0))
        return self._code_V[ids_B]
