"""VideoMAE's lesson (2203.12602): the pixels of the tubes that were hidden, nine tenths of every clip.

Source: transformers `modeling_videomae.py`.
Shape letters: B clips, n tubes of each, K of these kept, M hidden, C values per tube, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.features import Encoder
from anyvlm.parts.init import normal
from anyvlm.parts.keyless import Keyless
from anyvlm.parts.lesson import Lesson, LessonModule, Views
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.sincos import sincos_1d
from anyvlm.parts.vision.tubes import TubeEncoder, TubeViT, tube_mask


@dataclass(frozen=True, kw_only=True)
class HiddenTubes(Lesson):
    """A decoder of `depth` blocks reads what is seen, then a learned row for every hidden tube. `share`: of tubes hidden;
    `mean`, `std`: of the encoder's pixels, which are undone.
    """

    width: int
    depth: int
    block: Keyless
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    norm: LayerNorm = LayerNorm(eps=1e-5)
    share: float = 0.9

    def build(self, encoder: Encoder) -> HiddenTubesModule:
        """The module. Raises SpecError for an encoder that reads no tubes."""
        if not isinstance(encoder, TubeViT):
            raise SpecError(f"HiddenTubes teaches encoders of tubes, not {type(encoder).__name__}.")
        return HiddenTubesModule(self, encoder)


class HiddenTubesModule(LessonModule):
    """Parameters: map, mask, blocks, norm, head."""

    def __init__(self, spec: HiddenTubes, encoder: TubeViT) -> None:
        super().__init__()
        self.spec, self.map = spec, nn.Linear(encoder.width, spec.width, bias=False)
        self.mask, self.norm = normal(spec.width, std=0.02), spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))
        self.head = nn.Linear(spec.width, 3 * encoder.frames * encoder.patch**2)

    def predicted(self, encoder: TubeEncoder, views: Views, hidden_Bn: Tensor) -> Tensor:
        """(B, M, C): hidden tubes in order, values by frame, line, column and colour. In every clip as many are hidden."""
        seen_BKD = encoder(views.x_NC, views.grids, ~hidden_Bn)
        assert isinstance(seen_BKD, Tensor)
        seen = self.map(seen_BKD)
        places_BnD = sincos_1d(hidden_Bn.shape[1], self.spec.width, seen.device).to(seen.dtype).expand(len(seen), -1, -1)
        at_BK, at_BM = (places_BnD[which].unflatten(0, (len(seen), -1)) for which in (~hidden_Bn, hidden_Bn))
        x = torch.cat([seen + at_BK, self.mask + at_BM], 1)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x[:, -at_BM.shape[1] :]))
        return out

    def truth(self, views: Views, hidden_Bn: Tensor) -> Tensor:
        """What `predicted` should be: pixels from 0 to 1, of each tube and colour less their mean and by their deviation."""
        _, x_BnC = views.one
        x = x_BnC[hidden_Bn].unflatten(0, (len(x_BnC), -1)).unflatten(-1, (3, -1)).transpose(-1, -2).float()
        x = x * x.new_tensor(self.spec.std) + x.new_tensor(self.spec.mean)
        out: Tensor = ((x - x.mean(-2, keepdim=True)) / (x.var(-2, keepdim=True).sqrt() + 1e-6)).flatten(-2)
        return out

    def losses(self, encoder: nn.Module, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """"pixels": mean squared error of what is hidden, at other places in every clip."""
        assert isinstance(encoder, TubeEncoder)
        hidden = [tube_mask(grid, self.spec.share, draw) for grid in views.grids]
        hidden_Bn = torch.stack(hidden).to(views.x_NC.device)
        return {"pixels": F.mse_loss(self.predicted(encoder, views, hidden_Bn).float(), self.truth(views, hidden_Bn))}
