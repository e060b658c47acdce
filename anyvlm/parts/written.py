"""AIMv2's lesson (2411.14402): a picture, patch by patch, and then its text, word by word, by a decoder behind the encoder.

In the encoder a prefix of patches, of a length drawn anew, sees itself whole, and the others what is before them; the decoder's
rows all see what is before them. apple/ml-aim has neither decoder nor losses: those are the paper's.
Shape letters: B pictures, n patches of each, T tokens of their texts, C values per patch, D width of the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.features import Encoder
from anyvlm.parts.init import normal
from anyvlm.parts.lesson import Lesson, LessonModule, Views
from anyvlm.parts.next_patch import drawn_prefix, seen_before, standard
from anyvlm.parts.norm import Norm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.vision.aim import NativeAimEncoder, NativeAimViT


@dataclass(frozen=True, kw_only=True)
class Written(Lesson):
    """A decoder of `depth` blocks of `width` over the encoder's rows, then at most `context` words; a head for either."""

    width: int
    depth: int
    block: PreNorm
    norm: Norm
    vocab: int
    context: int

    def build(self, encoder: Encoder) -> WrittenModule:
        """The module. Raises SpecError for an encoder that is none of AIM's."""
        if not isinstance(encoder, NativeAimViT):
            raise SpecError(f"Written teaches AIM's encoders, not {type(encoder).__name__}.")
        return WrittenModule(self, encoder)


class WrittenModule(LessonModule):
    """Parameters: map, embed, pos, blocks, norm, pixels, words."""

    def __init__(self, spec: Written, encoder: NativeAimViT) -> None:
        super().__init__()
        self.spec, self.map = spec, nn.Linear(encoder.width, spec.width, bias=False)
        self.embed = nn.Embedding(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))
        self.pos, self.norm = normal(spec.context, spec.width, std=0.02), spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))
        self.pixels, self.words = nn.Linear(spec.width, 3 * encoder.patch**2), nn.Linear(spec.width, spec.vocab, bias=False)

    def predicted(self, encoder: NativeAimEncoder, views: Views, prefix_B: Tensor) -> tuple[Tensor, Tensor]:
        """(B, n - 1, C): what all patches but the last say of the next; (B, T, vocab): what the last patch and all words but
        the last say of the next word.
        """
        if views.ids_BT is None:
            raise SpecError("A lesson of pictures and their texts needs `ids_BT`, the words of every item.")
        seen_BnD, ids_BT = self.map(seen_before(encoder, views, prefix_B)), views.ids_BT[:, :-1]
        x = torch.cat([seen_BnD, self.embed(ids_BT) + self.pos[: ids_BT.shape[1]]], 1)
        for block in self.blocks:
            x = block(x, causal=True)
        n, x = seen_BnD.shape[1], self.norm(x)
        return self.pixels(x[:, : n - 1]), self.words(x[:, n - 1 :])

    def losses(self, encoder: nn.Module, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """"pixels": mean squared error of standardised patches behind the prefix; "words": cross-entropy of what is no padding,
        which stands behind and is -100.
        """
        assert isinstance(encoder, NativeAimEncoder)
        _, x_BnC = views.one
        prefix_B, counts_Bn = drawn_prefix(x_BnC, draw)
        seen = Views(views.x_NC, views.grids, ids_BT=None if views.ids_BT is None else views.ids_BT.clamp(min=0))
        pixels, words = self.predicted(encoder, seen, prefix_B)
        assert views.ids_BT is not None
        wrong_Bn = (pixels.float() - standard(x_BnC)[:, 1:]).square().mean(-1)
        return {
            "pixels": (wrong_Bn * counts_Bn).sum() / counts_Bn.sum(),
            "words": F.cross_entropy(words.flatten(0, 1).float(), views.ids_BT.flatten()),
        }
