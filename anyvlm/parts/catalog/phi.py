"""Phi-2 (microsoft/phi-2): its size, and the names of its tensors."""

from __future__ import annotations

from anyvlm.keys import Each, Fuse, Keys, Partial, Rule, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.rope import Rope

_L, _B = "model.layers.{}.", "blocks.{}."
_TURNED = Each(ops=(Partial(heads="heads", part="turning"), Partial(heads="kv_heads", part="turning"), None))

PHI_HF = Keys(
    rules=(
        *rename(
            {
                "model.embed_tokens.": "embed.",
                "model.final_layernorm.": "norm.",
                "lm_head.": "head.",
                _L + "self_attn.dense.": _B + "attn.o.",
                _L + "input_layernorm.": _B + "norm1.",
                _L + "mlp.fc1.": _B + "ffn.up.",
                _L + "mlp.fc2.": _B + "ffn.down.",
            }
        ),
        Rule(
            theirs=tuple(f"{_L}self_attn.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",),
            ops=(_TURNED, Fuse(shares=("heads", "kv_heads", "kv_heads"))),
        ),
    )
)  # fmt: skip
"""transformers' PhiForCausalLM: Phi-1, Phi-1.5 and Phi-2."""

PHI_2 = Decoder(
    vocab=51200, width=2560, depth=32, heads=32, kv_heads=32, ffn=MLP(hidden=10240, act="gelu_tanh"), context=2048,
    norm=LayerNorm(eps=1e-5), rope=Rope(part=0.4), parallel=True, qkv_bias=True, o_bias=True, head_bias=True,
)  # fmt: skip
"""Of a head of 80 turn 32."""
