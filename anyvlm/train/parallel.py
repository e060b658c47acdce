"""Captions guessed all at once (CapPa, 2306.07915): of some samples every token is the mask token, and all see each other.

Weights and loss are those of writing word by word. Source: google-research/big_vision 0127fb6 `models/proj/cappa/cappa.py`.
Shape letters: B batch, T tokens, P position axes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from anyvlm.errors import InputError, SpecError
from anyvlm.parts.language import LanguageModel
from anyvlm.system import Batch


def in_parallel(batch: Batch, lm: LanguageModel, share: float, draw: torch.Generator | None = None) -> Batch:
    """The batch, in which each sample is guessed at once with the chance `share`. The token behind the vocabulary is the mask.

    Such a sample is as long as the context, whatever its caption, so that its length tells nothing. Raises SpecError for a
    language model without such a token, InputError for a batch of packed or longer samples.
    """
    if not lm.silent:
        raise SpecError("To guess all tokens at once a language model needs a token that it never writes: .but(lm__silent=1).")
    B, T = batch.ids_BT.shape
    if lm.context < T or bool((batch.seg_BT > 0).any()):
        raise InputError(f"Samples that are guessed at once stand alone in their rows, and have at most {lm.context} tokens.")
    device, more = batch.ids_BT.device, (0, lm.context - T)
    chosen_B1 = (share > torch.rand(B, 1, generator=draw)).to(device)
    chosen_BT = chosen_B1.expand(B, lm.context)
    place_T = torch.arange(lm.context, device=device)
    media = {
        name: replace(x, reaches=tuple((b, 0, lm.context) if chosen_B1[b] else (b, i, j) for b, i, j in x.reaches))
        for name, x in batch.media.items()
    }
    return replace(
        batch, media=media, prefix_BT=chosen_BT,
        ids_BT=torch.where(chosen_BT, lm.vocab, F.pad(batch.ids_BT, more)),
        kind_BT=F.pad(batch.kind_BT, more),
        pos_PBT=torch.where(chosen_BT, place_T, F.pad(batch.pos_PBT, more)),
        seg_BT=torch.where(chosen_BT, 0, F.pad(batch.seg_BT, more, value=-1)),
        labels_BT=None if batch.labels_BT is None else F.pad(batch.labels_BT, more, value=-100),
    )  # fmt: skip
