"""Pictures and texts read each other through one matrix of scores (GLIP, 2112.03857); likeness of places and tokens.

Source: microsoft/GLIP 9dda955 `utils/fuse_helper.py` (BiAttentionBlockForCheckpoint), `modeling/rpn/vldyhead.py`.
Shape letters: B pairs, N places of all maps, T tokens, D width of places, E width of tokens, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.norm import LayerNorm
from anyvlm.spec import Spec

MOST = 50000.0
"""Scores are held inside, which half precision can still say."""


@dataclass(frozen=True, kw_only=True)
class BiFusion(Spec):
    """One block. `inner`: width of queries, keys and values; `start`: of the vectors that scale what is added."""

    inner: int = 2048
    heads: int = 8
    start: float = 1e-4
    norm: LayerNorm = LayerNorm(eps=1e-5)

    def build(self, width: int, words: int) -> BiFusionModule:
        """The module for places of `width` and tokens of width `words`."""
        return BiFusionModule(self, width, words)


class BiFusionModule(nn.Module):
    """Parameters: norm_image, norm_text, q, k, v_image, v_text, o_image, o_text, scale_image, scale_text."""

    def __init__(self, spec: BiFusion, width: int, words: int) -> None:
        super().__init__()
        self.heads, inner = spec.heads, spec.inner
        self.norm_image, self.norm_text = spec.norm.build(width), spec.norm.build(words)
        self.q, self.v_image, self.o_image = nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(inner, width)
        self.k, self.v_text, self.o_text = nn.Linear(words, inner), nn.Linear(words, inner), nn.Linear(inner, words)
        self.scale_image = nn.Parameter(torch.full((width,), spec.start))
        self.scale_text = nn.Parameter(torch.full((words,), spec.start))

    def forward(self, x_BND: Tensor, t_BTE: Tensor, seen_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Both, each with what it read of the other added to its own normed rows. `seen_BT`: False on padding, which places
        do not read; tokens read all places, and padding does too.
        """
        x, t = self.norm_image(x_BND), self.norm_text(t_BTE)
        q, v_image = (self._heads(each(x)) for each in (self.q, self.v_image))
        k, v_text = (self._heads(each(t)) for each in (self.k, self.v_text))
        scores_BHNT = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).clamp(-MOST, MOST)
        across = scores_BHNT.transpose(-1, -2)
        across = (across - across.amax(-1, keepdim=True)).clamp(-MOST, MOST).softmax(-1)
        hidden = ~seen_BT[:, None, None].bool()
        along = scores_BHNT.masked_fill(hidden, -torch.inf).softmax(-1)
        image = self.o_image((along @ v_text).transpose(1, 2).flatten(2))
        text = self.o_text((across @ v_image).transpose(1, 2).flatten(2))
        return x + self.scale_image * image, t + self.scale_text * text

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads


class Alignment(nn.Module):
    """How well every place fits every token: (B, N, D) and (B, T, E) -> logits (B, N, T).

    Parameters: words, scale (a logarithm), bias_text, bias. `prior`: the share of pairs that fit, where training begins.
    """

    def __init__(self, width: int, words: int, prior: float = 0.01) -> None:
        super().__init__()
        self.words, self.scale = nn.Linear(words, width), nn.Parameter(torch.zeros(1))
        self.bias_text, self.bias = nn.Parameter(torch.zeros(words)), nn.Parameter(torch.tensor([-log((1 - prior) / prior)]))

    def forward(self, x_BND: Tensor, t_BTE: Tensor) -> Tensor:
        """Tokens are brought to length 1; places are not."""
        t = F.normalize(t_BTE, dim=-1)
        bias_B1T = (t @ self.bias_text + self.bias)[:, None]
        logits: Tensor = x_BND @ self.words(t / 2).transpose(-1, -2) / self.scale.exp() + bias_B1T
        return logits.clamp(-MOST, MOST)
