"""How many bytes parameters take, in bf16 or quantised, and which of them one token meets."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from anyvlm.anatomy.parameters import Branch
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.moe import FFN, MoE
from anyvlm.system import System

GROUP = 128
"""Values of a matrix that share a scale where they are quantised."""


@dataclass(frozen=True)
class Share:
    """So many parameters, of which `matrices` lie in the matrices that can be quantised: those of the blocks and inserts of
    a language model.
    """

    values: int = 0
    matrices: int = 0

    def __sub__(self, other: Share) -> Share:
        return Share(self.values - other.values, self.matrices - other.matrices)

    def bytes(self) -> dict[str, int]:
        """All in bf16; or the matrices in int8 or int4, with a bf16 scale for every GROUP values, and the rest in bf16."""
        rest, scales = 2 * (self.values - self.matrices), 2 * -(-self.matrices // GROUP)
        packed = {name: rest + scales + self.matrices * bits // 8 for name, bits in (("int8", 8), ("int4", 4))}
        return {"bf16": 2 * self.values} | packed


NOTHING = Share()


def whole(tree: Branch) -> Share:
    """Everything."""
    stacks = (tree.find(f"lm.{name}") for name in ("blocks", "inserts", "encoder.blocks", "reader.blocks"))
    return Share(tree.count, sum(_matrices(stack) for stack in stacks if stack is not None))


def active(system: System, tree: Branch) -> Share:
    """The language model without experts and copies by kind that a token of text does not meet."""
    lm, found = system.lm, tree.find("lm")
    assert found is not None
    share = Share(found.count, whole(tree).matrices)
    if isinstance(lm, Decoder):
        for layer in range(lm.depth):
            share -= _idle(lm.ffn_of(layer), lm.width)
        for kind in lm.by_kind.kinds if lm.by_kind else ():
            share -= _copies(found, kind.name.lower())
    return share


def read(system: System, tree: Branch) -> Share:
    """What one token more must read: of an embedding that is no head only a row, of an encoder-decoder the decoder."""
    share, head = active(system, tree), tree.find("lm.head")
    for name in ("encoder", "reader"):
        if (found := tree.find(f"lm.{name}")) is not None:
            blocks = found.find("blocks")
            share -= Share(found.count, _matrices(blocks) if blocks else 0)
    embed = tree.find("lm.embed")
    assert head is not None and embed is not None
    return share if head.tied else share - Share(embed.count)


def _matrices(branch: Branch) -> int:
    """Values of all matrices, stacks of experts among them."""
    if branch.branches:
        return branch.times * sum(map(_matrices, branch.branches))
    return branch.times * prod(branch.shape) if len(branch.shape) > 1 and not branch.tied else 0


def _idle(ffn: FFN, width: int) -> Share:
    """Of the experts that a row does not go through."""
    if not isinstance(ffn, MoE):
        return NOTHING
    matrices, biases = _expert(ffn.expert, width)
    count = ffn.experts - ffn.top
    return Share(count * (matrices + biases), count * (matrices + biases))  # stacked biases have two axes


def _expert(ffn: GLU | MLP, width: int) -> tuple[int, int]:
    if isinstance(ffn, GLU):
        return 3 * width * ffn.hidden, 0
    return 2 * width * ffn.hidden, ffn.hidden + width if ffn.bias else 0


def _copies(branch: Branch, kind: str) -> Share:
    """Of the copies for a kind of tokens, below a branch."""
    if branch.name == kind:
        return Share(branch.count, _matrices(branch))
    below = [_copies(each, kind) for each in branch.branches]
    return Share(branch.times * sum(each.values for each in below), branch.times * sum(each.matrices for each in below))
