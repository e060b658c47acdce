"""Connectors by the word people use for them, in the sizes of the papers that made them known."""

from __future__ import annotations

from anyvlm.parts.catalog.blip_2 import BLIP_2_QFORMER
from anyvlm.parts.connect.merger import Merger
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.connect.resampler import Resampler
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.features import Connector
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm

_NORM = LayerNorm(eps=1e-5)
_FLAMINGO = Perceiver(queries=64, depth=6, heads=16, head=64, ffn=MLP(hidden=4096, bias=False), norm=_NORM)
_PERCEIVER = Resampler(inside=1024, inner=_FLAMINGO, frames=1)
_MLP = Projector(depth=2)

CONNECTORS: dict[str, Connector] = {
    "linear": Projector(depth=1),
    "merger": Merger(norm=LayerNorm(eps=1e-6)),
    "mlp": _MLP,
    "perceiver": _PERCEIVER,
    "projector": _MLP,
    "qformer": BLIP_2_QFORMER,
    "resampler": _PERCEIVER,
    "shuffle": Shuffle(r=2),
}
"""LLaVA, Qwen2-VL, LLaVA-1.5, Flamingo, BLIP-2, InternVL. All end in the language model's width."""

BESIDE: dict[str, Connector] = {"perceiver": _FLAMINGO, "resampler": _FLAMINGO}
"""For rows that stay beside the sequence: the layers that read them bring them to the language model's width."""
