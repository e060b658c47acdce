"""Losses by name. Each reads what it needs and returns one scalar.

Shape letters: B batch, T tokens, D width, R supervised places, V vocabulary, K names or candidates, O objects; of routers N
rows, E experts, K experts of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from anyvlm.errors import SpecError
from anyvlm.parts.language import LM
from anyvlm.parts.moe import Routing


def next_token(lm: LM, hidden_BTD: Tensor, labels_BT: Tensor, chunk: int = 128, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the supervised places; the logits of at most `chunk` places exist at a time.

    Also in the backward pass, which computes those of every chunk but an only one again.
    `smoothing`: the share of every label that goes to all words alike (1512.00567).
    """
    at = labels_BT >= 0
    return over_rows(lm, hidden_BTD[at], labels_BT[at], chunk, smoothing)


def over_rows(lm: LM, rows_RD: Tensor, labels_R: Tensor, chunk: int, smoothing: float = 0.0) -> Tensor:
    """The same of supervised places alone."""

    def some(rows: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(lm.logits(rows).float(), labels, reduction="sum", label_smoothing=smoothing)

    if len(rows_RD) <= chunk:
        return some(rows_RD, labels_R) / max(1, len(labels_R))
    total = rows_RD.new_zeros((), dtype=torch.float32)
    for rows, labels in zip(rows_RD.split(chunk), labels_R.split(chunk), strict=True):
        total = total + checkpoint(some, rows, labels, use_reentrant=False, preserve_rng_state=False)
    return total / len(labels_R)


def caption(lm: LM, hidden_BTD: Tensor, labels_BT: Tensor) -> Tensor:
    """Cross-entropy averaged over the supervised places of every sample, then over samples: short texts count as long ones."""
    at_BT = labels_BT >= 0
    each_R = F.cross_entropy(lm.logits(hidden_BTD[at_BT]).float(), labels_BT[at_BT], reduction="none")
    counts_BT = at_BT.sum(1, keepdim=True).expand_as(at_BT)
    return (each_R / counts_BT[at_BT]).sum() / at_BT.any(1).sum().clamp(min=1)


def contrast(likeness_BK: Tensor, truth_BK: Tensor, taught_BK: Tensor, soft: float) -> Tensor:
    """Mean cross-entropy of likeness over K candidates to `truth_BK`, of which the share `soft` is what a teacher thinks."""
    targets = soft * taught_BK.softmax(1) + (1 - soft) * truth_BK
    return -(likeness_BK.log_softmax(1) * targets).sum(1).mean()


def word_alignment(objects_OD: Tensor, words_KD: Tensor, truth_O: Tensor, scale: float = 16.0) -> Tensor:
    """Cross-entropy of cosine similarities: the pooled rows of every object against the embedding of every word.

    Objects whose truth is -100 do not count; without any other the loss is zero.
    """
    logits_OK = scale * F.normalize(objects_OD.float(), dim=-1) @ F.normalize(words_KD.float(), dim=-1).T
    return F.cross_entropy(logits_OK, truth_O, reduction="sum") / (truth_O >= 0).sum().clamp(min=1)


def right_size(objects_OD: Tensor, length: float) -> Tensor:
    """Squared log ratio of row lengths to `length`: keeps visual rows as long as the word embeddings they stand beside."""
    off: Tensor = (objects_OD.float().norm(dim=-1) / length).log()
    return off.square().mean()


def balance(routings: Sequence[Routing]) -> Tensor:
    """Switch's loss (2101.03961), of all choices: experts * sum(mean probability * share of the choices), summed over layers.

    A layer that uses all experts alike gives 1. Padding counts, as in the sources: rhymes-ai/Aria `aria/model/moe_lm.py`.
    """
    return _summed(routings, lambda routing: _even(routing.logits_NE, routing.expert_NK))


def balance_first(routings: Sequence[Routing]) -> Tensor:
    """The same of first choices alone (GShard, 2006.16668; DeepSpeed `top2gating`)."""
    return _summed(routings, lambda routing: _even(routing.logits_NE, routing.expert_NK[:, :1]))


def router_z(routings: Sequence[Routing]) -> Tensor:
    """Mean square of the log-sum-exp of a router's logits (ST-MoE, 2202.08906), summed over layers: keeps them small."""
    return _summed(routings, lambda routing: routing.logits_NE.float().logsumexp(-1).square().mean())


ROUTER_LOSSES = {"balance": balance, "balance_first": balance_first, "router_z": router_z}
"""Losses that read what routers did in the forward pass: ``with routings() as seen: ...``."""


def router_losses(names: Iterable[str], routings: Sequence[Routing]) -> dict[str, Tensor]:
    """Those among `names`, such as a stage's losses. Raises SpecError where no router was watched."""
    wanted = [name for name in names if name in ROUTER_LOSSES]
    if wanted and not routings:
        raise SpecError(f"The loss '{wanted[0]}' reads routers, but none was watched; the model has no experts.")
    return {name: ROUTER_LOSSES[name](routings) for name in wanted}


def _summed(routings: Sequence[Routing], loss: Callable[[Routing], Tensor]) -> Tensor:
    return torch.stack([loss(routing) for routing in routings]).sum()


def _even(logits_NE: Tensor, expert_NK: Tensor) -> Tensor:
    experts = logits_NE.shape[1]
    share_E = expert_NK.flatten().bincount(minlength=experts).float() / expert_NK.numel()
    out: Tensor = experts * (logits_NE.float().softmax(-1).mean(0) * share_E).sum()
    return out
