"""The steps of systems that match: contrast with slow towers, matching against wrong partners, captioning.

Sources: BLIP (2201.12086), salesforce/BLIP 056a169 `models/blip_pretrain.py`, `models/blip_retrieval.py`, `pretrain.py`.
Shape letters: B pairs, R rows of a picture, T tokens, D width, E width of the shared space, K points: B new ones, then a queue.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.errors import SpecError
from anyvlm.match import Match
from anyvlm.parts.grounded import GroundedLM
from anyvlm.seq import Memory, Seq, causal
from anyvlm.train.losses import contrast, next_token
from anyvlm.train.slow import Pairs, Slow

SMOOTHING = 0.1
"""Of the labels of captions."""


def ramp(step: int, epoch: int, most: float = 0.4) -> float:
    """The weight of soft targets: it rises to `most` over the first two epochs, of `epoch` steps each."""
    return most * min(1.0, step / (2 * epoch))


def pretrain(match: Match, pairs: Pairs, slow: Slow, soft: float, draw: torch.Generator | None = None) -> dict[str, Tensor]:
    """"contrast", "match" and "caption" of a batch. `slow` moves by one step and takes the batch into its queues.

    `soft`: how much the slow towers' own likeness counts in the targets; `draw`: chooses wrong partners.
    """
    if match.spec.captioner is None:
        raise SpecError(f"'{match.spec.name}' has no captioner to pre-train; train it with `retrieval`.")
    near = _near(match, pairs, slow, soft)
    B = len(near.rows_BRD)
    same_BB = torch.eye(B, dtype=torch.bool, device=near.rows_BRD.device)
    images = wrong_partners(near.text_image_BK[:, :B], same_BB, draw, least=1e-4)
    texts = wrong_partners(near.image_text_BK[:, :B], same_BB, draw, least=1e-4)
    return {
        "contrast": near.loss,
        "match": matching(match, pairs, near.rows_BRD, images, texts),
        "caption": captioning(match.lm, pairs, near.rows_BRD),
    }


def retrieval(match: Match, pairs: Pairs, slow: Slow, soft: float, draw: torch.Generator | None = None) -> dict[str, Tensor]:
    """"contrast" and "match" where several texts may be of one picture (`Pairs.who_B`)."""
    near = _near(match, pairs, slow, soft)
    with torch.no_grad():
        likeness_BB = near.image_BE @ near.text_BE.T / near.temperature
        same_BB = _same(pairs, pairs.ids_BT.new_empty(0))[:, : len(likeness_BB)]
        images, texts = (wrong_partners(each, same_BB, draw) for each in (likeness_BB.T, likeness_BB))
    return {"contrast": near.loss, "match": matching(match, pairs, near.rows_BRD, images, texts)}


@dataclass(frozen=True)
class _Near:
    """What contrast computed: the loss, rows and points of the batch, and likeness to the points of the slow towers."""

    loss: Tensor
    rows_BRD: Tensor
    image_BE: Tensor
    text_BE: Tensor
    image_text_BK: Tensor
    text_image_BK: Tensor
    temperature: Tensor


def _near(match: Match, pairs: Pairs, slow: Slow, soft: float) -> _Near:
    if match.spec.temperature is None:
        raise SpecError(f"'{match.spec.name}' has no temperature to be trained with; give one: .but(temperature=0.07).")
    rows_BRD = match.rows(pairs.x_NC, pairs.grids)
    image_BE, text_BE = match.point_image(rows_BRD).float(), match.point_text(pairs.ids_BT, pairs.seen_BT).float()
    slow.follow(match)
    image_slow_BE, text_slow_BE = slow.points(pairs)
    image_KE, text_KE = torch.cat([image_slow_BE, slow.image_QE]), torch.cat([text_slow_BE, slow.text_QE])
    same_BK = _same(pairs, slow.who_Q)
    truth_BK = same_BK / same_BK.sum(1, keepdim=True)
    temperature = match.temperature
    image_text_BK, text_image_BK = image_BE @ text_KE.T / temperature, text_BE @ image_KE.T / temperature
    with torch.no_grad():
        taught = image_slow_BE @ text_KE.T / temperature, text_slow_BE @ image_KE.T / temperature
    loss = (contrast(image_text_BK, truth_BK, taught[0], soft) + contrast(text_image_BK, truth_BK, taught[1], soft)) / 2
    slow.push(image_slow_BE, text_slow_BE, pairs.who_B)
    return _Near(loss, rows_BRD, image_BE, text_BE, image_text_BK, text_image_BK, temperature.detach())


def _same(pairs: Pairs, who_Q: Tensor) -> Tensor:
    """(B, K) bool: points of the same picture."""
    B = len(pairs.ids_BT)
    if pairs.who_B is None:
        return torch.eye(B, B + len(who_Q), dtype=torch.bool, device=pairs.ids_BT.device)
    return pairs.who_B[:, None] == torch.cat([pairs.who_B, who_Q])[None]


@torch.no_grad()
def wrong_partners(
    likeness_BB: Tensor, same_BB: Tensor, draw: torch.Generator | None = None, least: float = 0.0
) -> Tensor:
    """(B): for each a partner it does not belong to, the likelier the more alike; `least` is added to every chance.

    Raises SpecError if one has no other partner.
    """
    if bool(same_BB.all(1).any()):
        raise SpecError("Matching needs wrong partners, but a batch holds one picture only; take larger batches.")
    chances = likeness_BB.float().softmax(1) + least
    return torch.multinomial(chances.masked_fill(same_BB, 0.0), 1, generator=draw)[:, 0]


def matching(match: Match, pairs: Pairs, rows_BRD: Tensor, images: Tensor, texts: Tensor) -> Tensor:
    """Cross-entropy of "match" for the pairs, and "no match" for every text beside a wrong image and every image beside a
    wrong text.
    """
    ids_BT, seen_BT = pairs.begun(pairs.beside), pairs.seen_BT
    logits = match.judged(
        torch.cat([ids_BT, ids_BT, ids_BT[texts]]), torch.cat([seen_BT, seen_BT, seen_BT[texts]]),
        torch.cat([rows_BRD, rows_BRD[images], rows_BRD]),
    )  # fmt: skip
    truth = torch.arange(len(logits), device=logits.device) < len(ids_BT)
    return F.cross_entropy(logits.float(), truth.long())


def captioning(lm: GroundedLM, pairs: Pairs, rows_BRD: Tensor) -> Tensor:
    """Cross-entropy of every next token of the texts."""
    ids_BT, seen_BT = pairs.begun(pairs.written), pairs.seen_BT
    labels_BT = F.pad(ids_BT.masked_fill(~seen_BT, -100)[:, 1:], (0, 1), value=-100)
    all_BTR = torch.ones(*ids_BT.shape, rows_BRD.shape[1], dtype=torch.bool, device=ids_BT.device)
    start = causal(lm.embed(ids_BT), seen_BT.long() - 1)
    seq = Seq(
        start.x_BTD, start.kind_BT, start.pos_PBT, start.block_BT, start.seg_BT, {lm.spec.memory: Memory(rows_BRD, all_BTR)}
    )
    return next_token(lm, lm.hidden(seq), labels_BT, smoothing=SMOOTHING)
