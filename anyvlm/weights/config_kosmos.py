"""KOSMOS-2 in Hugging Face's ``config.json``. Source: transformers ``configuration_kosmos2.py``."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from pathlib import Path

from anyvlm.inputs.boxes import Phrases
from anyvlm.inputs.formats import KOSMOS_2
from anyvlm.inputs.policy import ImagePolicy, policy_from_preprocessor
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import read_json
from anyvlm.parts.catalog.kosmos import KOSMOS_2_HF
from anyvlm.parts.connect.latent import Latent
from anyvlm.parts.magneto import Magneto
from anyvlm.parts.norm import LayerNorm
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Meta, Stream, System
from anyvlm.weights.config_lm import ACTS
from anyvlm.weights.config_vision import read_vision
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Source

_WHOLE: Json = {"latent_query_num": 64, "tie_word_embeddings": True}
_TEXT: Json = {
    "vocab_size": 65037,
    "max_position_embeddings": 2048,
    "embed_dim": 2048,
    "layers": 24,
    "ffn_dim": 8192,
    "attention_heads": 32,
    "activation_function": "gelu",
    "layer_norm_eps": 1e-5,
    "scale_embedding": True,
    "pad_token_id": 1,
}
_EYE: Json = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}


def read_kosmos(
    path: Path, config: Mapping[str, object], source: Source, template: Template | None, has_tokenizer: bool
) -> System:
    """The system in a directory of Kosmos2ForConditionalGeneration, which asks for places unless `template` does not."""
    f = Fields(config, _WHOLE, str(path / "config.json"))
    f.only("tie_word_embeddings", True)
    lm = _language(f.nested("text_config"), f"{path}: text_config")
    eye = read_vision({**_EYE, **f.nested("vision_config"), "model_type": "clip_vision_model"}, f"{path}: vision_config")
    connector = Latent(queries=f.need("latent_query_num", int), heads=lm.heads)
    f.done()
    return System(
        name=path.name,
        lm=lm,
        streams={"image": Stream(policy=_policy(path), encoder=eye.encoder.but(keep_cls=True), connector=connector)},
        template=template or KOSMOS_2,
        boxes=Phrases(),
        tokenizer=source if has_tokenizer else None,
        checkpoints=(Checkpoint(source=source, layouts=(KOSMOS_2_HF,)),),
        meta=Meta(paper="2306.14824", year=2023, license="unknown", family="kosmos", row="kosmos-2"),
    )


def _language(data: Mapping[str, object], where: str) -> Magneto:
    f = Fields(data, _TEXT, where)
    f.only("add_cross_attention", False)
    f.only("tie_word_embeddings", True)
    width = f.need("embed_dim", int)
    lm = Magneto(
        vocab=f.need("vocab_size", int),
        width=width,
        depth=f.need("layers", int),
        heads=f.need("attention_heads", int),
        hidden=f.need("ffn_dim", int),
        act=f.choice("activation_function", ACTS),
        context=f.need("max_position_embeddings", int),
        norm=LayerNorm(eps=f.need("layer_norm_eps", float)),
        scale=sqrt(width) if f.need("scale_embedding", bool) else 1.0,
        first=f.need("pad_token_id", int) + 1,
        tied=True,
    )
    f.done("activation_dropout", "init_std", "layerdrop")
    return lm


def _policy(path: Path) -> ImagePolicy:
    """Its preprocessor says "use_square_size", by which the shortest edge is meant for both."""
    whole = read_json(path / "preprocessor_config.json") or read_json(path / "processor_config.json")
    nested = whole.get("image_processor")
    config = dict(nested) if isinstance(nested, Mapping) else whole
    match config.pop("use_square_size", False), config.get("size"):
        case True, {"shortest_edge": int(side)}:
            config["size"] = {"height": side, "width": side}
    return policy_from_preprocessor(config)
