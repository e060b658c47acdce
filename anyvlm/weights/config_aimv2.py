"""AIMv2 in Hugging Face's layout: the encoder alone (Aimv2VisionModel), or beside its text tower (Aimv2Model).

Source: transformers ``configuration_aimv2.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.errors import WeightsError
from anyvlm.inputs.policy import ImagePolicy, policy_from_preprocessor
from anyvlm.inputs.text import TextPolicy
from anyvlm.inputs.tokenizer import read_json
from anyvlm.parts.catalog.aimv2 import AIMV2_EYE, AIMV2_LIT
from anyvlm.parts.ffn import GLU
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.pool import Linear, Look, Pick
from anyvlm.parts.text import TextTransformer
from anyvlm.parts.vision.aim import AimViT, NativeAimViT
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Meta, VisionSystem
from anyvlm.weights.config_lm import ACTS
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Source

AIMV2 = ("aimv2", "aimv2_vision_model")
"""model_types read here."""

_BOTH: Json = {"hidden_act": "silu", "rms_norm_eps": 1e-5, "qkv_bias": False, "mlp_bias": False, "num_hidden_layers": 24}
_EYE: Json = _BOTH | {
    "hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 8, "num_channels": 3, "image_size": 224,
    "patch_size": 14, "use_head": True, "is_native": False,
}  # fmt: skip
_TEXT: Json = _BOTH | {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 6,
    "max_position_embeddings": 77,
}  # fmt: skip


def read_aimv2(path: Path, config: Mapping[str, object], source: Source) -> DualSystem | VisionSystem:
    """The system of a directory. Raises SpecError naming a field that cannot be honoured."""
    meta = Meta(paper="", year=0, license="unknown", family="aimv2", row="")
    if "vision_config" not in config:
        eye, _ = _eye(config, f"{path}: config.json")
        return VisionSystem(
            name=path.name, encoder=eye, policy=_policy(path), meta=meta,
            checkpoints=(Checkpoint(source=source, layouts=AIMV2_EYE),),
        )  # fmt: skip
    f = Fields(config, {"projection_dim": 512}, f"{path}: config.json")
    shared = f.need("projection_dim", int)
    eye, head = _eye(f.nested("vision_config"), f"{path}: vision_config")
    words = _words(f.nested("text_config"), f"{path}: text_config")
    f.done("tie_word_embeddings", "max_logit_scale")
    if not head:
        raise WeightsError(f"{path}: vision_config.use_head is false: its pictures have no point.")
    special = {**read_json(path / "special_tokens_map.json"), **read_json(path / "tokenizer_config.json")}
    first, last, pad = (_token(special, name) for name in ("bos_token", "eos_token", "pad_token"))
    last = last or "<|endoftext|>"
    policy = TextPolicy(context=words.context, first=first or "<|startoftext|>", last=last, pad=pad or last)
    return DualSystem(
        name=path.name,
        towers={
            "image": Tower(policy=_policy(path), encoder=eye, pool=Look(heads=eye.heads), project=Linear()),
            "text": TextTower(policy=policy, encoder=words, pool=Pick(row="last"), project=Linear()),
        },
        shared=shared, contrasts=(Softmax(),), meta=meta, checkpoints=(Checkpoint(source=source, layouts=AIMV2_LIT),),
        tokenizer=source if (path / "tokenizer.json").is_file() else None,
    )  # fmt: skip


def _block(f: Fields) -> tuple[int, int, int, GLU, RMSNorm]:
    """Width, depth, heads, feed-forward layer and norm."""
    f.only("qkv_bias", False)
    f.only("mlp_bias", False)
    width, depth, heads = (f.need(name, int) for name in ("hidden_size", "num_hidden_layers", "num_attention_heads"))
    ffn = GLU(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", ACTS))
    return width, depth, heads, ffn, RMSNorm(eps=f.need("rms_norm_eps", float))


def _eye(data: Mapping[str, object], where: str) -> tuple[NativeAimViT, bool]:
    """The encoder, and whether a head pools its rows."""
    f = Fields(data, _EYE, where)
    f.only("num_channels", 3)
    width, depth, heads, ffn, norm = _block(f)
    patch, size, head = f.need("patch_size", int), f.need("image_size", int), f.need("use_head", bool)
    native = f.need("is_native", bool)
    f.done()
    if native:
        return NativeAimViT(width=width, depth=depth, heads=heads, patch=patch, ffn=ffn, norm=norm), head
    return AimViT(width=width, depth=depth, heads=heads, patch=patch, ffn=ffn, norm=norm, size=size), head


def _words(data: Mapping[str, object], where: str) -> TextTransformer:
    f = Fields(data, _TEXT, where)
    width, depth, heads, ffn, norm = _block(f)
    vocab, context = f.need("vocab_size", int), f.need("max_position_embeddings", int)
    f.done()
    return TextTransformer(
        vocab=vocab, width=width, depth=depth, heads=heads, context=context, ffn=ffn, norm=norm, bias=False
    )


def _policy(path: Path) -> ImagePolicy:
    config = read_json(path / "preprocessor_config.json") or read_json(path / "processor_config.json")
    if not config:
        raise WeightsError(f"{path} has no preprocessor_config.json, which says how pictures become pixels.")
    return policy_from_preprocessor(config)


def _token(config: Mapping[str, object], name: str) -> str | None:
    value = config.get(name)
    value = value.get("content") if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else None
