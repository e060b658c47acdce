"""Language models in Hugging Face's ``config.json``, of whatever class: the decoders of `config_lm`, OPT, T5.

Fields equal to the default of their class may be missing. Source: transformers ``configuration_{opt,t5}.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from anyvlm.errors import SpecError
from anyvlm.keys import Keys
from anyvlm.parts.catalog.opt import OPT_HF
from anyvlm.parts.catalog.t5 import T5_HF
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.opt import OPT
from anyvlm.parts.t5 import T5
from anyvlm.spec import Json
from anyvlm.weights.config_lm import ACTS, KEYS, read_lm
from anyvlm.weights.fields import Fields

LANGUAGE_KEYS: dict[str, Keys] = {**KEYS, "opt": OPT_HF, "t5": T5_HF}
"""The key table of each model_type that can be read."""

_OPT: Json = {
    "vocab_size": 50272,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "ffn_dim": 3072,
    "max_position_embeddings": 2048,
    "num_attention_heads": 12,
    "activation_function": "relu",
    "tie_word_embeddings": True,
}
_T5: Json = {
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "relu",
    "n_positions": 512,
}


def read_language(data: Mapping[str, object], where: str = "config.json") -> LanguageModel:
    """The language model a config describes. Raises SpecError naming the field that is unknown or cannot be honoured."""
    match data.get("model_type"):
        case "opt":
            return _opt(data, where)
        case "t5":
            return _t5(data, where)
    return read_lm(data, where)


def _opt(data: Mapping[str, object], where: str) -> OPT:
    f = Fields(data, _OPT, where)
    width = f.need("hidden_size", int)
    f.only("do_layer_norm_before", True)
    f.only("_remove_final_layer_norm", False)
    f.only("enable_bias", True)
    f.only("layer_norm_elementwise_affine", True)
    f.only("word_embed_proj_dim", width)
    found = OPT(
        vocab=f.need("vocab_size", int),
        width=width,
        depth=f.need("num_hidden_layers", int),
        heads=f.need("num_attention_heads", int),
        ffn=MLP(hidden=f.need("ffn_dim", int), act=f.choice("activation_function", ACTS)),
        context=f.need("max_position_embeddings", int),
        tied=f.need("tie_word_embeddings", bool),
    )
    f.done("activation_dropout", "layerdrop", "init_std")  # of training
    return found


def _t5(data: Mapping[str, object], where: str) -> T5:
    f = Fields(data, _T5, where)
    width, depth = f.need("d_model", int), f.need("num_layers", int)
    # Files say "not tied" where the head stands alone and states are not scaled; version 5 says the latter by itself.
    scaled, tied = f.maybe("scale_decoder_outputs", bool), f.maybe("tie_word_embeddings", bool)
    scaled = tied is not False if scaled is None else scaled
    found = T5(
        vocab=f.need("vocab_size", int),
        width=width,
        depth=f.maybe("num_decoder_layers", int) or depth,
        encoder_depth=depth,
        heads=f.need("num_heads", int),
        head=f.need("d_kv", int),
        ffn=_t5_ffn(f, where),
        context=f.need("n_positions", int),
        tied=scaled,
        norm=RMSNorm(eps=f.need("layer_norm_epsilon", float)),
        buckets=f.need("relative_attention_num_buckets", int),
        far=f.need("relative_attention_max_distance", int),
        start=f.maybe("decoder_start_token_id", int) or 0,
        logit_scale=width**-0.5 if scaled else 1.0,
    )
    f.done("dropout_rate", "classifier_dropout", "output_past", "is_gated_act")  # of training, of a classifier, said before
    return found


def _t5_ffn(f: Fields, where: str) -> GLU | MLP:
    """`dense_act_fn` overrules the name in `feed_forward_proj`, whose "gated-gelu" means the tanh form."""
    kind, hidden = f.need("feed_forward_proj", str), f.need("d_ff", int)
    named = "gelu_new" if kind == "gated-gelu" else kind.removeprefix("gated-")
    name = f.maybe("dense_act_fn", str) or named
    if name not in ACTS:
        raise SpecError(f"{where}: the activation {name!r} is not supported; only {', '.join(ACTS)}.")
    if kind.startswith("gated-"):
        return GLU(hidden=hidden, act=ACTS[name])
    return MLP(hidden=hidden, act=ACTS[name], bias=False)
