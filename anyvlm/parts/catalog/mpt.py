"""MPT (mosaicml.com/blog/mpt-7b): sizes, and the names of their tensors. Numbers: the config.json of mosaicml/mpt-*."""

from __future__ import annotations

from anyvlm.keys import Keys, Tie, rename
from anyvlm.parts.alibi import AlibiDecoder
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm

_L, _B = "transformer.blocks.{}.", "blocks.{}."
_BODY = {"transformer.wte.": "embed.", _L + "attn.Wqkv.": _B + "attn.qkv.", _L + "attn.out_proj.": _B + "attn.o."}
_TIE = (Tie(theirs="lm_head.weight", of="transformer.wte.weight"),)

MPT_HF = Keys(
    rules=rename(
        _BODY
        | {
            "transformer.norm_f.": "norm.",
            _L + "norm_1.": _B + "norm1.",
            _L + "norm_2.": _B + "norm2.",
            _L + "ffn.up_proj.": _B + "ffn.up.",
            _L + "ffn.down_proj.": _B + "ffn.down.",
        }
    ),
    ties=_TIE,
)
"""transformers' MptForCausalLM, and mosaicml's own files since MPT-7B."""

MOSAIC_GPT = Keys(
    rules=rename(
        _BODY
        | {
            "transformer.ln_f.": "norm.",
            _L + "ln_1.": _B + "norm1.",
            _L + "ln_2.": _B + "norm2.",
            _L + "attn.q_ln.": _B + "attn.q_norm.",
            _L + "attn.k_ln.": _B + "attn.k_norm.",
            _L + "mlp.mlp_up.": _B + "ffn.up.",
            _L + "mlp.mlp_down.": _B + "ffn.down.",
        }
    ),
    ties=_TIE,
)
"""mosaicml/examples v0.0.4, MosaicGPT: the files of mpt-1b-redpajama-200b."""

MPT_7B = AlibiDecoder(
    vocab=50432, width=4096, depth=32, heads=32, ffn=MLP(hidden=16384, bias=False), context=2048,
    norm=LayerNorm(eps=1e-5, bias=False), tied=True,
)  # fmt: skip
MPT_1B = MPT_7B.but(
    vocab=50368, width=2048, depth=24, heads=16, ffn__hidden=8192, qk_norm=LayerNorm(eps=1e-5, bias=False)
)
"""mpt-1b-redpajama-200b, whose queries and keys are normed."""
