"""Teaching a language model to make points without unlearning to write (VladVA, 2412.04378): contrast on short captions, and
next tokens of long ones, in the same step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anyvlm.errors import SpecError
from anyvlm.parts.chunked import info_nce
from anyvlm.system import VLM, Batch
from anyvlm.train.losses import next_token


def discriminative(vlm: VLM, images: Batch, texts: Batch, captions: Batch) -> dict[str, Tensor]:
    """"contrast" and "next_token". `images` and `texts`: questions about pictures and about their short captions, at the same
    places; `captions`: pictures with long captions as answers, with labels.

    Raises SpecError for a system that makes no points.
    """
    if vlm.spec.embedding is None:
        raise SpecError(f"'{vlm.spec.name}' makes no points; give it an `embedding`.")
    if captions.labels_BT is None:
        raise SpecError("The captions have no labels to learn from; collate them with labels=True.")
    scale = torch.tensor(vlm.spec.embedding.scale, device=captions.ids_BT.device)
    hidden_BTD = vlm.lm.hidden(vlm.lm.begin(vlm.assemble(captions)))
    return {
        "contrast": info_nce(vlm.points(images), vlm.points(texts), scale),
        "next_token": next_token(vlm.lm, hidden_BTD, captions.labels_BT),
    }
