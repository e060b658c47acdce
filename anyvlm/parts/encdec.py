"""Language models that read the prompt with an encoder: a Seq becomes what that reads and what the decoder begins with.

Shape letters: B batch, T tokens, S rows of the encoder, K tokens of the decoder, D width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.seq import Memory, Seq

PROMPT = "prompt"
"""The memory that holds the encoder's rows."""


def asked(seq: Seq, start_B1D: Tensor, encode: Callable[[Seq], Tensor]) -> Seq:
    """The decoder's Seq (B, K, D): for every sample `start` and its answer, which see the encoder's rows of its prompt.

    The prompt is the first block of a sample; `encode` gets prompts alone, and returns their rows (B, S, D). The decoder's
    rows are packed to the left; the place of `start` is that of the prompt's last token.
    """
    same = seq.seg_BT[:, 1:] == seq.seg_BT[:, :-1]
    prompt_BT = (seq.block_BT == seq.block_BT.gather(1, _begins(seq.seg_BT))) & (seq.seg_BT >= 0)
    S = int(prompt_BT.any(0).nonzero().max()) + 1
    seg_BS = seq.seg_BT.masked_fill(~prompt_BT, -1)[:, :S]
    seen = {name: Memory(memory.x_BSD, memory.seen_BTS[:, :S]) for name, memory in seq.memory.items()}
    rows_BSD = encode(
        Seq(seq.x_BTD[:, :S], seq.kind_BT[:, :S], seq.pos_PBT[..., :S], torch.zeros_like(seg_BS), seg_BS, seen)
    )
    last_BT = prompt_BT & ~F.pad(prompt_BT[:, 1:] & same, (0, 1))
    answer_BT = (seq.seg_BT >= 0) & (last_BT | ~prompt_BT)
    x_BTD = torch.where(last_BT[..., None], start_B1D, seq.x_BTD)
    K = int(answer_BT.sum(1).max())
    order_BK = (~answer_BT).long().argsort(dim=1, stable=True)[:, :K]
    seg_BK = seq.seg_BT.masked_fill(~answer_BT, -1).gather(1, order_BK)
    place_BK = torch.arange(K, device=seg_BK.device).expand_as(seg_BK)
    seen_BKS = (seg_BK[:, :, None] == seg_BS[:, None, :]) & (seg_BS >= 0)[:, None, :]
    x_BKD = x_BTD.gather(1, order_BK[..., None].expand(-1, -1, x_BTD.shape[2]))
    pos_PBK = (place_BK - _begins(seg_BK))[None]
    return Seq(x_BKD, torch.zeros_like(seg_BK), pos_PBK, place_BK, seg_BK, {PROMPT: Memory(rows_BSD, seen_BKS)})


def _begins(seg_BT: Tensor) -> Tensor:
    """The place at which the sample of each token begins in its row."""
    new_BT = F.pad(seg_BT[:, 1:] != seg_BT[:, :-1], (1, 0), value=True)
    places = torch.arange(seg_BT.shape[1], device=seg_BT.device).expand_as(seg_BT)
    return places.masked_fill(~new_BT, 0).cummax(1).values
