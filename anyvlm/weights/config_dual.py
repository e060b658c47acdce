"""Two towers in Hugging Face's layout: CLIP, MetaCLIP 2, Chinese-CLIP, SigLIP and SigLIP 2, whatever their size.

Source: transformers ``configuration_{clip,metaclip_2,chinese_clip,siglip,siglip2}.py``, ``tokenization_siglip{,2}.py``.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anyvlm.dual import Contrast, DualSystem, Sigmoid, Softmax, TextTower, Tower
from anyvlm.errors import SpecError, WeightsError
from anyvlm.inputs.budget import Budget
from anyvlm.inputs.policy import Policy, Resample, policy_from_preprocessor
from anyvlm.inputs.text import TextPolicy
from anyvlm.inputs.tokenizer import read_json
from anyvlm.keys import Layout
from anyvlm.parts.bert import PostNorm
from anyvlm.parts.catalog.towers import CHINESE_CLIP_LAYOUTS, CLIP_LAYOUTS, NAFLEX_LAYOUTS, SIGLIP_LAYOUTS
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import Linear, Pick, Probe
from anyvlm.parts.text import BertText, TextEncoder, TextTransformer
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Meta
from anyvlm.weights.config_lm import ACTS
from anyvlm.weights.config_vision import read_vision
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Source


@dataclass(frozen=True)
class Kind:
    """What a model_type stands for: the class of its vision tower, its layouts, whether pairs are scored one by one."""

    eye: str
    layouts: tuple[Layout, ...]
    sigmoid: bool = False
    bert: bool = False
    naflex: bool = False


DUAL = {
    "clip": Kind("clip_vision_model", CLIP_LAYOUTS),
    "metaclip_2": Kind("clip_vision_model", CLIP_LAYOUTS),
    "chinese_clip": Kind("clip_vision_model", CHINESE_CLIP_LAYOUTS, bert=True),
    "siglip": Kind("siglip_vision_model", SIGLIP_LAYOUTS, sigmoid=True),
    "siglip2": Kind("siglip_vision_model", NAFLEX_LAYOUTS, sigmoid=True, naflex=True),
}
"""model_type -> what it is."""

_CLIP_TEXT: Json = {
    "vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8,
    "max_position_embeddings": 77, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
}  # fmt: skip
_SIGLIP_TEXT: Json = {
    "vocab_size": 32000, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "max_position_embeddings": 64, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
}  # fmt: skip
_BERT_TEXT: Json = _SIGLIP_TEXT | {
    "vocab_size": 30522, "max_position_embeddings": 512, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2,
}  # fmt: skip
PROMPT = "This is a photo of {}."
"""Of SigLIP's classes."""
CHINESE_CLIP_CONTEXT = 52
"""Of the authors' training and evaluation (OFA-Sys/Chinese-CLIP); BERT's table has 512 places."""


def read_dual(path: Path, config: Mapping[str, object], source: Source) -> DualSystem:
    """The system of a directory. Raises SpecError naming a field that cannot be honoured."""
    kind = DUAL[str(config["model_type"])]
    f = Fields(config, {"projection_dim": 512}, str(path / "config.json"))
    eye = read_eye(f.nested("vision_config"), f"{path}: vision_config", kind)
    words, projected = read_words(f.nested("text_config"), f"{path}: text_config", kind)
    shared = projected if kind.sigmoid else f.need("projection_dim", int)
    f.done("tie_word_embeddings")
    contrast: Contrast = Sigmoid() if kind.sigmoid else Softmax()
    probe = Probe(heads=eye.heads, ffn=_mlp(eye), norm=eye.norm)
    image = Tower(
        policy=read_policy(path), encoder=eye.but(keep_cls=eye.cls), pool=probe if kind.sigmoid else Pick(row="first"),
        project=None if kind.sigmoid else Linear(),
    )  # fmt: skip
    text = TextTower(
        policy=read_text_policy(path, words, kind), encoder=words, pool=Pick(row="first" if kind.bert else "last"),
        project=Linear(bias=kind.sigmoid),
    )  # fmt: skip
    return DualSystem(
        name=path.name,
        towers={"image": image, "text": text},
        shared=shared,
        contrasts=(contrast,),
        meta=Meta(paper="", year=0, license="unknown", family=str(config["model_type"]), row=""),
        tokenizer=source if (path / "tokenizer.json").is_file() else None,
        checkpoints=(Checkpoint(source=source, layouts=kind.layouts),),
    )


def read_eye(data: Mapping[str, object], where: str, kind: Kind) -> ViT:
    """The vision tower of a `vision_config`."""
    if not kind.naflex:
        encoder = read_vision({"patch_size": 32 if not kind.sigmoid else 16, **data, "model_type": kind.eye}, where).encoder
        assert isinstance(encoder, ViT)
        return encoder
    given = {name: value for name, value in data.items() if name != "num_patches"}
    places = data.get("num_patches", 256)
    side = round(float(places) ** 0.5) if isinstance(places, int) else 0
    if side**2 != places:
        raise SpecError(f"{where}: num_patches = {places!r}; expected a square number.")
    patch = data.get("patch_size", 16)
    size = side * (patch if isinstance(patch, int) else 16)
    return read_vision({**given, "image_size": size, "model_type": kind.eye}, where).encoder.but(resize=True, antialias=True)


