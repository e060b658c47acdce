"""The state of contrast: towers that follow slowly, and queues of the points they made.

Sources: MoCo (1911.05722), ALBEF (2107.07651), BLIP (salesforce/BLIP 056a169 `models/blip_pretrain.py`). On one machine; the
authors gather the points of all cards into the queues.
Shape letters: B pairs, R rows of a picture, T tokens, E width of the shared space, Q places of a queue, C values of a patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.match import Match
from anyvlm.parts.features import Grid


@dataclass(frozen=True)
class Pairs:
    """B pictures of one size and their texts.

    ids_BT: behind the token of texts that are read alone; `beside` and `written` are the ids that stand in its place where a
    text is read beside a picture, and where it is written. seen_BT: False on padding. who_B: numbers of the pictures, alike
    where several texts are of one; None: they all differ.
    """

    x_NC: Tensor
    grids: tuple[Grid, ...]
    ids_BT: Tensor
    seen_BT: Tensor
    beside: int
    written: int
    who_B: Tensor | None = None

    def begun(self, first: int) -> Tensor:
        """The ids behind another first token."""
        return torch.cat([torch.full_like(self.ids_BT[:, :1], first), self.ids_BT[:, 1:]], 1)


class Slow:
    """Copies of both towers, which follow by `1 - rate` a step, and the newest points they made of pictures and texts.

    It belongs to a run and not to the model: nothing trains it, and a checkpoint of the run holds it (`Task.state`).
    """

    def __init__(self, match: Match, places: int, *, rate: float = 0.995, seed: int = 0) -> None:
        self.rate = rate
        self.towers = deepcopy(nn.ModuleDict(_towers(match)))  # all at once, as towers may share parameters
        self.towers.requires_grad_(False)
        device = match.judge.weight.device
        points = torch.randn(2, places, match.spec.shared, generator=torch.Generator().manual_seed(seed))
        self.image_QE, self.text_QE = (F.normalize(each, dim=-1).to(device) for each in points)
        self.who_Q = torch.full((places,), -100, device=device)
        self.place = torch.zeros((), dtype=torch.long)

    @torch.no_grad()
    def follow(self, match: Match) -> None:
        """Move every parameter of the copies towards its original."""
        originals = nn.ModuleDict(_towers(match))
        for own, theirs in zip(self.towers.parameters(), originals.parameters(), strict=True):
            own.mul_(self.rate).add_(theirs, alpha=1 - self.rate)

    @torch.no_grad()
    def points(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Points (B, E) of the pictures and of the texts."""
        heads = self.towers["to_shared"]
        assert isinstance(heads, nn.ModuleDict)
        rows_BRD = self.towers["encoder"](pairs.x_NC, pairs.grids).x_ND.unflatten(0, (len(pairs.grids), -1))
        states_BTD = self.towers["text"](pairs.ids_BT, pairs.seen_BT)
        image_BE, text_BE = heads["image"](rows_BRD[:, 0]), heads["text"](states_BTD[:, 0])
        return F.normalize(image_BE.float(), dim=-1), F.normalize(text_BE.float(), dim=-1)

    def push(self, image_BE: Tensor, text_BE: Tensor, who_B: Tensor | None = None) -> None:
        """Put points into the queues, in the place of the oldest. Raises SpecError if batches do not fill the queue evenly."""
        B, Q = len(image_BE), len(self.image_QE)
        if Q % B:
            raise SpecError(f"A queue of {Q} places cannot be filled by batches of {B}; take a multiple of {B}.")
        at = slice(int(self.place), int(self.place) + B)
        self.image_QE[at], self.text_QE[at] = image_BE, text_BE
        self.who_Q[at] = -100 if who_B is None else who_B
        self.place.fill_((at.stop) % Q)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        queues = {"image": self.image_QE, "text": self.text_QE, "who": self.who_Q, "place": self.place}
        return queues | {f"towers.{name}": tensor for name, tensor in self.towers.named_parameters()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])


def _towers(match: Match) -> dict[str, nn.Module]:
    return {"encoder": match.encoder, "text": match.text, "to_shared": match.to_shared}
