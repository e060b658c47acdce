"""What training holds beside activations: weights, gradients and the optimiser's state, stage by stage; exact, without torch.

As `train.loop` and `train.optim` hold them: weights and gradients in bf16; of everything that moves a master copy and two
moments in fp32. Activations, which depend on the batch, come on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anyvlm.anatomy.shares import Share, shares
from anyvlm.match import AnySystem
from anyvlm.system import Lora, Stage, VisionSystem

WEIGHT, MOVED = 2, 2 + 3 * 4
"""Bytes of a weight, and those beside it of one that moves."""
RANK = Lora(rank=16, alpha=32.0)
"""Low-rank updates of the language model's blocks, where a stage has none of its own."""


@dataclass(frozen=True)
class Tuning:
    """Bytes that a stage holds: with all it trains moved whole, and with low-rank updates in place of the language model's
    blocks; None where it does not train them.
    """

    stage: str
    full: int
    lora: int | None


def tuning(system: AnySystem) -> tuple[Tuning, ...]:
    """Of every stage of a system's recipe."""
    if isinstance(system, VisionSystem) or not system.stages:
        return ()
    variants = []
    for n, stage in enumerate(system.stages):
        variants += [_full(stage).but(name=f"{n} full"), _low(stage).but(name=f"{n} low")]
    found = shares(system.but(stages=tuple(variants)))
    total = WEIGHT * sum(share.count for share in found)
    out = []
    for n, stage in enumerate(system.stages):
        (full, _), (low, added) = _moved(found, f"{n} full"), _moved(found, f"{n} low")
        out.append(Tuning(stage.name, total + MOVED * full, total + WEIGHT * added + MOVED * (low + added) if added else None))
    return tuple(out)


def _full(stage: Stage) -> Stage:
    """Without low-rank updates: what they are for moves itself."""
    return stage if stage.lora is None else stage.but(train=(*stage.train, *stage.lora.on), lora=None)


def _low(stage: Stage) -> Stage:
    """With low-rank updates in place of whole blocks."""
    if stage.lora is not None:
        return stage
    whole = [glob for glob in stage.train if glob in ("*", "lm.*") or glob.startswith("lm.blocks.")]
    return stage.but(train=tuple(glob for glob in stage.train if glob not in whole), lora=RANK if whole else None)


def _moved(found: Sequence[Share], stage: str) -> tuple[int, int]:
    """Parameters that move, and those added."""
    moves = [move for share in found for move in share.moves if move.stage == stage]
    return sum(move.trained for move in moves), sum(move.added for move in moves)
