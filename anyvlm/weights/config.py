"""A directory -> the system it holds: our own (``spec.json``), or Hugging Face's layout, whose ``config.json`` is read field by
field, so that any size and any fine-tune of a known architecture loads. A GGUF file is read the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm.dual import DualSystem
from anyvlm.errors import SpecError, WeightsError
from anyvlm.inputs.formats import T5_PLAIN
from anyvlm.inputs.policy import ImagePolicy, policy_from_preprocessor
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import Tokenizer, read_json
from anyvlm.keys import OURS
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.catalog.layouts import LM_GGUF, llava_hf, lm_hf, vision_hf
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.rope import Linear, Rope
from anyvlm.spec import Json, from_json
from anyvlm.system import Checkpoint, Meta, Stream, System, VisionSystem
from anyvlm.weights.config_aimv2 import AIMV2, read_aimv2
from anyvlm.weights.config_aria import aria_checkpoint, read_aria
from anyvlm.weights.config_blip import BLIP, read_blip
from anyvlm.weights.config_chat import gguf_template, read_template
from anyvlm.weights.config_code import read_chameleon, read_janus
from anyvlm.weights.config_dual import DUAL, read_dual
from anyvlm.weights.config_grounded import read_grounded
from anyvlm.weights.config_kosmos import read_kosmos
from anyvlm.weights.config_language import LANGUAGE_KEYS, read_language
from anyvlm.weights.config_lm import ACTS, KEYS, read_lm
from anyvlm.weights.config_original import is_original, read_original
from anyvlm.weights.config_pair import read_pair
from anyvlm.weights.config_vision import HALF, read_vision
from anyvlm.weights.fields import Fields
from anyvlm.weights.gguf import Gguf, decoder_facts
from anyvlm.weights.sources import Directory, Source


def read_directory(path: Path, source: Source | None = None, template: Template | None = None) -> AnySystem:
    """The system in a directory or GGUF file. `source`: where its weights are (the path itself where None); `template`: the
    chat format, where the directory's own shall not be used.

    Raises WeightsError for a directory that is not one of a model, SpecError naming a field that cannot be honoured.
    """
    source = source or Directory(path=str(path))
    if path.is_file():
        return _gguf(path, source)
    if (path / "spec.json").is_file():
        return _ours(path, source)
    config = read_json(path / "config.json")
    if not config:
        raise WeightsError(f"{path} has neither spec.json nor config.json; it is not the directory of a model.")
    kind = config.get("model_type")
    if is_original(config):
        return read_original(path, config, source, template)
    if kind == "blip":
        return read_grounded(path, config, source, template)
    if kind in AIMV2:
        return read_aimv2(path, config, source)
    if kind == "vision-text-dual-encoder":
        return read_pair(path, config, source)
    if kind in DUAL and "text_config" in config:
        return read_dual(path, config, source)
    if kind == "llava":
        return _llava(path, config, source, template)
    if kind == "chameleon":
        return read_chameleon(path, config, source, template)
    if kind == "janus":
        return read_janus(path, config, source, template)
    if kind == "kosmos-2":
        return read_kosmos(path, config, source, template, _tokenizer(path) is not None)
    if kind == "aria":
        return _aria(path, config, source, template)
    if kind in BLIP:
        return read_blip(path, config, source, template, _policy(path), _tokenizer(path))
    if kind in LANGUAGE_KEYS:
        return _lm(path, config, source, template)
    return _vision(path, config, source)


def _ours(path: Path, source: Source) -> AnySystem:
    """A system that `weights.save` wrote; it keeps the layouts in which it can be exported."""
    system = from_json(read_json(path / "spec.json"), str(path / "spec.json"))
    if not isinstance(system, (System, VisionSystem, MatchSystem, DualSystem)):
        raise SpecError(f"{path / 'spec.json'} describes a {type(system).__name__}, not a system.")
    theirs = tuple(layout for checkpoint in system.checkpoints for layout in checkpoint.layouts if layout.mounts)
    system = system.but(checkpoints=(Checkpoint(source=source, layouts=(OURS, *theirs)),), fresh=())
    if isinstance(system, VisionSystem):
        return system
    system = system.but(tokenizer=source if (path / "tokenizer.json").is_file() else None)
    if isinstance(system, (MatchSystem, DualSystem)):
        return system
    return system.but(streams={name: _placed(path, name, stream) for name, stream in system.streams.items()})


def _placed(path: Path, name: str, stream: Stream) -> Stream:
    """A stream whose connector reads, with its tokenizer in this directory."""
    folder = path / f"{name}_tokenizer"
    return stream.but(reads__tokenizer=Directory(path=str(folder))) if stream.reads and folder.is_dir() else stream


def _meta(config: Mapping[str, object]) -> Meta:
    return Meta(paper="", year=0, license="unknown", family=str(config.get("model_type")), row="")


def _tokenizer(path: Path) -> Tokenizer | None:
    """None for a directory that says nothing of a tokenizer, such as that of a model made for a test."""
    return Tokenizer(path) if any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model")) else None


def _lm(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System:
    tokenizer, lm = _tokenizer(path), read_language(config, str(path / "config.json"))
    if template is None and lm.start is not None:
        template = T5_PLAIN
    return System(
        name=path.name,
        lm=lm,
        streams={},
        template=template or read_template(path, tokenizer.specials if tokenizer else frozenset(), None),
        meta=_meta(config),
        attention="causal" if lm.start is None else "prefix",
        tokenizer=source if tokenizer else None,
        checkpoints=(Checkpoint(source=source, layouts=(lm_hf(LANGUAGE_KEYS[str(config["model_type"])]),)),),
    )


def _llava(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System:
    f = Fields(config, _LLAVA, str(path / "config.json"))
    text, vision = f.nested("text_config"), f.nested("vision_config")
    lm = read_lm({**text, "model_type": text.get("model_type", "llama")}, f"{path}: text_config")
    tower = read_vision(vision, f"{path}: vision_config")
    layer = f.raw("vision_feature_layer")
    layers = tuple(layer) if isinstance(layer, list) else (layer,)
    keep = f.choice("vision_feature_select_strategy", {"default": False, "full": True})
    if not all(isinstance(n, int) for n in layers):
        raise SpecError(f"{path}: vision_feature_layer = {layer!r}; expected a number or a list of numbers.")
    # "default" drops the first row, whatever it is: a class token, or of SigLIP the first patch
    skip = int(not keep and not tower.encoder.cls)
    connector = Projector(
        act=f.choice("projector_hidden_act", ACTS),
        bias=f.need("multimodal_projector_bias", bool),
    )
    tokenizer = _tokenizer(path)
    placeholder = _placeholder(f, tokenizer)
    encoder = tower.encoder.but(layers=layers, keep_cls=keep and tower.encoder.cls, skip=skip)
    f.done("tie_word_embeddings", "vocab_size", "image_seq_length")
    specials = tokenizer.specials if tokenizer else frozenset()
    return System(
        name=path.name,
        lm=lm,
        streams={"image": Stream(policy=_policy(path), encoder=encoder, connector=connector)},
        template=template or read_template(path, specials, placeholder),
        meta=_meta(config),
        placeholder=placeholder,
        tokenizer=source if tokenizer else None,
        checkpoints=(
            Checkpoint(source=source, layouts=llava_hf(KEYS[str(text.get("model_type", "llama"))], tower.keys)),
        ),
    )


def _aria(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System:
    f = Fields(config, {"image_token_index": 9}, str(path / "config.json"))
    lm, stream = read_aria(path, f)
    tokenizer = _tokenizer(path)
    placeholder = _placeholder(f, tokenizer)
    f.done("tie_word_embeddings", "vocab_size", "max_value_projector_patch_to_query_dict")
    return System(
        name=path.name,
        lm=lm,
        streams={"image": stream},
        template=template or read_template(path, tokenizer.specials if tokenizer else frozenset(), placeholder),
        meta=_meta(config),
        placeholder=placeholder,
        tokenizer=source if tokenizer else None,
        checkpoints=(aria_checkpoint(source),),
    )


_LLAVA: Json = {
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "image_token_index": 32000,
    "multimodal_projector_bias": True,
}


def _placeholder(f: Fields, tokenizer: Tokenizer | None) -> str:
    """The token whose id the config names."""
    id = f.maybe("image_token_id", int) or f.need("image_token_index", int)
    names = {} if tokenizer is None else {number: token for token, number in tokenizer.vocab.items()}
    return names.get(id, "<image>")


def _policy(path: Path) -> ImagePolicy:
    config = read_json(path / "preprocessor_config.json") or read_json(path / "processor_config.json")
    if not config:
        raise WeightsError(f"{path} has no preprocessor_config.json, which says how pictures become pixels.")
    return policy_from_preprocessor(config)


def _vision(path: Path, config: Mapping[str, object], source: Source) -> VisionSystem:
    kind = str(config.get("model_type"))
    nested = config.get("vision_config")
    inner = {**nested, "model_type": HALF[kind]} if kind in HALF and isinstance(nested, Mapping) else config
    if str(inner.get("model_type")) not in (*HALF.values(), "dinov2"):
        known = ", ".join(("llava", "aria", "blip", *BLIP, *LANGUAGE_KEYS, *DUAL, *AIMV2, "dinov2"))
        raise SpecError(f"{path}: model_type '{kind}' is not known here; known are {known}.")
    tower = read_vision(inner, str(path / "config.json"))
    return VisionSystem(
        name=path.name,
        encoder=tower.encoder,
        policy=_policy(path),
        meta=_meta(config),
        checkpoints=(Checkpoint(source=source, layouts=vision_hf(tower.keys)),),
    )


def _gguf(path: Path, source: Source) -> System:
    """Decoders of llama.cpp's architecture "llama": Llama, Mistral, SmolLM2."""
    file = Gguf(path)
    facts = decoder_facts(file)
    if facts.architecture != "llama" or facts.divisors or facts.scaling not in (None, "linear"):
        scaled = facts.scaling or ("divided frequencies" if facts.divisors else "none")
        raise SpecError(f"{path}: a GGUF of architecture '{facts.architecture}' (rope scaling: {scaled}) is not supported yet.")
    decoder = Decoder(
        vocab=facts.vocab,
        width=facts.width,
        depth=facts.depth,
        heads=facts.heads,
        kv_heads=facts.kv_heads,
        head=None if facts.head * facts.heads == facts.width else facts.head,
        ffn=GLU(hidden=facts.hidden),
        context=facts.context,
        norm=RMSNorm(eps=facts.eps),
        rope=Rope(theta=facts.theta, scaling=Linear(factor=facts.factor or 1.0) if facts.scaling else None),
        tied=facts.tied,
        window=facts.window,
    )
    return System(
        name=path.stem,
        lm=decoder,
        streams={},
        template=gguf_template(path, file.metadata),
        meta=Meta(paper="", year=0, license="unknown", family=facts.architecture, row=""),
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=(LM_GGUF,)),),
    )
