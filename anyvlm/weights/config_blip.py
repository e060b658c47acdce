"""BLIP-2 and InstructBLIP in Hugging Face's layout.

Prompts are those of transformers' processors: pictures, the tokenizer's first token, the text as it is. Source: transformers
``configuration_{blip_2,instructblip}.py``, ``processing_{blip_2,instructblip}.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm.errors import SpecError
from anyvlm.inputs.formats import BLIP_2_OPT_CAPTION, INSTRUCTBLIP_VICUNA, T5_PLAIN
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.parts.bert import PostNorm, Words
from anyvlm.parts.catalog.blip_2 import QFORMER_HF, READING_QFORMER_HF, blip_2_hf
from anyvlm.parts.connect.qformer import QFormer, ReadingQFormer
from anyvlm.parts.ffn import MLP
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.opt import OPT
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Meta, Reads, Stream, System
from anyvlm.weights.config_language import LANGUAGE_KEYS, read_language
from anyvlm.weights.config_lm import ACTS
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Directory, Hub, Source

BLIP = {"blip-2": False, "instructblip": True}
"""model_type -> whether its Q-Former reads the prompt."""

FOLDER = "qformer_tokenizer"
"""Where InstructBLIP keeps the tokenizer of its Q-Former."""

_EYE: Json = {
    "hidden_size": 1408,
    "intermediate_size": 6144,
    "num_hidden_layers": 39,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
}
_QFORMER: Json = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "layer_norm_eps": 1e-12,
    "cross_attention_frequency": 2,
}
_WITHOUT_EFFECT = ("initializer_factor", "use_decoder_only_language_model", "image_text_hidden_size", "tie_word_embeddings")


def read_blip(
    path: Path, config: Mapping[str, object], source: Source, template: Template | None, policy: ImagePolicy,
    tokenizer: Tokenizer | None,
) -> System:  # fmt: skip
    """The system of a directory. Raises SpecError naming a field that cannot be honoured."""
    reading = BLIP[str(config["model_type"])]
    f = Fields(config, {"num_query_tokens": 32}, str(path / "config.json"))
    text = {"model_type": "opt", **f.nested("text_config")}
    lm = read_language(text, f"{path}: text_config")
    eye = _eye(f.nested("vision_config"), f"{path}: vision_config")
    connector = _qformer(f.nested("qformer_config"), f"{path}: qformer_config", f.need("num_query_tokens", int), eye, reading)
    id = f.maybe("image_token_index", int) or f.maybe("image_token_id", int)
    f.done(*_WITHOUT_EFFECT)
    names = {} if tokenizer is None else {number: token for token, number in tokenizer.vocab.items()}
    keys, bridge = LANGUAGE_KEYS[str(text["model_type"])], READING_QFORMER_HF if reading else QFORMER_HF
    return System(
        name=path.name,
        lm=lm,
        streams={
            "image": Stream(
                policy=policy, encoder=eye, connector=connector, reads=_reads(path, source, connector),
            )
        },
        template=template or _template(lm, tokenizer),
        meta=Meta(paper="", year=0, license="unknown", family="blip-2", row=""),
        placeholder=names.get(-1 if id is None else id, "<image>"),
        attention="causal" if lm.start is None else "prefix",
        tokenizer=source if tokenizer else None,
        checkpoints=(Checkpoint(source=source, layouts=blip_2_hf(bridge, keys)),),
    )  # fmt: skip


def _template(lm: LanguageModel, tokenizer: Tokenizer | None) -> Template:
    """Text that is continued, or with T5 answered."""
    if lm.start is not None:
        return T5_PLAIN
    plain = BLIP_2_OPT_CAPTION if isinstance(lm, OPT) else INSTRUCTBLIP_VICUNA
    if tokenizer is None or tokenizer.bos is None or tokenizer.find(plain.bos) == tokenizer.bos:
        return plain
    bos = next(token for token, id in tokenizer.vocab.items() if id == tokenizer.bos)
    return plain.but(bos=bos, specials=(*plain.specials, bos))


def _eye(data: Mapping[str, object], where: str) -> ViT:
    f = Fields(data, _EYE, where)
    f.only("num_channels", 3)
    f.only("qkv_bias", True)
    eye = ViT(
        width=f.need("hidden_size", int),
        depth=f.need("num_hidden_layers", int),
        heads=f.need("num_attention_heads", int),
        patch=f.need("patch_size", int),
        size=f.need("image_size", int),
        ffn=MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", ACTS)),
        norm=LayerNorm(eps=f.need("layer_norm_eps", float)),
        keep_cls=True,
        stem_bias=True,
        post_norm=False,
    )
    f.done("initializer_factor")
    return eye


def _qformer(data: Mapping[str, object], where: str, queries: int, eye: ViT, reading: bool) -> QFormer:
    f = Fields(data, _QFORMER, where)
    f.only("encoder_hidden_size", eye.width)
    f.only("use_qformer_text_input", reading)
    f.only("position_embedding_type", "absolute")
    norm = LayerNorm(eps=f.need("layer_norm_eps", float))
    layer = PostNorm(
        heads=f.need("num_attention_heads", int),
        ffn=MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", ACTS)),
        norm=norm,
    )
    plain = QFormer(
        queries=queries,
        inner=f.need("hidden_size", int),
        depth=f.need("num_hidden_layers", int),
        layer=layer,
        rows=eye.norm,
        every=f.need("cross_attention_frequency", int),
    )
    words = Words(vocab=f.need("vocab_size", int), context=f.need("max_position_embeddings", int), norm=norm)
    f.done("classifier_dropout")
    if not reading:
        return plain
    return ReadingQFormer(
        queries=queries, inner=plain.inner, depth=plain.depth, layer=layer, rows=plain.rows, every=plain.every, words=words
    )


def _reads(path: Path, source: Source, connector: QFormer) -> Reads | None:
    """The Q-Former's tokenizer, in a folder of its own; transformers gives it the whole prompt."""
    if not isinstance(connector, ReadingQFormer):
        return None
    if not (path / FOLDER / "tokenizer.json").is_file():
        raise SpecError(f"{path} has no {FOLDER}/tokenizer.json, with which its Q-Former reads the prompt; add it.")
    here = source.but(folder=FOLDER) if isinstance(source, Hub) else Directory(path=str(path / FOLDER))
    return Reads(tokenizer=here, limit=connector.words.context)
