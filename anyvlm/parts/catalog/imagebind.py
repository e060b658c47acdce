"""ImageBind (2305.05665): the encoders of five of its senses, and how its file names its tensors.

Source: facebookresearch/ImageBind 53680b0 `imagebind/models/{imagebind_model,multimodal_preprocessors,transformer}.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Reshape, Rule, Size, rename
from anyvlm.parts.extra_key import ExtraKey
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.text import TextTransformer
from anyvlm.parts.vision.signal import SignalViT

EPS = LayerNorm(eps=1e-6)
BIND_TEXT = TextTransformer(
    vocab=49408, width=1024, depth=24, heads=16, context=77, norm=EPS, ffn=MLP(hidden=4096, act="gelu")
)
BIND_IMAGE = SignalViT(
    channels=3, frames=2, size=(224, 224), patch=14, width=1280, depth=32, norm=EPS, pre_norm=True,
    block=PreNorm(heads=16, ffn=MLP(hidden=5120), norm=EPS),
)  # fmt: skip


def _sense(channels: int, size: tuple[int, int], width: int, depth: int, heads: int) -> SignalViT:
    return SignalViT(
        channels=channels, size=size, patch=16, width=width, depth=depth, norm=EPS, stem_norm=LayerNorm(eps=1e-5),
        block=ExtraKey(heads=heads, ffn=MLP(hidden=4 * width), norm=EPS),
    )  # fmt: skip


BIND_AUDIO = _sense(1, (128, 204), 768, 12, 12).but(step=10)
BIND_DEPTH = _sense(1, (224, 224), 384, 12, 8)
BIND_THERMAL = _sense(1, (224, 224), 768, 12, 12)
BIND_IMU = _sense(6, (1, 2000), 512, 6, 8).but(patch=1, across=8)


def _rows(theirs: str, ours: str) -> Rule:
    """A table (1, rows, width)."""
    return Rule(theirs=(theirs,), ours=(ours,), ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),))


def _one(theirs: str, ours: str) -> Rule:
    return Rule(theirs=(theirs,), ours=(ours,), ops=(Reshape(theirs=(1, 1, -1), ours=(-1,)),))


_B = "blocks.{}."
_TRUNK = Keys(
    rules=(
        *rename({
            "pre_transformer_layer.0.": "norm_pre.", _B + "attn.in_proj_weight": _B + "attn.qkv.weight",
            _B + "attn.in_proj_bias": _B + "attn.qkv.bias", _B + "attn.out_proj.": _B + "attn.o.",
            _B + "norm_1.": _B + "norm1.", _B + "norm_2.": _B + "norm2.", _B + "mlp.fc1.": _B + "ffn.up.",
            _B + "mlp.fc2.": _B + "ffn.down.",
        }),
        _one(_B + "attn.bias_k", _B + "attn.k"), _one(_B + "attn.bias_v", _B + "attn.v"),
    )
)  # fmt: skip


def _stem(stem: str, shape: tuple[Size, ...], pos: str = "pos_embedding_helper.pos_embed", inner: str = "") -> Keys:
    weight = Rule(
        theirs=(f"{stem}.proj.{inner}weight",), ours=("stem.weight",), ops=(Reshape(theirs=shape, ours=("width", -1)),)
    )
    return Keys(rules=(weight, *rename({f"{stem}.norm_layer.": "stem_norm."}), _one("cls_token", "cls"), _rows(pos, "pos")))


_PLANE: tuple[Size, ...] = ("width", "channels", "patch", "patch")
_STEMS = {
    "image": _stem("rgbt_stem", ("width", "channels", "frames", "patch", "patch"), inner="1."),
    "text": Keys(rules=(*rename({"token_embedding.weight": "embed.weight"}), _rows("pos_embed", "pos")), ignore=("mask",)),
    "audio": _stem("rgbt_stem", _PLANE),
    "depth": _stem("depth_stem", _PLANE),
    "thermal": _stem("rgbt_stem", _PLANE),
    "imu": _stem("imu_stem", ("width", -1), pos="pos_embed"),
}
_HEADS = {name: ("0.", "2.") for name in _STEMS} | {"text": ("proj.0.", "proj.1."), "imu": ("0.", "3.")}
_SCALES = ("text", "audio", "depth", "thermal", "imu")


def _mounts(name: str, theirs: str) -> tuple[Mount, ...]:
    norm, last = _HEADS[name]
    heads = Keys(rules=rename({norm: "encoder.norm.", last: "project."}))
    return (
        Mount(theirs=f"modality_preprocessors.{theirs}.", ours=f"towers.{name}.encoder.", keys=_STEMS[name]),
        Mount(theirs=f"modality_trunks.{theirs}.", ours=f"towers.{name}.encoder.", keys=_TRUNK),
        Mount(theirs=f"modality_heads.{theirs}.", ours=f"towers.{name}.", keys=heads),
    )


_LAST = "modality_postprocessors.{}.1.log_logit_scale"
_ENDS = Keys(rules=rename({_LAST.format(name): f"contrasts.{n}.scale" for n, name in enumerate(_SCALES)}))
BIND_LAYOUT = Layout(
    name="imagebind",
    mounts=(
        *(mount for sense in _STEMS for mount in _mounts(sense, {"image": "vision"}.get(sense, sense))),
        Mount(theirs="", ours="", keys=_ENDS),
    ),
)  # fmt: skip
