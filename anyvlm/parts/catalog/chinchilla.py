"""Chinchilla (2203.15556): sizes by which Flamingo's table of parameters comes out."""

from __future__ import annotations

from anyvlm.parts.ffn import MLP
from anyvlm.parts.relative import RelativeDecoder

CHINCHILLA_1_4B = RelativeDecoder(
    vocab=32000, width=2048, depth=24, heads=16, ffn=MLP(hidden=8192, bias=False), context=2048, tied=True
)
CHINCHILLA_7B = CHINCHILLA_1_4B.but(width=4096, depth=32, heads=32, ffn__hidden=16384)
CHINCHILLA_70B = CHINCHILLA_1_4B.but(width=8192, depth=80, heads=64, ffn__hidden=32768)
