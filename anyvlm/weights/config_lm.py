"""Decoders in Hugging Face's ``config.json``, both ways: Llama, Mistral, Qwen2, Phi 2 and 3, Cohere, StableLM (MPT and
GPT-NeoX: `config_mosaic`); Aria's is read.

Both the published files (`rope_theta`, `rope_scaling`) and those of transformers 5 (`rope_parameters`) are read. Fields equal
to the default of their class may be missing. Source: transformers ``configuration_*.py``, ``modeling_rope_utils.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isclose, log, sqrt

from anyvlm.errors import SpecError
from anyvlm.keys import Keys
from anyvlm.parts.act import Act
from anyvlm.parts.catalog.aria import ARIA_HF
from anyvlm.parts.catalog.llama import COHERE_HF, LLAMA_HF, PHI3_HF
from anyvlm.parts.catalog.mpt import MPT_HF
from anyvlm.parts.catalog.neox import NEOX_HF
from anyvlm.parts.catalog.phi import PHI_HF
from anyvlm.parts.catalog.stablelm import STABLELM_HF
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.lm import Decoder
from anyvlm.parts.moe import FFN, MoE
from anyvlm.parts.norm import LayerNorm, RMSNorm
from anyvlm.parts.rope import Linear, Llama3, LongRope, Ntk, Rope, Yarn
from anyvlm.spec import Json
from anyvlm.weights.config_mosaic import read_mpt, read_neox, write_mpt, write_neox
from anyvlm.weights.fields import Fields

ACTS: dict[str, Act] = {
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "relu2": "relu2",
}
"""transformers' names of activations."""

