"""StableLM 2 (2402.17834): its 1.6B size, and the names of its tensors."""

from __future__ import annotations

from anyvlm.keys import Each, Fuse, Keys, Partial, Rule
from anyvlm.parts.catalog.llama import LLAMA_HF
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.rope import Rope

_TURNED = Each(ops=(Partial(heads="heads", part="turning"), Partial(heads="kv_heads", part="turning"), None))

STABLELM_HF = Keys(
    rules=(
        Rule(
            theirs=tuple(f"model.layers.{{}}.self_attn.{p}_proj." for p in "qkv"), ours=("blocks.{}.attn.qkv.",),
            ops=(_TURNED, Fuse(shares=("heads", "kv_heads", "kv_heads"))),
        ),
        *LLAMA_HF.rules,
    ),
    ties=LLAMA_HF.ties,
    ignore=LLAMA_HF.ignore,
)  # fmt: skip
"""transformers' StableLmForCausalLM, and the StableLM of MoE-LLaVA."""

STABLELM_2_1_6B = Decoder(
    vocab=100352, width=2048, depth=24, heads=32, kv_heads=32, ffn=GLU(hidden=5632), context=4096, norm=LayerNorm(eps=1e-5),
    rope=Rope(part=0.25), qkv_bias=True,
)  # fmt: skip
