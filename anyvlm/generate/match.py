"""`MatchModel`: a loaded system that scores. Pictures and texts in, likeness and probabilities out.

Shape letters: I pictures, J texts, B pairs, T tokens, R rows of a picture, D width, E width of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from anyvlm.errors import InputError
from anyvlm.generate.device import Place
from anyvlm.generate.memory import AT_ONCE
from anyvlm.generate.prepack import prepack
from anyvlm.inputs.image import ImageSource, read_image
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.match import Match, MatchSystem
from anyvlm.parts.features import still
from anyvlm.weights.load import load_module, load_tokenizer

Images = ImageSource | list[ImageSource] | tuple[ImageSource, ...]
PAIRS = 32  # read together in one go


@dataclass(frozen=True)
class Scores:
    """Of every picture and every text: `cosine` (I, J) of their points in the shared space, `probability` (I, J) of a match."""

    cosine: Tensor
    probability: Tensor


@dataclass(frozen=True)
class Ranked:
    """One of the candidates: its number, its score (the higher the better), and its probability of a match."""

    index: int
    score: float
    probability: float


class MatchModel:
    """A matching system with its weights, preprocessing and tokenizer. `module` is an ordinary nn.Module."""

    def __init__(
        self, system: MatchSystem, module: Match, tokenizer: Tokenizer, where: Place, *, remote: bool = False
    ) -> None:
        self.system, self.module, self.tokenizer, self.place, self.remote = system, module.eval(), tokenizer, where, remote

    @classmethod
    def load(cls, system: MatchSystem, where: Place, *, remote: bool = False) -> Self:
        """With the weights of the system's checkpoints and its tokenizer, fetched if need be."""
        module = load_module(system, device=where.device, dtype=where.dtype)
        assert isinstance(module, Match)
        if (tokenizer := load_tokenizer(system)) is None:
            raise InputError(f"'{system.name}' has no tokenizer; give a directory that holds one.")
        prepack(module)
        return cls(system, module, tokenizer, where, remote=remote)

    def match(self, images: Images, texts: str | Sequence[str]) -> Scores:
        """Scores of all pairs. Every pair is read together once: for many of both, `rank` reads only the likely ones.

        Raises InputError.
        """
        rows_IRD, lines = self._rows(images), _lines(texts)
        pairs = [(i, j) for i in range(len(rows_IRD)) for j in range(len(lines))]
        logits = self._judged(rows_IRD, lines, pairs)
        shape = len(rows_IRD), len(lines)
        return Scores(self._cosine(rows_IRD, lines), logits.softmax(-1)[:, 1].view(shape))

    def rank(
        self, images: Images, texts: str | Sequence[str], *, of: Literal["texts", "images"] = "texts", top: int = 128
    ) -> list[list[Ranked]]:
        """For every picture its best texts (or for every text its best pictures), the best first.

        The `top` likeliest by cosine are read together with it; their score is cosine plus the logit of a match, as in
        salesforce/BLIP `train_retrieval.py` (128 for Flickr30k, 256 for COCO).
        """
        rows_IRD, lines = self._rows(images), _lines(texts)
        cosine = self._cosine(rows_IRD, lines)
        near = (cosine if of == "texts" else cosine.T).topk(min(top, cosine.shape[1 if of == "texts" else 0]), dim=1)
        out = []
        for n, (values, places) in enumerate(zip(near.values, near.indices.tolist(), strict=True)):
            pairs = [(n, place) if of == "texts" else (place, n) for place in places]
            logits = self._judged(rows_IRD, lines, pairs)
            scores, chances = (logits[:, 1] + values).tolist(), logits.softmax(-1)[:, 1].tolist()
            found = [Ranked(*one) for one in zip(places, scores, chances, strict=True)]
            out.append(sorted(found, key=lambda one: -one.score))
        return out

    @torch.inference_mode()
    def point_images(self, images: Images) -> Tensor:
        """Points (I, E) of pictures in the shared space, of length 1."""
        return self.module.point_image(self._rows(images)).float()

    @torch.inference_mode()
    def point_texts(self, texts: str | Sequence[str]) -> Tensor:
        """Points (J, E) of texts in the shared space, of length 1."""
        ids_BT, seen_BT = self.encoded(_lines(texts), self.system.wording.alone)
        runs = zip(ids_BT.split(PAIRS), seen_BT.split(PAIRS), strict=True)
        return torch.cat([self.module.point_text(*run) for run in runs]).float()

    def encoded(self, texts: Sequence[str], first: str) -> tuple[Tensor, Tensor]:
        """Ids (B, T) of texts behind the token `first`, and which are no padding. Raises InputError for one too long."""
        end, context = self.system.wording.end, self.system.text.context
        pieces = [(Piece(first, "special"), Piece(text, "user"), Piece(end, "special")) for text in texts]
        ids = [self.tokenizer.encode(each).ids for each in pieces]
        for text, each in zip(texts, ids, strict=True):
            if len(each) > context:
                raise InputError(f"The text '{text[:40]}...' has {len(each)} tokens; '{self.system.name}' reads {context}.")
        longest = max(map(len, ids))
        table = torch.tensor([[*each, *[-1] * (longest - len(each))] for each in ids], device=self.place.device)
        return table.clamp_min(0), table >= 0

    @torch.inference_mode()
    def _rows(self, images: Images) -> Tensor:
        """Rows (I, R, D) of pictures."""
        several = images if isinstance(images, (list, tuple)) else (images,)
        if not several:
            raise InputError("There are no pictures; give at least one.")
        parts = []
        for start in range(0, len(several), AT_ONCE):
            some = [read_image(image, remote=self.remote) for image in several[start : start + AT_ONCE]]
            arrays = [torch.from_numpy(self.system.policy.apply(image)) for image in some]
            x_NC = torch.cat([still(x, self.system.encoder) for x in arrays]).to(self.place.device)
            grids = tuple(self.system.encoder.grid(*x.shape[1:]) for x in arrays)
            parts.append(self.module.rows(x_NC, grids))
        return torch.cat(parts)

    @torch.inference_mode()
    def _cosine(self, rows_IRD: Tensor, lines: Sequence[str]) -> Tensor:
        return self.module.point_image(rows_IRD).float() @ self.point_texts(lines).T

    @torch.inference_mode()
    def _judged(self, rows_IRD: Tensor, lines: Sequence[str], pairs: Sequence[tuple[int, int]]) -> Tensor:
        """Logits (B, 2) of pairs (picture, text)."""
        ids_BT, seen_BT = self.encoded(lines, self.system.wording.beside)
        out = []
        for start in range(0, len(pairs), PAIRS):
            i, j = (list(numbers) for numbers in zip(*pairs[start : start + PAIRS], strict=True))
            out.append(self.module.judged(ids_BT[j], seen_BT[j], rows_IRD[i]).float())
        return torch.cat(out)


def _lines(texts: str | Sequence[str]) -> list[str]:
    lines = [texts] if isinstance(texts, str) else list(texts)
    if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        raise InputError("There is no text, or an empty one; give at least one and fill them all.")
    return lines
