"""Losses by name. Each reads what it needs and returns one scalar.

Shape letters: B batch, T tokens, D width, R supervised places, V vocabulary, K names or candidates, O objects.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.parts.language import LM


def next_token(lm: LM, hidden_BTD: Tensor, labels_BT: Tensor, chunk: int = 128, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the supervised places; the logits of at most `chunk` places exist at a time.

    `smoothing`: the share of every label that goes to all words alike (1512.00567).
    """
    at = labels_BT >= 0
    rows_RD, labels_R = hidden_BTD[at], labels_BT[at]
    total = hidden_BTD.new_zeros((), dtype=torch.float32)
    for rows, labels in zip(rows_RD.split(chunk), labels_R.split(chunk), strict=True):
        total = total + F.cross_entropy(lm.logits(rows).float(), labels, reduction="sum", label_smoothing=smoothing)
    return total / max(1, len(labels_R))


def contrast(likeness_BK: Tensor, truth_BK: Tensor, taught_BK: Tensor, soft: float) -> Tensor:
    """Mean cross-entropy of likeness over K candidates to `truth_BK`, of which the share `soft` is what a teacher thinks."""
    targets = soft * taught_BK.softmax(1) + (1 - soft) * truth_BK
    return -(likeness_BK.log_softmax(1) * targets).sum(1).mean()


def word_alignment(objects_OD: Tensor, words_KD: Tensor, truth_O: Tensor, scale: float = 16.0) -> Tensor:
    """Cross-entropy of cosine similarities: the pooled rows of every object against the embedding of every word.

    Objects whose truth is -100 do not count; without any other the loss is zero.
    """
    logits_OK = scale * F.normalize(objects_OD.float(), dim=-1) @ F.normalize(words_KD.float(), dim=-1).T
    return F.cross_entropy(logits_OK, truth_O, reduction="sum") / (truth_O >= 0).sum().clamp(min=1)


def right_size(objects_OD: Tensor, length: float) -> Tensor:
    """Squared log ratio of row lengths to `length`: keeps visual rows as long as the word embeddings they stand beside."""
    off: Tensor = (objects_OD.float().norm(dim=-1) / length).log()
    return off.square().mean()
