"""MPT and GPT-NeoX in Hugging Face's ``config.json``, both ways. Sources: transformers ``configuration_{mpt,gpt_neox}.py``."""

from __future__ import annotations

from collections.abc import Mapping

from anyvlm.errors import SpecError
from anyvlm.parts.act import Act
from anyvlm.parts.alibi import AlibiDecoder
from anyvlm.parts.ffn import MLP
from anyvlm.parts.language import LanguageModel
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
    """GPT-NeoX, Pythia, RedPajama-INCITE."""
    f = Fields(data, _NEOX, where)
    r = Fields(f.nested("rope_parameters", "rope_scaling"), {"rope_type": "default"}, f"{where}: rope_parameters")
    r.only("rope_type", "default")
    part, theta = f.need("rotary_pct", float), f.need("rotary_emb_base", float)
    part, theta = r.maybe("partial_rotary_factor", float) or part, r.maybe("rope_theta", float) or theta
    r.done()
    heads, bias = f.need("num_attention_heads", int), f.need("attention_bias", bool)
    parallel = f.need("use_parallel_residual", bool)
    decoder = Decoder(
        vocab=f.need("vocab_size", int),
        width=f.need("hidden_size", int),
        depth=f.need("num_hidden_layers", int),
        heads=heads,
        kv_heads=heads,
        ffn=MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", _GELU)),
        context=f.need("max_position_embeddings", int),
        norm=LayerNorm(eps=f.need("layer_norm_eps", float)),
        rope=Rope(theta=theta, part=part),
        tied=f.need("tie_word_embeddings", bool),
        qkv_bias=bias,
        o_bias=bias,
        parallel=parallel,
        two_norms=parallel,
    )
    f.done("classifier_dropout")
    return decoder


def write_mpt(decoder: LanguageModel) -> Json:
    """The config of transformers' MPT; SpecError if it does not compute this decoder."""
    if not isinstance(decoder, AlibiDecoder) or decoder.ffn.hidden % decoder.width:
        raise SpecError(_NONE.format(type(decoder).__name__, "MPT"))
    config: Json = {
        "model_type": "mpt",
        "vocab_size": decoder.vocab,
        "d_model": decoder.width,
        "n_layers": decoder.depth,
        "n_heads": decoder.heads,
        "expansion_ratio": decoder.ffn.hidden // decoder.width,
        "max_seq_len": decoder.context,
        "layer_norm_epsilon": decoder.norm.eps,
        "attn_config": {"alibi": True, "alibi_bias_max": decoder.slopes},
    }
    return _same(config, decoder, read_mpt(config, "config.json"), "MPT")


def write_neox(decoder: LanguageModel) -> Json:
    """The config of transformers' GPT-NeoX; SpecError if it does not compute this decoder."""
    if not isinstance(decoder, Decoder) or not isinstance(decoder.ffn, MLP) or decoder.ffn.act not in _GELU.values():
        raise SpecError(_NONE.format(type(decoder).__name__, "GPT-NeoX"))
    config: Json = {
        "model_type": "gpt_neox",
        "vocab_size": decoder.vocab,
        "hidden_size": decoder.width,
        "num_hidden_layers": decoder.depth,
        "num_attention_heads": decoder.heads,
        "intermediate_size": decoder.ffn.hidden,
        "hidden_act": next(theirs for theirs, ours in _GELU.items() if ours == decoder.ffn.act),
        "max_position_embeddings": decoder.context,
        "layer_norm_eps": decoder.norm.eps,
        "rotary_pct": decoder.rope.part,
        "rotary_emb_base": decoder.rope.theta,
        "tie_word_embeddings": decoder.tied,
        "attention_bias": decoder.qkv_bias,
        "use_parallel_residual": decoder.parallel,
    }
    return _same(config, decoder, read_neox(config, "config.json"), "GPT-NeoX")


def _same(config: Json, decoder: LanguageModel, read: LanguageModel, kind: str) -> Json:
    if decoder != read:
        raise SpecError(_NONE.format(type(decoder).__name__, kind))
    return config


_NONE = "This {} is not what transformers' {} computes; save it in our own form."
