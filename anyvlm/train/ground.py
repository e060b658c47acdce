"""The loss of grounding (GLIP, 2112.03857): every place should fit the tokens of what stands there, and no others.

Source: microsoft/GLIP 9dda955 `layers/sigmoid_focal_loss.py` (token_sigmoid_binary_focal_loss), `modeling/rpn/loss.py`.
Shape letters: B pairs, N places of a picture, T tokens.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

ALPHA, GAMMA = 0.25, 2.0


def tokens(logits_BNT: Tensor, fits_BNT: Tensor, seen_BT: Tensor, alpha: float = ALPHA, gamma: float = GAMMA) -> Tensor:
    """Focal loss (1708.02002) of every place with every token that is read, summed, by the number of places that fit any.

    `fits_BNT`: 1 where a token names what stands at a place; `seen_BT`: False on padding.
    """
    truth = fits_BNT.to(logits_BNT.dtype)
    right = logits_BNT.sigmoid() * truth + (1 - logits_BNT.sigmoid()) * (1 - truth)
    each = F.binary_cross_entropy_with_logits(logits_BNT, truth, reduction="none") * (1 - right) ** gamma
    each = each * (alpha * truth + (1 - alpha) * (1 - truth)) * seen_BT[:, None]
    return each.sum() / fits_BNT.bool().any(-1).sum().clamp(min=1)
