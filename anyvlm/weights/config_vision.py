"""Vision towers in Hugging Face's ``config.json``, both ways: CLIP, SigLIP, DINOv2.

Fields equal to the default of their class may be missing. Source: transformers ``configuration_{clip,siglip,dinov2}.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anyvlm.errors import SpecError
from anyvlm.keys import Keys
from anyvlm.parts.catalog.clip import CLIP_HF, SIGLIP_HF
from anyvlm.parts.catalog.dinov2 import DINOV2_HF, DINOV2_SWIGLU_HF
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Json
from anyvlm.weights.config_lm import ACTS
from anyvlm.weights.fields import Fields

_VIT: Json = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
}
_DEFAULTS: dict[str, Json] = {
    "clip_vision_model": _VIT
    | {"intermediate_size": 3072, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    "siglip_vision_model": _VIT
    | {"intermediate_size": 3072, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6},
    "dinov2": _VIT
    | {"patch_size": 14, "mlp_ratio": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "use_swiglu_ffn": False},
}
HALF = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}
"""model_type of a two-tower checkpoint -> that of the tower in its `vision_config`."""


@dataclass(frozen=True)
class Tower:
    """A vision tower and how its tensors are named under the tower's prefix."""

    encoder: ViT
    keys: Keys


def read_vision(data: Mapping[str, object], where: str = "config.json") -> Tower:
    """The tower a config describes, returning its final normed rows; SpecError naming a field it cannot honour."""
    kind = str(data.get("model_type", "clip_vision_model"))
    if kind not in _DEFAULTS:
        raise SpecError(
            f"{where}: model_type '{kind}' is not a vision tower known here; known: {', '.join(_DEFAULTS)}."
        )
    f = Fields(data, _DEFAULTS[kind], where)
    f.only("num_channels", 3)
    width, act = f.need("hidden_size", int), f.choice("hidden_act", ACTS)
    dino, clip = kind == "dinov2", kind == "clip_vision_model"
    keys = CLIP_HF if clip else SIGLIP_HF
    if not dino:
        ffn: MLP | GLU = MLP(hidden=f.need("intermediate_size", int), act=act)
    elif f.need("use_swiglu_ffn", bool):
        ffn, keys = GLU(hidden=_swiglu(width, f), bias=True), DINOV2_SWIGLU_HF
    else:
        ffn, keys = MLP(hidden=int(width * (f.maybe("mlp_ratio", float) or 4)), act=act), DINOV2_HF
    f.only("qkv_bias", True)
    f.only("apply_layernorm", True)
    encoder = ViT(
        width=width,
        depth=f.need("num_hidden_layers", int),
        heads=f.need("num_attention_heads", int),
        patch=f.need("patch_size", int),
        size=f.need("image_size", int),
        ffn=ffn,
        norm=LayerNorm(eps=f.need("layer_norm_eps", float)),
        cls=clip or dino,
        stem_bias=not clip,
        pre_norm=clip,
        layer_scale=dino,
        resize=dino,
    )
    # of the text side, of the pooling head, of classifiers, or initial values
    f.done("vocab_size", "vision_use_head", "layerscale_value", "use_mask_token", "reshape_hidden_states",
           "out_features", "out_indices", "stage_names")  # fmt: skip
    return Tower(encoder, keys)


def _swiglu(width: int, f: Fields) -> int:
    """Hidden width of Dinov2SwiGLUFFN: two thirds of the plain one, rounded up to eights."""
    return (int(int(width * (f.maybe("mlp_ratio", float) or 4)) * 2 / 3) + 7) // 8 * 8


def write_vision(encoder: ViT, keys: Keys) -> Json:
    """The config of transformers for a tower whose tensors are named by `keys`."""
    config: Json = {
        "hidden_size": encoder.width,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": encoder.heads,
        "patch_size": encoder.patch,
        "image_size": encoder.size,
        "layer_norm_eps": encoder.norm.eps,
    }
    if keys in (DINOV2_HF, DINOV2_SWIGLU_HF):
        ratio = encoder.ffn.hidden * (1.5 if isinstance(encoder.ffn, GLU) else 1) / encoder.width
        config |= {"model_type": "dinov2", "use_swiglu_ffn": isinstance(encoder.ffn, GLU)}
        config |= {"mlp_ratio": int(ratio) if ratio.is_integer() else ratio}
    else:
        config |= {"model_type": "clip_vision_model" if keys == CLIP_HF else "siglip_vision_model"}
        config |= {"intermediate_size": encoder.ffn.hidden}
        if keys == SIGLIP_HF:
            config["vision_use_head"] = False
    if isinstance(encoder.ffn, MLP):
        config["hidden_act"] = next(theirs for theirs, ours in ACTS.items() if ours == encoder.ffn.act)
    plain = encoder.but(layers=(), keep_cls=False, skip=0)
    if read_vision(config).encoder != plain:
        raise SpecError(f"No class of transformers computes this vision tower; {config['model_type']} is the nearest.")
    return config
