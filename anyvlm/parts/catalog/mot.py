"""Mixture-of-Transformers (2411.04996): Chameleon-7B's decoder with every weight of its layers once for each kind of token.

Numbers: Chameleon-7B (2405.09818); facebookresearch/Mixture-of-Transformers 2ba51c0 src/, whose norms stand behind attention
and feed-forward.
"""

from __future__ import annotations

from anyvlm.parts.by_kind import ByKind
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import RMSNorm

MOT_7B = Decoder(
    vocab=65536, width=4096, depth=32, heads=32, kv_heads=32, ffn=GLU(hidden=11008), context=4096, norm=RMSNorm(eps=1e-5),
    qk_norm=RMSNorm(eps=1e-5), norm_last=True, by_kind=ByKind(of=("norms", "qkv", "qk_norms", "o", "ffn")),
)  # fmt: skip
