"""Soft prompts (2104.08691): learned vectors in front of a sequence, which words cannot say.

Shape letters: B batch, T tokens, D width, P position axes, K learned vectors.
"""

from __future__ import annotations

import torch
from torch import nn

from anyvlm.seq import Kind, Seq


class SoftPrompt(nn.Module):
    """Parameters: rows (K, D)."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.empty(count, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As training begins: like words, small."""
        nn.init.normal_(self.rows, std=0.02)

    def forward(self, seq: Seq) -> Seq:
        """The sequence behind the vectors, whose every sample sees them. Padding stands on the right; no memory is read."""
        B, count = len(seq.x_BTD), len(self.rows)
        ahead = torch.arange(count, device=seq.x_BTD.device)
        first = (ahead.expand(B, -1), ahead.expand(len(seq.pos_PBT), B, -1))
        return Seq(
            torch.cat([self.rows.to(seq.x_BTD.dtype).expand(B, -1, -1), seq.x_BTD], 1),
            torch.cat([torch.full_like(first[0], Kind.TEXT), seq.kind_BT], 1), torch.cat([first[1], seq.pos_PBT + count], 2),
            torch.cat([first[0], seq.block_BT + count], 1), torch.cat([seq.seg_BT[:, :1].expand(-1, count), seq.seg_BT], 1),
        )  # fmt: skip
