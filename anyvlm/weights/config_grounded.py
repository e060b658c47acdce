"""BLIP in Hugging Face's ``config.json``: one model_type for the classes that caption, answer and match.

Fields equal to the default of their class may be missing. Source: transformers `configuration_blip.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm.errors import SpecError
from anyvlm.inputs.formats import BLIP_ANSWER as ANSWER
from anyvlm.inputs.formats import BLIP_CAPTION as CAPTION
from anyvlm.inputs.policy import policy_from_preprocessor
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import read_json
from anyvlm.match import MatchSystem, Wording
from anyvlm.parts.bert import PostNorm
from anyvlm.parts.catalog.blip import BLIP_ANSWER, BLIP_CAPTION, BLIP_MATCH
from anyvlm.parts.connect.same import Same
from anyvlm.parts.ffn import MLP
from anyvlm.parts.grounded import GroundedAnswerer, GroundedDecoder, GroundedText
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Meta, Stream, System
from anyvlm.weights.config_lm import ACTS
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Source

_TEXT: Json = {
    "vocab_size": 30524,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,  # the class's, which no released file has
    "max_position_embeddings": 512,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
_EYE: Json = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 384,
    "patch_size": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
ADDED = ("[DEC]", "[ENC]")


def read_grounded(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System | MatchSystem:
    """The system a config describes; its `architectures` say which. Raises SpecError naming what cannot be honoured."""
    f = Fields(config, {"image_text_hidden_size": 256}, str(path / "config.json"))
    text, eye = _text(f.nested("text_config"), path), _eye(f.nested("vision_config"), path)
    start = Fields(f.nested("text_config"), {"bos_token_id": 30522}, f"{path}: text_config").need("bos_token_id", int)
    f.only("tie_word_embeddings", True)
    shared, classes = f.need("image_text_hidden_size", int), f.raw("architectures")
    f.done("label_smoothing")
    policy = policy_from_preprocessor(read_json(path / "preprocessor_config.json") or read_json(path / "processor_config.json"))
    meta = Meta(paper="", year=0, license="unknown", family="blip", row="")
    tokenizer = source if (path / "tokenizer.json").is_file() else None
    stream = Stream(policy=policy, encoder=eye, connector=Same(), reach="all", most=1)
    lm = GroundedDecoder(
        vocab=text.vocab, width=text.width, depth=text.depth, heads=text.block.heads, context=text.context, tied=True,
        block=text.block,
    )  # fmt: skip
    match classes:
        case ["BlipForConditionalGeneration"]:
            return System(
                name=path.name, lm=lm, streams={"image": stream}, template=template or CAPTION, meta=meta, tokenizer=tokenizer,
                added=ADDED, checkpoints=(Checkpoint(source=source, layouts=BLIP_CAPTION),),
            )  # fmt: skip
        case ["BlipForQuestionAnswering"]:
            return System(
                name=path.name, streams={"image": stream}, template=template or ANSWER, meta=meta, tokenizer=tokenizer,
                lm=GroundedAnswerer(
                    vocab=lm.vocab, width=lm.width, depth=lm.depth, heads=lm.heads, context=lm.context, tied=True,
                    block=lm.block, reader=text, start=start,
                ),
                added=ADDED, attention="prefix", checkpoints=(Checkpoint(source=source, layouts=BLIP_ANSWER),),
            )  # fmt: skip
        case ["BlipForImageTextRetrieval"]:
            return MatchSystem(
                name=path.name, policy=policy, encoder=eye, text=text, shared=shared, meta=meta, tokenizer=tokenizer,
                added=ADDED, wording=Wording(alone="[CLS]", beside="[ENC]", written="[DEC]", end="[SEP]"),
                checkpoints=(Checkpoint(source=source, layouts=BLIP_MATCH),),
            )  # fmt: skip
    raise SpecError(
        f"{path}: architectures = {classes!r}; of BLIP's classes BlipForConditionalGeneration, BlipForQuestionAnswering and "
        "BlipForImageTextRetrieval load."
    )


def _text(data: Mapping[str, object], path: Path) -> GroundedText:
    f = Fields(data, _TEXT, f"{path}: text_config")
    f.only("tie_word_embeddings", True)
    text = GroundedText(
        vocab=f.need("vocab_size", int), width=f.need("hidden_size", int), depth=f.need("num_hidden_layers", int),
        context=f.need("max_position_embeddings", int),
        block=PostNorm(
            heads=f.need("num_attention_heads", int), norm=LayerNorm(eps=f.need("layer_norm_eps", float)),
            ffn=MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", ACTS)),
        ),
    )  # fmt: skip
    f.done("encoder_hidden_size", "label_smoothing")  # that of the tower, whatever it says
    return text


def _eye(data: Mapping[str, object], path: Path) -> ViT:
    f = Fields(data, _EYE, f"{path}: vision_config")
    f.only("num_channels", 3)
    eye = ViT(
        width=f.need("hidden_size", int), depth=f.need("num_hidden_layers", int), heads=f.need("num_attention_heads", int),
        patch=f.need("patch_size", int), size=f.need("image_size", int),
        ffn=MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", ACTS)),
        norm=LayerNorm(eps=f.need("layer_norm_eps", float)), keep_cls=True, stem_bias=True,
    )  # fmt: skip
    f.done()
    return eye
