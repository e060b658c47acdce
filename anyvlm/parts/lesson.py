"""What an encoder alone learns by: modules that stand beside it while it is trained, and the losses of both.

Shape letters: N rows of all items, C values per patch, B items, n patches of each, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.keys import Layout
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.spec import Spec


@dataclass(frozen=True)
class Views:
    """Items as encoders read them: patches of all, their grids. `taught_NC`: the same items as a teacher sees them, where it
    sees them otherwise. `labels_B`: the class of each, for those who learn classes; `ids_BT`: the words, for those who learn
    these, -100 behind the last.
    """

    x_NC: Tensor
    grids: tuple[Grid, ...]
    taught_NC: Tensor | None = None
    labels_B: Tensor | None = None
    ids_BT: Tensor | None = None

    @property
    def one(self) -> tuple[Grid, Tensor]:
        """The grid that all items have, and their patches (B, n, C). Raises ValueError where they have several."""
        ((grid, x_BnC),) = Features(self.x_NC, self.grids).groups()
        return grid, x_BnC


@dataclass(frozen=True, kw_only=True)
class Lesson(Spec):
    """Contract of lessons. `layouts`: how published files name what they train, the encoder under "encoder.", the rest under
    "lesson."; () where only the encoder was published.
    """

    layouts: tuple[Layout, ...] = ()

    def build(self, encoder: Encoder) -> LessonModule:
        """The module that stands beside this encoder."""
        raise NotImplementedError


class LessonModule(nn.Module):
    """Contract of their modules. The encoder is not one of their parameters."""

    def losses(self, encoder: nn.Module, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """Named scalars. `draw`: chooses what is hidden."""
        raise NotImplementedError

