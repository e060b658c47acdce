"""MobileCLIP-S0's towers (2311.17049): the text tower's size, and the names of tensors in apple's own files.

Source: apple/ml-mobileclip 4144bb1 `mobileclip/clip.py`, `models/mci.py`, `text_encoder.py`, `configs/mobileclip_s0.json`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Reshape, Rule, Transpose, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.hybrid import HybridText
from anyvlm.parts.norm import LayerNorm

TEXT_S0 = HybridText(
    vocab=49408, width=512, depth=4, heads=8, context=77, ffn=MLP(hidden=2048), norm=LayerNorm(eps=1e-5)
)

_NORM = {"weight": "weight", "bias": "bias", "running_mean": "mean", "running_var": "var"}
_COUNTS = ("*num_batches_tracked",)


def _norm(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.{their}": f"{ours}.{our}" for their, our in _NORM.items()}


def _branches(theirs: str, ours: str) -> dict[str, str]:
    """MobileOneBlock."""
    return {
        f"{theirs}.rbr_conv.0.conv.": f"{ours}.conv.", **_norm(f"{theirs}.rbr_conv.0.bn", f"{ours}.norm"),
        f"{theirs}.rbr_scale.conv.": f"{ours}.small.", **_norm(f"{theirs}.rbr_scale.bn", f"{ours}.norm_small"),
        **_norm(f"{theirs}.rbr_skip", f"{ours}.norm_same"),
    }  # fmt: skip


def _long(table: dict[str, str]) -> tuple[Rule, ...]:
    """Scales are stored as (width, 1, 1)."""
    return tuple(Rule(theirs=(t,), ours=(o,), ops=(Reshape(theirs=(-1, 1, 1), ours=(-1,)),)) for t, o in table.items())


def _eye() -> Keys:
    table, scales = _branches("patch_embed.{}", "stem.{}.branches"), dict[str, str]()
    for stage, at in enumerate((0, 2, 4, 7)):  # steps between are those that halve the map, and the places
        theirs, ours = f"network.{at}.{{}}", f"stages.{stage}.blocks.{{}}"
        table |= {
            **_branches(f"{theirs}.token_mixer.norm", f"{ours}.mixer.norm"),
            **_branches(f"{theirs}.token_mixer.mixer", f"{ours}.mixer.mixer"),
            f"{theirs}.token_mixer.qkv.": f"{ours}.qkv.", f"{theirs}.token_mixer.proj.": f"{ours}.o.",
            f"{theirs}.convffn.conv.conv.": f"{ours}.ffn.conv.", **_norm(f"{theirs}.convffn.conv.bn", f"{ours}.ffn.norm"),
            f"{theirs}.convffn.fc1.": f"{ours}.ffn.up.", f"{theirs}.convffn.fc2.": f"{ours}.ffn.down.",
            **_norm(f"{theirs}.norm", f"{ours}.norm"),
        }  # fmt: skip
        scales |= {
            f"{theirs}.token_mixer.layer_scale": f"{ours}.mixer.scale", f"{theirs}.layer_scale": f"{ours}.scale",
            f"{theirs}.layer_scale_1": f"{ours}.scale1", f"{theirs}.layer_scale_2": f"{ours}.scale2",
        }  # fmt: skip
        if stage:
            theirs, ours = f"network.{(0, 1, 3, 5)[stage]}.proj", f"stages.{stage}.down"
            large, small = f"{theirs}.0.lkb_origin", f"{theirs}.0.small_conv"
            table |= {
                f"{large}.conv.": f"{ours}.0.branches.conv.", **_norm(f"{large}.bn", f"{ours}.0.branches.norm"),
                f"{small}.conv.": f"{ours}.0.branches.small.", **_norm(f"{small}.bn", f"{ours}.0.branches.norm_small"),
                f"{theirs}.0.se.fc1.": f"{ours}.0.squeeze.down.", f"{theirs}.0.se.fc2.": f"{ours}.0.squeeze.up.",
                **_branches(f"{theirs}.1", f"{ours}.1.branches"),
            }  # fmt: skip
    table |= {
        "network.6.pe.": "stages.3.place.conv.", **_branches("conv_exp", "final.branches"),
        "conv_exp.se.reduce.": "final.squeeze.down.", "conv_exp.se.expand.": "final.squeeze.up.",
    }  # fmt: skip
    return Keys(rules=(*_long(scales), *rename(table)), ignore=_COUNTS)


def _line(at: int, ours: str) -> tuple[Rule, ...]:
    """RepMixerBlock of texts."""
    theirs = f"transformer.{at}"
    table = {
        f"{theirs}.token_mixer.mixer.rbr_conv.0.conv.": f"{ours}.mixer.conv.",
        **_norm(f"{theirs}.token_mixer.mixer.rbr_conv.0.bn", f"{ours}.mixer.norm_conv"),
        **_norm(f"{theirs}.token_mixer.mixer.rbr_skip", f"{ours}.mixer.norm_same"),
        **_norm(f"{theirs}.token_mixer.norm.rbr_skip", f"{ours}.mixer.norm"),
        f"{theirs}.convffn.conv.conv.": f"{ours}.conv.", **_norm(f"{theirs}.convffn.conv.bn", f"{ours}.norm"),
        f"{theirs}.convffn.fc1.": f"{ours}.up.", f"{theirs}.convffn.fc2.": f"{ours}.down.",
    }  # fmt: skip
    scales = {f"{theirs}.token_mixer.layer_scale": f"{ours}.mixer.scale", f"{theirs}.layer_scale": f"{ours}.scale"}
    return (*_long(scales), *rename(table))


def _words(depth: int) -> Keys:
    """Blocks of attention are counted from 1 in files, from 0 here."""
    table = {"embedding_layer.weight": "embed.weight", "final_layer_norm.": "norm."}
    for n in range(depth):
        theirs, ours = f"transformer.{n + 1}", f"blocks.{n}"
        table |= {
            f"{theirs}.pre_norm_mha.0.": f"{ours}.norm1.", f"{theirs}.pre_norm_mha.1.qkv_proj.": f"{ours}.attn.qkv.",
            f"{theirs}.pre_norm_mha.1.out_proj.": f"{ours}.attn.o.", f"{theirs}.pre_norm_ffn.0.": f"{ours}.norm2.",
            f"{theirs}.pre_norm_ffn.1.": f"{ours}.ffn.up.", f"{theirs}.pre_norm_ffn.4.": f"{ours}.ffn.down.",
        }  # fmt: skip
    places = Rule(
        theirs=("positional_embedding.pos_embed.pos_embed",), ours=("pos",),
        ops=(Reshape(theirs=(1, 1, -1, "width"), ours=(-1, "width")),),
    )  # fmt: skip
    return Keys(rules=(*_line(0, "first"), *_line(depth + 1, "last"), *rename(table), places), ignore=_COUNTS)


_ENDS = Keys(
    rules=(
        Rule(theirs=("text_encoder.projection_layer",), ours=("towers.text.project.weight",), ops=(Transpose(),)),
        Rule(theirs=("image_encoder.model.head.proj",), ours=("towers.image.project.weight",), ops=(Transpose(),)),
        *rename({"logit_scale": "contrasts.0.scale"}),
    )
)
S0_LAYOUTS = (
    Layout(
        name="mobileclip",
        mounts=(
            Mount(theirs="image_encoder.model.", ours="towers.image.encoder.", keys=_eye()),
            Mount(theirs="text_encoder.", ours="towers.text.encoder.", keys=_words(TEXT_S0.depth)),
            Mount(theirs="", ours="", keys=_ENDS),
        ),
    ),
)
"""Of apple's CLIP."""