def _mlp(eye: ViT) -> MLP:
    assert isinstance(eye.ffn, MLP)
    return eye.ffn


def read_words(data: Mapping[str, object], where: str, kind: Kind) -> tuple[TextEncoder, int]:
    """The text tower, and the width that SigLIP's is mapped to."""
    defaults = _BERT_TEXT if kind.bert else _SIGLIP_TEXT if kind.sigmoid else _CLIP_TEXT
    f = Fields(data, defaults, where)
    width, heads = f.need("hidden_size", int), f.need("num_attention_heads", int)
    ffn = MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", ACTS))
    norm = LayerNorm(eps=f.need("layer_norm_eps", float))
    vocab, depth, context = (f.need(name, int) for name in ("vocab_size", "num_hidden_layers", "max_position_embeddings"))
    projected = f.maybe("projection_size", int) or width
    if kind.bert:
        f.only("position_embedding_type", "absolute")
        kinds = f.need("type_vocab_size", int)
        f.done("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
               "pooler_size_per_head", "pooler_type")  # fmt: skip
        block = PostNorm(heads=heads, ffn=ffn, norm=norm)
        return BertText(vocab=vocab, width=width, depth=depth, context=context, block=block, kinds=kinds), projected
    f.done("eos_token_id")
    words = TextTransformer(
        vocab=vocab, width=width, depth=depth, heads=heads, context=context, ffn=ffn, norm=norm, causal=not kind.sigmoid
    )
    return words, projected


def read_policy(path: Path) -> Policy:
    """How pictures become pixels, by the preprocessor's own config."""
    config: Mapping[str, object] = read_json(path / "preprocessor_config.json") or read_json(path / "processor_config.json")
    if not config:
        raise WeightsError(f"{path} has no preprocessor_config.json, which says how pictures become pixels.")
    nested = config.get("image_processor")
    config = nested if isinstance(nested, Mapping) else config
    kind = str(config.get("image_processor_type")).removesuffix("Fast").removesuffix("Pil")
    return _budget(config, path) if kind == "Siglip2ImageProcessor" else policy_from_preprocessor(config)


_FILTERS: dict[object, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def _budget(config: Mapping[str, object], path: Path) -> Budget:
    f = Fields(config, {"patch_size": 16, "max_num_patches": 256, "rescale_factor": 1 / 255}, f"{path}: preprocessor")
    for name in ("do_resize", "do_rescale", "do_normalize"):
        f.only(name, True)
    mean, std = (f.numbers(name) if name in config else (0.5, 0.5, 0.5) for name in ("image_mean", "image_std"))
    resample = f.raw("resample")
    if len(mean) != 3 or len(std) != 3 or resample not in (None, *_FILTERS):
        raise SpecError(f"{path}: preprocessor: image_mean, image_std or resample is not understood.")
    return Budget(
        most=f.need("max_num_patches", int), patch=f.need("patch_size", int), rescale=f.need("rescale_factor", float),
        resample="bilinear" if resample is None else _FILTERS[resample],
        mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2]),
    )  # fmt: skip


_CLEANING: dict[str, tuple[bool, str]] = {
    "SiglipTokenizer": (True, string.punctuation),
    "Siglip2Tokenizer": (True, ""),
    "GemmaTokenizer": (True, ""),
    "GemmaTokenizerFast": (True, ""),
}
"""Class of a tokenizer -> whether text is set in lower case, and what is left out of it, where its files do not do so."""


def read_text_policy(path: Path, words: TextEncoder, kind: Kind) -> TextPolicy:
    """Control tokens by the tokenizer's own config."""
    config = read_json(path / "tokenizer_config.json")
    special = {**read_json(path / "special_tokens_map.json"), **config}
    context = min(words.context, CHINESE_CLIP_CONTEXT) if kind.bert else words.context
    if kind.bert:
        first, last, pad = (_token(special, name) for name in ("cls_token", "sep_token", "pad_token"))
        return TextPolicy(context=context, first=first or "[CLS]", last=last or "[SEP]", pad=pad or "[PAD]")
    first, last, pad = (_token(special, name) for name in ("bos_token", "eos_token", "pad_token"))
    if not kind.sigmoid:
        first, last = first or "<|startoftext|>", last or "<|endoftext|>"
        return TextPolicy(context=context, first=first, last=last, pad=pad or last)
    lower, drop = _CLEANING.get(str(config.get("tokenizer_class")), (False, ""))
    last = last or "</s>"
    return TextPolicy(context=context, last=last, pad=pad or last, fill=True, lower=lower, drop=drop, prompt=PROMPT)


def _token(config: Mapping[str, object], name: str) -> str | None:
    value = config.get(name)
    value = value.get("content") if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else None
