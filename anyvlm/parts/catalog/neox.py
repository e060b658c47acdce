"""GPT-NeoX (2204.06745), of which RedPajama-INCITE is one: sizes, and the names of its tensors.

Source: transformers `modeling_gpt_neox.py`; numbers: the config.json of togethercomputer/RedPajama-INCITE-*-3B-v1.
"""

from __future__ import annotations

from anyvlm.keys import ByHead, Each, Fuse, Keys, Partial, Rule, Split, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm

_TURNED = Partial(heads="heads", part="turning")
_L, _B = "gpt_neox.layers.{}.", "blocks.{}."

NEOX_HF = Keys(
    rules=(
        *rename(
            {
                "gpt_neox.embed_in.": "embed.",
                "gpt_neox.final_layer_norm.": "norm.",
                "embed_out.": "head.",
                _L + "attention.dense.": _B + "attn.o.",
                _L + "input_layernorm.": _B + "norm1.",
                _L + "post_attention_layernorm.": _B + "norm2.",
                _L + "mlp.dense_h_to_4h.": _B + "ffn.up.",
                _L + "mlp.dense_4h_to_h.": _B + "ffn.down.",
            }
        ),
        Rule(
            theirs=(_L + "attention.query_key_value.",), ours=(_B + "attn.qkv.",),
            ops=(ByHead(heads="heads"), Split(shares=(1, 1, 1)), Each(ops=(_TURNED, _TURNED, None)), Fuse(shares=(1, 1, 1))),
        ),
    ),
    # buffers that old files carry
    ignore=tuple(f"gpt_neox.layers.*.attention.{buffer}" for buffer in ("bias", "masked_bias", "rotary_emb.inv_freq")),
)  # fmt: skip
"""transformers' GPTNeoXForCausalLM."""

REDPAJAMA_3B = Decoder(
    vocab=50432, width=2560, depth=32, heads=32, kv_heads=32, ffn=MLP(hidden=10240), context=2048,
    norm=LayerNorm(eps=1e-5), qkv_bias=True, o_bias=True,
)  # fmt: skip
"""RedPajama-INCITE 3B: attention and feed-forward one after the other (use_parallel_residual false), heads that turn as a
whole (rotary_pct 1)."""
