"""DeepMIM's lesson (2303.08817): what a teacher sees of hidden patches, guessed at several depths of the encoder.

Source: OliverRensu/DeepMIM 7bf1e80 `models_mae.py`, `engine_pretrain.py`, `clip.py`.
Shape letters: B pictures, n patches of each, K of these kept, C values per patch, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.init import normal
from anyvlm.parts.lesson import Lesson, LessonModule, Views
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.sincos import sincos_2d
from anyvlm.parts.vision.vit import ViT, ViTEncoder

Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class DeepFeatures(Lesson):
    """A decoder of its own `after` each of these blocks (after the last: of the normed rows): `depth` blocks of `width`.

    `teacher`: its rows are mapped to `features` values; it sees all patches of the same pictures. `seen`: mean and deviation
    of the encoder's pixels, `taught`: of the teacher's. `share`: of patches hidden.
    """

    width: int
    depth: int
    block: PreNorm
    teacher: ViT
    features: int
    seen: tuple[Colour, Colour]
    taught: tuple[Colour, Colour]
    after: tuple[int, ...] = (6, 8, 10, 12)
    norm: LayerNorm = LayerNorm(eps=1e-6)
    share: float = 0.75

    def build(self, encoder: Encoder) -> DeepFeaturesModule:
        """The module. Raises SpecError for an encoder that is no ViT with a class token, or not as deep."""
        if not isinstance(encoder, ViT) or not encoder.cls or max(self.after) > encoder.depth:
            raise SpecError(f"DeepFeatures teaches ViTs with a class token and at least {max(self.after)} blocks.")
        return DeepFeaturesModule(self, encoder)


class FeatureDecoder(nn.Module):
    """Parameters: map, mask, blocks, norm, head."""

    def __init__(self, spec: DeepFeatures, into: int) -> None:
        super().__init__()
        self.map, self.mask = nn.Linear(into, spec.width), normal(spec.width, std=0.02)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))
        self.norm, self.head = spec.norm.build(spec.width), nn.Linear(spec.width, spec.features)

    def forward(self, x_BKD: Tensor, hidden_Bn: Tensor, places_nD: Tensor) -> Tensor:
        """Class token and kept patches -> what is said of all patches (B, n, features)."""
        x = self.map(x_BKD)
        whole = self.mask.to(x.dtype).expand(*hidden_Bn.shape, -1).masked_scatter(~hidden_Bn[..., None], x[:, 1:])
        x = torch.cat([x[:, :1], whole + places_nD.to(x.dtype)], 1)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x))
        return out[:, 1:]


class DeepFeaturesModule(LessonModule):
    """Parameters: decoders; teacher and project, which nothing trains."""

    def __init__(self, spec: DeepFeatures, encoder: ViT) -> None:
        super().__init__()
        self.spec = spec
        self.decoders = nn.ModuleList(FeatureDecoder(spec, encoder.width) for _ in spec.after)
        self.teacher = spec.teacher.build()
        self.project = nn.Linear(spec.teacher.out, spec.features, bias=False)

    def predicted(self, encoder: ViTEncoder, views: Views, hidden_Bn: Tensor) -> list[Tensor]:
        """Of every decoder (B, n, features). In every picture as many patches are hidden."""
        (_, h, w), x_BnC = views.one
        B, kept = len(x_BnC), ~hidden_Bn
        some: Grid = (1, 1, int(kept[0].sum()))
        x = encoder.begin(x_BnC[kept].unflatten(0, (B, -1)), some, kept.nonzero()[:, 1])
        found = []
        for n, block in enumerate(encoder.blocks[: max(self.spec.after)], 1):
            x = block(x)
            if n in self.spec.after:
                found.append(encoder.norm(x) if n == encoder.spec.depth else x)
        places_nD = sincos_2d(h, w, self.spec.width, x.device)
        return [decode(each, hidden_Bn, places_nD) for decode, each in zip(self.decoders, found, strict=True)]

    @torch.no_grad()
    def truth(self, views: Views) -> Tensor:
        """(B, n, features): what the teacher sees."""
        (mean, std), (own_mean, own_std) = self.spec.seen, self.spec.taught
        x_NC = views.x_NC if views.taught_NC is None else views.taught_NC
        colours = x_NC.unflatten(-1, (3, -1))
        of = [colours.new_tensor(each)[:, None] for each in (std, mean, own_mean, own_std)]
        x_NC = ((colours * of[0] + of[1] - of[2]) / of[3]).flatten(-2)
        rows: Features = self.teacher(x_NC, views.grids)
        out: Tensor = self.project(rows.x_ND).unflatten(0, (len(views.grids), -1))
        return out

    def each(self, encoder: ViTEncoder, views: Views, hidden_Bn: Tensor) -> Tensor:
        """Of every decoder: 2 - 2 cos to the teacher, averaged over hidden patches."""
        truth_BnF = self.truth(views)
        wrong = [2 - 2 * F.cosine_similarity(said, truth_BnF, dim=-1) for said in self.predicted(encoder, views, hidden_Bn)]
        return torch.stack([each[hidden_Bn].mean() for each in wrong])

    def losses(self, encoder: nn.Module, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """"features": the sum over all decoders; other patches are hidden in every picture."""
        assert isinstance(encoder, ViTEncoder)
        _, x_BnC = views.one
        B, n, _ = x_BnC.shape
        order_Bn = torch.rand(B, n, generator=draw).argsort(1).argsort(1).to(x_BnC.device)
        return {"features": self.each(encoder, views, order_Bn >= int(n * (1 - self.spec.share))).sum()}
