"""Systems that say how well a picture and a text fit: two towers with a shared space, and a text tower that reads the picture.

Shape letters: B pairs, I pictures, T tokens, R rows of a picture, D width, E width of the shared space.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.dual import DualSystem
from anyvlm.errors import SpecError
from anyvlm.ground import GroundSystem
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.adapted import AdaptedPostNorm, share
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.grounded import GroundedDecoder, GroundedLM, GroundedText
from anyvlm.spec import Spec
from anyvlm.system import Checkpoint, Meta, Stage, System, VisionSystem
from anyvlm.weights.sources import Source


@dataclass(frozen=True, kw_only=True)
class Wording(Spec):
    """What stands around a text: the first token where it is read alone, beside a picture, or written; and the last."""

    alone: str
    beside: str
    written: str
    end: str


@dataclass(frozen=True, kw_only=True)
class MatchSystem(Spec):
    """Two towers (picture: the class token; text: the first token) projected into a space of `shared` dimensions, where cosine
    is likeness; and the text tower beside the picture, whose first state says whether they match.

    Adapters beside the blocks of both (`AdaptedViT`, `AdaptedPostNorm`) are the same ones.
    `captioner`: a language model that shares everything with the text tower but self-attention (and has a head).
    `temperature`: where the one of contrast begins, which such systems train with the rest; None: it has none.
    """

    name: str
    policy: ImagePolicy
    encoder: Encoder
    text: GroundedText
    wording: Wording
    shared: int
    meta: Meta
    captioner: GroundedDecoder | None = None
    temperature: float | None = None
    tokenizer: Source | None = None
    added: tuple[str, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    fresh: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    def build(self) -> Match:
        """The module, with random weights."""
        return Match(self)

    def part(self, prefix: str) -> Spec:
        """The spec whose parameters lie under a prefix: "encoder.", "text.", "lm." or "" (this one)."""
        parts = {"": self, "encoder": self.encoder, "text": self.text, "lm": self.captioner}
        if (found := parts.get(prefix.rstrip("."))) is None:
            raise SpecError(f"The system '{self.name}' has no part at '{prefix}'.")
        return found


AnySystem = System | VisionSystem | MatchSystem | DualSystem | GroundSystem
"""Every kind of thing the registry holds."""


class Match(nn.Module):
    """Parameters: encoder, text, to_shared.{image,text}, judge; with a captioner lm, of which most is the text tower's."""

    def __init__(self, spec: MatchSystem) -> None:
        super().__init__()
        self.spec = spec
        self.encoder, self.text = spec.encoder.build(), spec.text.build(spec.encoder.out)
        self.to_shared = nn.ModuleDict(
            {"image": nn.Linear(spec.encoder.out, spec.shared), "text": nn.Linear(spec.text.width, spec.shared)}
        )
        if isinstance(spec.text.block, AdaptedPostNorm):
            share(self.encoder, self.text)
        self.judge = nn.Linear(spec.text.width, 2)
        if spec.captioner is not None:
            self.lm = _sharing(spec.captioner.build({spec.captioner.memory: spec.encoder.out}), self)
        if spec.temperature is not None:
            self.temperature = nn.Parameter(torch.tensor(spec.temperature))

    def reset_parameters(self) -> None:
        """The temperature as training begins."""
        if self.spec.temperature is not None:
            nn.init.constant_(self.temperature, self.spec.temperature)

    def rows(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        """Rows (I, R, D) of pictures of one size, the class token first."""
        features: Features = self.encoder(x_NC, grids)
        rows_IRD: Tensor = features.x_ND.unflatten(0, (len(grids), -1))
        return rows_IRD

    def point_image(self, rows_IRD: Tensor) -> Tensor:
        """Points (I, E) on the sphere."""
        return F.normalize(self.to_shared["image"](rows_IRD[:, 0]), dim=-1)

    def point_text(self, ids_BT: Tensor, seen_BT: Tensor) -> Tensor:
        """Points (B, E) of texts that are read alone."""
        return F.normalize(self.to_shared["text"](self.text(ids_BT, seen_BT)[:, 0]), dim=-1)

    def judged(self, ids_BT: Tensor, seen_BT: Tensor, rows_BRD: Tensor) -> Tensor:
        """Logits (B, 2) of "no match" and "match" for pairs; texts begin as they do beside a picture."""
        out: Tensor = self.judge(self.text(ids_BT, seen_BT, rows_BRD)[:, 0])
        return out


def _sharing(lm: GroundedLM, match: Match) -> GroundedLM:
    """The language model on the text tower's modules; its own are attn and norm1 of every block, dense, norm_head, a bias."""
    text = match.text
    lm.embed, lm.pos, lm.norm = text.embed, text.pos, text.norm
    lm.head.weight = text.embed.weight
    for own, theirs in zip(lm.blocks, text.blocks, strict=True):
        own.cross, own.norm_cross, own.ffn, own.norm2 = theirs.cross, theirs.norm_cross, theirs.ffn, theirs.norm2
    return lm
