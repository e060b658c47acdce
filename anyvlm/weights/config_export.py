"""The files that stand beside the weights in Hugging Face's layout: config, preprocessor, processor."""

from __future__ import annotations

from math import prod

import torch

from anyvlm.dual import DualSystem
from anyvlm.errors import SpecError
from anyvlm.ground import GroundSystem
from anyvlm.inputs.policy import Policy, preprocessor_from_policy
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import Keys, Layout
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.catalog.layouts import PROJECTOR_HF
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Json, JsonValue
from anyvlm.system import Stream, System, VisionSystem
from anyvlm.weights.config_lm import ACTS, write_lm
from anyvlm.weights.config_vision import write_vision

_CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "cohere": "CohereForCausalLM",
    "phi": "PhiForCausalLM",
    "stablelm": "StableLmForCausalLM",
    "mpt": "MptForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "clip_vision_model": "CLIPVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "dinov2": "Dinov2Model",
    "llava": "LlavaForConditionalGeneration",
}


def export_config(
    system: AnySystem, layout: Layout, tokenizer: Tokenizer | None, dtype: torch.dtype
) -> dict[str, Json]:
    """File name -> content. Raises SpecError for a system that no class of transformers computes."""
    if isinstance(system, (MatchSystem, DualSystem, GroundSystem)):
        raise SpecError(f"The config of a {type(system).__name__} cannot be written; save it in our own form.")
    if isinstance(system, VisionSystem):
        config = write_vision(_vit(system.encoder), _keys(layout, ""))
        files = {"preprocessor_config.json": preprocessor_from_policy(system.policy)}
    elif not system.streams:
        config, files = write_lm(system.lm, _keys(layout, "lm.")) | _ids(tokenizer), {}
    else:
        config, files = _llava(system, layout, tokenizer)
    config |= {"architectures": [_CLASSES[str(config["model_type"])]], "torch_dtype": str(dtype).removeprefix("torch.")}
    return {"config.json": config, **files}


def _keys(layout: Layout, ours: str) -> Keys:
    return next(mount.keys for mount in layout.mounts if mount.ours == ours)


def _vit(encoder: object) -> ViT:
    if not isinstance(encoder, ViT):
        raise SpecError(f"No class of transformers computes a {type(encoder).__name__}.")
    return encoder


def _llava(system: System, layout: Layout, tokenizer: Tokenizer | None) -> tuple[Json, dict[str, Json]]:
    stream = system.streams.get("image")
    connector = stream.connector if stream is not None else None
    keys = _keys(layout, "connectors.image.")
    other = keys != PROJECTOR_HF or system.attention != "causal"
    if stream is None or len(system.streams) > 1 or not isinstance(connector, Projector) or other:
        raise SpecError(f"'{system.name}' is not a LlavaForConditionalGeneration; save it in our own form.")
    encoder = _vit(stream.encoder)
    feature = _feature(encoder)
    select = "full" if encoder.cls == encoder.keep_cls and not encoder.skip else "default"
    config: Json = {
        "model_type": "llava",
        "text_config": write_lm(system.lm, _keys(layout, "lm.")) | _ids(tokenizer),
        "vision_config": write_vision(encoder, _keys(layout, "encoders.image.")),
        "vision_feature_layer": feature,
        "vision_feature_select_strategy": select,
        "projector_hidden_act": next(theirs for theirs, ours in ACTS.items() if ours == connector.act),
        "multimodal_projector_bias": connector.bias,
        "image_seq_length": _rows(stream),
        "tie_word_embeddings": system.lm.tied,
    }
    processor: Json = {
        "processor_class": "LlavaProcessor",
        "patch_size": encoder.patch,
        "vision_feature_select_strategy": select,
        "num_additional_image_tokens": int(encoder.cls),
    }
    if tokenizer is not None and system.placeholder in tokenizer.vocab:
        config["image_token_index"] = tokenizer.vocab[system.placeholder]
        processor["image_token"] = system.placeholder
    files = {"processor_config.json": processor, "preprocessor_config.json": _preprocessor(stream.policy)}
    return config, files


def _ids(tokenizer: Tokenizer | None) -> Json:
    """The ids at which generation begins and ends; a class default might lie outside the vocabulary."""
    bos = None if tokenizer is None else tokenizer.bos
    eos = [] if tokenizer is None else sorted(tokenizer.eos)
    return {"bos_token_id": bos, "eos_token_id": eos[0] if len(eos) == 1 else (list(eos) or None), "pad_token_id": None}


def _feature(encoder: ViT) -> JsonValue:
    if not encoder.layers:
        raise SpecError("A LlavaForConditionalGeneration reads hidden layers of its tower, not the final normed rows.")
    return encoder.layers[0] if len(encoder.layers) == 1 else list(encoder.layers)


def _rows(stream: Stream) -> int:
    return sum(prod(grid) for grid in stream.rows(stream.policy.cut(1000, 1000)))


def _preprocessor(policy: Policy) -> Json:
    return preprocessor_from_policy(policy) | {"processor_class": "LlavaProcessor"}
