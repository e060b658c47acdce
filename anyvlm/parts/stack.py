"""What decoders share, whatever their blocks: a row of blocks, inserts in front of some, a final norm, a head.

Shape letters: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from anyvlm.parts.language import LM, Context, LanguageModel
from anyvlm.parts.norm import Norm


class StackLM(LM):
    """Parameters: embed, blocks, inserts, norm, head."""

    def __init__(self, spec: LanguageModel, blocks: Iterable[nn.Module], norm: Norm, memories: Mapping[str, int]) -> None:
        """`memories`: width of the rows of each memory that the inserts read."""
        super().__init__(spec)
        self.blocks = nn.ModuleList(blocks)
        self.inserts = nn.ModuleList(i.build(spec.width, memories[i.memory]) for i in spec.inserts for _ in i.layers)
        self._before = _before(spec)
        self.norm = norm.build(spec.width)
        self.head = nn.Linear(spec.width, spec.vocab, bias=False)
        if spec.tied:
            self.head.weight = self.embed.weight

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """All blocks, and the inserts in front of them."""
        x = x_BTD
        for layer, block in enumerate(self.blocks):
            for n, memory in self._before.get(layer, ()):
                x = self.inserts[n](x, at.recalls.get(memory), at.cache, n)
            x = block(x, at)
        out: Tensor = self.norm(x)
        return out


def _before(spec: LanguageModel) -> dict[int, list[tuple[int, str]]]:
    """For blocks with inserts before them: the numbers of these and the memory each reads."""
    out: dict[int, list[tuple[int, str]]] = {}
    places = [(layer, insert.memory) for insert in spec.inserts for layer in insert.layers]
    for n, (layer, memory) in enumerate(places):
        out.setdefault(layer, []).append((n, memory))
    return out