_LLAMA: Json = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "attention_bias": False,
}
_DEFAULTS: dict[str, Json] = {
    "llama": _LLAMA,
    "mistral": _LLAMA
    | {"intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072, "sliding_window": 4096},
    "qwen2": _LLAMA
    | {"vocab_size": 151936, "intermediate_size": 22016, "num_key_value_heads": 32, "max_position_embeddings": 32768}
    | {"sliding_window": 4096, "max_window_layers": 28, "use_sliding_window": False},
    "phi3": _LLAMA
    | {"vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192, "max_position_embeddings": 4096}
    | {"rms_norm_eps": 1e-5, "original_max_position_embeddings": 4096},
    "cohere": _LLAMA
    | {"vocab_size": 256000, "hidden_size": 8192, "intermediate_size": 22528, "num_hidden_layers": 40}
    | {"num_attention_heads": 64, "max_position_embeddings": 8192, "layer_norm_eps": 1e-5, "logit_scale": 0.0625}
    | {"tie_word_embeddings": True},
    "stablelm": _LLAMA
    | {"vocab_size": 50304, "hidden_size": 2560, "intermediate_size": 6912, "max_position_embeddings": 4096}
    | {"layer_norm_eps": 1e-5, "use_qkv_bias": False, "partial_rotary_factor": 0.25},
    "phi": _LLAMA
    | {"vocab_size": 51200, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24, "hidden_act": "gelu_new"}
    | {"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.5},
    "aria_text": _LLAMA
    | {"intermediate_size": 4096, "moe_num_experts": 8, "moe_topk": 2, "moe_num_shared_experts": 2},
}
KEYS: dict[str, Keys] = {
    "llama": LLAMA_HF,
    "mistral": LLAMA_HF,
    "qwen2": LLAMA_HF,
    "phi3": PHI3_HF,
    "cohere": COHERE_HF,
    "stablelm": STABLELM_HF,
    "phi": PHI_HF,
    "aria_text": ARIA_HF,
    "mpt": MPT_HF,
    "gpt_neox": NEOX_HF,
}
"""The key table of each model_type that can be read."""


_OTHERS: dict[str, Callable[[Mapping[str, object], str], LanguageModel]] = {"mpt": read_mpt, "gpt_neox": read_neox}


def read_lm(data: Mapping[str, object], where: str = "config.json") -> LanguageModel:
    """The decoder a config describes. Raises SpecError naming the field that is unknown or cannot be honoured."""
    kind = str(data.get("model_type", "llama"))
    if kind in _OTHERS:
        return _OTHERS[kind](data, where)
    if kind not in _DEFAULTS:
        raise SpecError(f"{where}: model_type '{kind}' is not a decoder known here; known are {', '.join(KEYS)}.")
    f = Fields(data, _DEFAULTS[kind], where)
    heads, depth, width = (f.need(n, int) for n in ("num_attention_heads", "num_hidden_layers", "hidden_size"))
    head = f.maybe("head_dim", int)
    bias = f.need("attention_bias", bool)
    f.only("mlp_bias", False)
    for name in ("use_qk_norm", "qk_layernorm", "use_parallel_residual"):
        f.only(name, False)
    window, windowed = _window(f, kind, depth)
    decoder = Decoder(
        vocab=f.need("vocab_size", int),
        width=width,
        depth=depth,
        heads=heads,
        kv_heads=f.maybe("num_key_value_heads", int) or heads,
        ffn=_ffn(f, kind),
        context=f.need("max_position_embeddings", int),
        norm=_norm(f, kind),
        rope=_rope(f, where, kind in _PARTIAL),
        head=None if head is None or head * heads == width else head,
        tied=f.need("tie_word_embeddings", bool),
        qkv_bias=kind in ("qwen2", "phi") or bias or f.maybe("use_qkv_bias", bool) is True,
        o_bias=kind == "phi" or (bias and kind != "qwen2"),
        head_bias=kind == "phi",
        parallel=kind in ("cohere", "phi"),
        window=window,
        windowed=windowed,
        logit_scale=f.need("logit_scale", float) if kind == "cohere" else 1.0,
    )
    f.done()
    return decoder


_PARTIAL = ("stablelm", "phi")
"""Of their heads only a share turns, as the config says; the key tables of others are made for whole heads."""


def _ffn(f: Fields, kind: str) -> FFN:
    hidden = f.need("intermediate_size", int)
    hidden = f.maybe("moe_intermediate_size", int) or hidden  # rhymes-ai/Aria's own files; the other is not used there
    act = f.choice("hidden_act", ACTS)
    if kind == "phi":
        return MLP(hidden=hidden, act=act)
    if kind != "aria_text":
        return GLU(hidden=hidden, act=act)
    for training in ("moe_z_loss_coeff", "moe_aux_loss_coeff"):
        f.raw(training)
    shared = GLU(hidden=hidden * f.need("moe_num_shared_experts", int), act=act)
    experts, top = f.need("moe_num_experts", int), f.need("moe_topk", int)
    return MoE(expert=GLU(hidden=hidden), experts=experts, top=top, shared=shared)  # experts are SiLU in every config


def _norm(f: Fields, kind: str) -> LayerNorm | RMSNorm:
    if kind in ("cohere", "stablelm", "phi"):
        return LayerNorm(eps=f.need("layer_norm_eps", float), bias=kind != "cohere")
    return RMSNorm(eps=f.need("rms_norm_eps", float))


def _window(f: Fields, kind: str, depth: int) -> tuple[int | None, tuple[int, ...] | None]:
    """(how far back a token looks, the layers in which it does; None for all)."""
    window, types, first = f.maybe("sliding_window", int), f.raw("layer_types"), f.maybe("max_window_layers", int)
    if kind == "llama" or f.maybe("use_sliding_window", bool) is False or window is None:
        return None, None
    if isinstance(types, list):
        layers = tuple(n for n, layer in enumerate(types) if layer == "sliding_attention")
    else:
        layers = tuple(range(first, depth)) if kind == "qwen2" and first is not None else tuple(range(depth))
    return (window, None if len(layers) == depth else layers) if layers else (None, None)


def _rope(f: Fields, where: str, partial: bool) -> Rope:
    """`partial`: a share of a head may turn."""
    theta, context = f.need("rope_theta", float), f.need("max_position_embeddings", int)
    original = f.maybe("original_max_position_embeddings", int)
    data = f.nested("rope_parameters", "rope_scaling")
    above = {"rope_type": data.get("type", "default"), "rope_theta": theta}
    above["partial_rotary_factor"] = f.raw("partial_rotary_factor")
    r = Fields(data, above, f"{where}: rope_scaling")
    r.raw("type")
    part = r.maybe("partial_rotary_factor", float) or 1.0
    if part != 1.0 and not partial:
        raise SpecError(f"{where}: partial_rotary_factor = {part} is not supported here; only 1.0.")
    theta, kind = r.need("rope_theta", float), r.need("rope_type", str)
    within = r.maybe("original_max_position_embeddings", int) or original or context
    scaling: Linear | Llama3 | LongRope | Yarn | None = None
    if kind == "linear":
        scaling = Linear(factor=r.need("factor", float))
    elif kind == "llama3":
        low, high = r.need("low_freq_factor", float), r.need("high_freq_factor", float)
        scaling = Llama3(factor=r.need("factor", float), low=low, high=high, original=within)
    elif kind == "yarn":
        scaling = _yarn(r, within)
    elif kind in ("longrope", "su"):
        scaling = _long(r, within, context if original is not None else None)
    elif kind != "default":
        raise SpecError(f"{where}: rope_scaling of type '{kind}' is not supported.")
    r.done()
    return Rope(theta=theta, scaling=scaling, part=part)


def _yarn(r: Fields, original: int) -> Yarn:
    fast, slow = r.maybe("beta_fast", float) or 32.0, r.maybe("beta_slow", float) or 1.0
    r.only("truncate", True)
    for name in ("mscale", "mscale_all_dim"):
        r.only(name)
    yarn = Yarn(factor=r.need("factor", float), original=original, fast=fast, slow=slow)
    _gain(r, 0.1 * log(yarn.factor) + 1 if yarn.factor > 1 else 1.0)
    return yarn


def _long(r: Fields, original: int, context: int | None) -> LongRope:
    """Phi-3 names both lengths; others a factor between them."""
    factor = r.maybe("factor", float)
    context = context or int(original * (factor or 1.0))
    ratio = context / original
    _gain(r, sqrt(1 + log(ratio) / log(original)) if ratio > 1 else 1.0)
    return LongRope(short=r.numbers("short_factor"), long=r.numbers("long_factor"), original=original, context=context)


def _gain(r: Fields, ours: float) -> None:
    theirs = r.maybe("attention_factor", float)
    if theirs is not None and not isclose(theirs, ours, rel_tol=1e-6):
        raise SpecError(f"rope_scaling: attention_factor = {theirs} is not supported; only its default {ours}.")


# Writing --------------------------------------------------------------------------------------------------------------


_WRITERS = ((MPT_HF, write_mpt), (NEOX_HF, write_neox))


def write_lm(decoder: LanguageModel, keys: Keys) -> Json:
    """The config of transformers for a decoder whose tensors are named by `keys`; SpecError if no class computes it."""
    if writer := next((write for table, write in _WRITERS if table == keys), None):
        return writer(decoder)
    if not isinstance(decoder, Decoder):
        raise SpecError(f"The config of a {type(decoder).__name__} cannot be written; save it in our own form.")
    if isinstance(decoder.ffn, MoE) or decoder.swaps:
        raise SpecError("The config of a decoder with experts cannot be written; save it in our own form.")
    kind = _kind(decoder, keys)
    config: Json = {
        "model_type": kind,
        "vocab_size": decoder.vocab,
        "hidden_size": decoder.width,
        "intermediate_size": decoder.ffn.hidden,
        "num_hidden_layers": decoder.depth,
        "num_attention_heads": decoder.heads,
        "num_key_value_heads": decoder.kv_heads,
        "hidden_act": next(theirs for theirs, ours in ACTS.items() if ours == decoder.ffn.act),
        "max_position_embeddings": decoder.context,
        "tie_word_embeddings": decoder.tied,
        "rope_theta": decoder.rope.theta,
        "rope_scaling": _scaling(decoder.rope),
    }
    config["layer_norm_eps" if isinstance(decoder.norm, LayerNorm) else "rms_norm_eps"] = decoder.norm.eps
    if kind in _PARTIAL:
        config["partial_rotary_factor"] = decoder.rope.part
    if kind == "stablelm":
        config["use_qkv_bias"] = decoder.qkv_bias
    if kind in ("llama", "mistral"):
        config["head_dim"] = decoder.head_width
    if kind in ("llama", "cohere"):
        config["attention_bias"] = decoder.qkv_bias
    if kind == "cohere":
        config["logit_scale"] = decoder.logit_scale
    if isinstance(decoder.rope.scaling, LongRope):
        config["original_max_position_embeddings"] = decoder.rope.scaling.original
    if kind in ("mistral", "phi3", "qwen2"):
        config["sliding_window"] = decoder.window
    if kind == "qwen2" and decoder.window is not None:
        near = range(decoder.depth) if decoder.windowed is None else decoder.windowed
        config["use_sliding_window"] = True
        config["max_window_layers"] = decoder.depth - len(near)
        config["layer_types"] = ["sliding_attention" if n in near else "full_attention" for n in range(decoder.depth)]
    if decoder != read_lm(config):
        raise SpecError(f"No class of transformers computes this decoder; '{kind}' is the nearest.")
    return config


def _kind(decoder: Decoder, keys: Keys) -> str:
    named = {"cohere": COHERE_HF, "phi3": PHI3_HF, "phi": PHI_HF, "stablelm": STABLELM_HF}
    if known := [kind for kind, table in named.items() if table == keys]:
        return known[0]
    if decoder.qkv_bias and not decoder.o_bias:
        return "qwen2"
    return "llama" if decoder.window is None else "mistral"


def _scaling(rope: Rope) -> Json | None:
    match rope.scaling:
        case None:
            return None
        case Linear(factor=factor):
            return {"rope_type": "linear", "factor": factor}
        case Llama3(factor=factor, low=low, high=high, original=original):
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": original,
            }
        case Yarn(factor=factor, original=original, fast=fast, slow=slow):
            return {
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original,
                "beta_fast": fast,
                "beta_slow": slow,
            }
        case LongRope(short=short, long=long):
            return {"rope_type": "longrope", "short_factor": list(short), "long_factor": list(long)}
        case Ntk():
            raise SpecError("No decoder of transformers scales its rotary positions so; export in our own layout.")
