"""Q-Former (BLIP-2, 2301.12597): learned queries, a BERT whose every second layer lets them read a picture.

Sources: salesforce/LAVIS `blip2_models/Qformer.py`; transformers `modeling_blip_2.py`, `modeling_instructblip.py`.
Shape letters: B pictures, n rows of a picture, Q queries, T queries and words, L words, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.bert import PostNorm, PostNormBlock, Words
from anyvlm.parts.features import Connector, Features, Grid
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class QFormer(Connector):
    """`queries` rows of every picture, through a stack `inner` wide, and a linear layer into the language model's width.

    `every`: layers 0, every, 2 every, ... read the picture. `rows`: the norm of its rows, which is trained with the queries
    (`ln_vision` in LAVIS).
    """

    queries: int
    inner: int
    depth: int
    layer: PostNorm
    rows: LayerNorm
    every: int = 2

    def count(self, grid: Grid) -> Grid:
        """As many as there are queries, for each picture of a video."""
        return (grid[0], 1, self.queries)

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return QFormerModule(self, into, out)


@dataclass(frozen=True, kw_only=True)
class ReadingQFormer(QFormer):
    """InstructBLIP's (2305.06500): queries and the words of the prompt see each other; words have a feed-forward of their own.

    It reads `Features.texts`; without words it does what its half for queries does.
    """

    words: Words

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return ReadingQFormerModule(self, into, out)


class _Block(PostNormBlock):
    def forward(self, q_BQD: Tensor, rows_BnD: Tensor) -> Tensor:
        q_BQD = self.look(q_BQD)
        return self.think(self.read(q_BQD, *self.cross.keys(rows_BnD)) if self.reads else q_BQD)


class QFormerModule(nn.Module):
    """Parameters: norm_rows, queries, norm, blocks, proj."""

    def __init__(self, spec: QFormer, into: int, out: int) -> None:
        super().__init__()
        self.spec = spec
        self.norm_rows = spec.rows.build(into)
        self.queries = normal(spec.queries, spec.inner, std=0.02)
        self.blocks = nn.ModuleList(
            self.block(spec.layer, spec.inner, None if layer % spec.every else into) for layer in range(spec.depth)
        )
        self.proj = nn.Linear(spec.inner, out)
        self.open()

    def open(self) -> None:
        """What the queries go through before the first block."""
        self.norm = self.spec.layer.norm.build(self.spec.inner)

    def block(self, layer: PostNorm, width: int, into: int | None) -> PostNormBlock:
        """One layer."""
        return _Block(layer, width, into)

    def forward(self, features: Features) -> Features:
        """Pictures of one grid together; frames of a video one by one."""
        outs, texts = [], list(features.texts)
        for (t, _, _), x_BnD in features.groups():
            words = [text for text in texts[: len(x_BnD)] for _ in range(t)]
            del texts[: len(x_BnD)]
            rows_BnD = self.norm_rows(x_BnD.reshape(len(x_BnD) * t, -1, x_BnD.shape[-1]))
            outs.append(self.proj(self.ask(rows_BnD, words)).flatten(0, 1))
        return Features(torch.cat(outs), tuple(map(self.spec.count, features.grids)))

    def ask(self, rows_BnD: Tensor, texts: Sequence[tuple[int, ...]]) -> Tensor:
        """(B, Q, D): what the queries make of pictures."""
        q_BQD: Tensor = self.norm(self.queries).expand(len(rows_BnD), -1, -1)
        for block in self.blocks:
            q_BQD = block(q_BQD, rows_BnD)
        return q_BQD


class _ReadingBlock(PostNormBlock):
    """The first Q rows are queries. They alone see the picture, and go through `ffn`; words go through `text_ffn`."""

    def __init__(self, spec: PostNorm, width: int, into: int | None) -> None:
        super().__init__(spec, width, into)
        self.text_ffn, self.text_norm2 = spec.ffn.build(width), spec.norm.build(width)

    def forward(self, x_BTD: Tensor, rows_BnD: Tensor, added: Tensor, Q: int) -> Tensor:
        x_BTD = self.look(x_BTD, added)
        q_BQD, words_BLD = x_BTD[:, :Q], x_BTD[:, Q:]
        q_BQD = self.think(self.read(q_BQD, *self.cross.keys(rows_BnD)) if self.reads else q_BQD)
        return torch.cat([q_BQD, self.text_norm2(words_BLD + self.text_ffn(words_BLD))], 1)


class ReadingQFormerModule(QFormerModule):
    """Parameters: those of QFormerModule, with `words` in place of `norm`; its norm is that of the queries too."""

    spec: ReadingQFormer

    def open(self) -> None:
        self.words = self.spec.words.build(self.spec.inner)

    def block(self, layer: PostNorm, width: int, into: int | None) -> PostNormBlock:
        return _ReadingBlock(layer, width, into)

    def ask(self, rows_BnD: Tensor, texts: Sequence[tuple[int, ...]]) -> Tensor:
        B, Q = len(rows_BnD), self.spec.queries
        lengths = torch.tensor([len(text) for text in texts] or [0] * B)
        L = int(lengths.max())
        ids_BL = torch.tensor([[*text, *[0] * (L - len(text))] for text in texts] or [[]] * B, dtype=torch.long)
        pos_BL = torch.arange(L).expand(B, L)
        hidden_BT = torch.cat([torch.zeros(B, Q, dtype=torch.bool), pos_BL >= lengths[:, None]], 1).to(rows_BnD.device)
        added = torch.zeros_like(hidden_BT, dtype=rows_BnD.dtype).masked_fill(hidden_BT, -torch.inf)[:, None, None]
        device = rows_BnD.device
        x_BTD: Tensor = self.words(ids_BL.to(device), pos_BL.to(device), self.queries.expand(B, -1, -1))
        for block in self.blocks:
            x_BTD = block(x_BTD, rows_BnD, added, Q)
        return x_BTD[:, :Q]
