"""MPT and GPT-NeoX in Hugging Face's ``config.json``. Sources: transformers ``configuration_{mpt,gpt_neox}.py``."""

from __future__ import annotations

from collections.abc import Mapping

from anyvlm.errors import SpecError
from anyvlm.parts.act import Act
from anyvlm.parts.alibi import AlibiDecoder
from anyvlm.parts.ffn import MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.rope import Rope
from anyvlm.spec import Json
from anyvlm.weights.fields import Fields

_MPT: Json = {
    "d_model": 2048, "n_heads": 16, "n_layers": 24, "expansion_ratio": 4, "max_seq_len": 2048, "vocab_size": 50368,
    "layer_norm_epsilon": 1e-5, "no_bias": True, "norm_type": "low_precision_layernorm",
}  # fmt: skip
_ATTENTION: Json = {"attn_type": "multihead_attention", "alibi": True, "alibi_bias_max": 8}
_NEOX: Json = {
    "vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44, "num_attention_heads": 64, "intermediate_size": 24576,
    "hidden_act": "gelu", "max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "tie_word_embeddings": False,
    "use_parallel_residual": True, "rotary_pct": 0.25, "rotary_emb_base": 10000.0, "attention_bias": True,
}  # fmt: skip
_GELU: dict[str, Act] = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh"}


def read_mpt(data: Mapping[str, object], where: str) -> AlibiDecoder:
    """MPT as transformers computes it: of its family what has ALiBi, and neither biases nor normed or clipped queries."""
    f = Fields(data, _MPT, where)
    a = Fields(f.nested("attn_config"), _ATTENTION, f"{where}: attn_config")
    a.only("attn_type", "multihead_attention")
    a.only("alibi", True)
    a.only("clip_qkv")
    a.only("softmax_scale")
    a.only("qk_ln", False)
    a.only("prefix_lm", False)
    slopes = a.need("alibi_bias_max", int)
    a.done("attn_impl", "attn_pdrop", "attn_uses_sequence_id")
    width = f.need("d_model", int)
    f.only("no_bias", True)
    f.only("logit_scale")
    f.only("norm_type", "low_precision_layernorm")
    f.only("tie_word_embeddings", True)
    decoder = AlibiDecoder(
        vocab=f.need("vocab_size", int),
        width=width,
        depth=f.need("n_layers", int),
        heads=f.need("n_heads", int),
        ffn=MLP(hidden=f.need("expansion_ratio", int) * width, bias=False),
        context=f.need("max_seq_len", int),
        norm=LayerNorm(eps=f.need("layer_norm_epsilon", float), bias=False),
        slopes=slopes,
        tied=True,
    )
    # learned_pos_emb has no effect beside ALiBi
    f.done("emb_pdrop", "embedding_fraction", "init_device", "init_config", "learned_pos_emb", "resid_pdrop", "tokenizer_name",
           "verbose")  # fmt: skip
    return decoder


def read_neox(data: Mapping[str, object], where: str) -> Decoder:
    """GPT-NeoX whose halves follow one another and whose heads turn as a whole (RedPajama-INCITE)."""
    f = Fields(data, _NEOX, where)
    f.only("use_parallel_residual", False)
    rope = f.nested("rope_parameters", "rope_scaling")
    r = Fields(rope, {"rope_type": "default"}, f"{where}: rope_parameters")
    r.only("rope_type", "default")
    part, theta = f.need("rotary_pct", float), f.need("rotary_emb_base", float)
    part, theta = r.maybe("partial_rotary_factor", float) or part, r.maybe("rope_theta", float) or theta
    r.done()
    if part != 1.0:
        raise SpecError(f"{where}: heads of which a part of {part} turns (rotary_pct) are not supported; only 1.0.")
    heads, bias = f.need("num_attention_heads", int), f.need("attention_bias", bool)
    decoder = Decoder(
        vocab=f.need("vocab_size", int),
        width=f.need("hidden_size", int),
        depth=f.need("num_hidden_layers", int),
        heads=heads,
        kv_heads=heads,
        ffn=MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", _GELU)),
        context=f.need("max_position_embeddings", int),
        norm=LayerNorm(eps=f.need("layer_norm_eps", float)),
        rope=Rope(theta=theta),
        tied=f.need("tie_word_embeddings", bool),
        qkv_bias=bias,
        o_bias=bias,
    )
    f.done("classifier_dropout")
    return decoder
