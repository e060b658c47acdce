"""MobileCLIP's towers (2311.17049): sizes, and the names of tensors in open_clip's files, whose towers are timm's.

Sources: open_clip `model_configs/MobileCLIP*.json`; timm `fastvit.py`, `vision_transformer_hybrid.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Reshape, Rule, Transpose, rename
from anyvlm.parts.catalog.clip import CLIP_L_14
from anyvlm.parts.catalog.timm import FRONT
from anyvlm.parts.catalog.towers import TEXT_OPEN, clip_text
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.fastvit import FastViT
from anyvlm.parts.vision.stemmed import StemmedViT

MCI0 = FastViT(widths=(64, 128, 256, 512), depths=(2, 6, 10, 2))
MCI1 = MCI0.but(depths=(4, 12, 20, 4))
MCI2 = FastViT(widths=(80, 160, 320, 640), depths=(4, 12, 24, 4))
MCI3 = FastViT(
    widths=(96, 192, 384, 768, 1536), depths=(2, 12, 24, 4, 2), ratio=4, patch=64, looks=2, squeezes=5,
    norm=LayerNorm(eps=1e-5), small=None,
)  # fmt: skip
MCI4 = MCI3.but(widths=(128, 256, 512, 1024, 2048), depths=(2, 12, 24, 4, 4))
MCI_B = StemmedViT(width=768, depth=12, heads=12, size=224, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-6))
TEXT = clip_text(512).but(ffn__act="gelu")
TEXT_ALL = TEXT.but(causal=False, padded=True)
TEXT_WIDE = clip_text(768).but(ffn__act="gelu", causal=False, padded=True)
L_14 = CLIP_L_14.but(ffn__act="gelu", keep_cls=True)

_S, _B = "stages.{}.", "stages.{}.blocks.{}."
_LONG = (Reshape(theirs=(-1, 1, 1), ours=(-1,)),)


def _normed(theirs: str, conv: str, norm: str, ours: str, to: str = "conv", beside: str = "norm") -> dict[str, str]:
    """A convolution and the batch norm behind it."""
    return {f"{theirs}{conv}": f"{ours}{to}.", **_norm(f"{theirs}{norm}", f"{ours}{beside}.")}


def _norm(theirs: str, ours: str) -> dict[str, str]:
    names = {"weight": "weight", "bias": "bias", "running_mean": "mean", "running_var": "var"}
    return {f"{theirs}{their}": f"{ours}{our}" for their, our in names.items()}


def _branches(theirs: str, ours: str) -> dict[str, str]:
    """MobileOneBlock."""
    return {
        **_normed(theirs, "conv_kxk.0.conv.", "conv_kxk.0.bn.", ours),
        **_normed(theirs, "conv_scale.conv.", "conv_scale.bn.", ours, "small", "norm_small"),
        **_norm(f"{theirs}identity.", f"{ours}norm_same."), f"{theirs}reparam_conv.": ours,
    }  # fmt: skip


def _squeeze(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}se.fc1.": f"{ours}squeeze.down.", f"{theirs}se.fc2.": f"{ours}squeeze.up."}


_DOWN = _S + "downsample.proj."
MCI_TIMM = Keys(
    rules=(
        *(
            Rule(theirs=(f"{_B}{theirs}.gamma",), ours=(_B + ours,), ops=_LONG)
            for theirs, ours in (
                ("token_mixer.layer_scale", "mixer.scale"), ("layer_scale", "scale"), ("layer_scale_1", "scale1"),
                ("layer_scale_2", "scale2"),
            )
        ),
        *rename({
            **_branches("stem.{}.", "stem.{}.branches."),
            **_normed(_DOWN + "0.", "large_conv.conv.", "large_conv.bn.", _S + "down.0.branches."),
            **_normed(_DOWN + "0.", "small_conv.conv.", "small_conv.bn.", _S + "down.0.branches.", "small", "norm_small"),
            _DOWN + "0.reparam_conv.": _S + "down.0.branches.", **_squeeze(_DOWN + "0.", _S + "down.0."),
            **_branches(_DOWN + "1.", _S + "down.1.branches."),
            _S + "pos_emb.pos_enc.": _S + "place.conv.", _S + "pos_emb.reparam_conv.": _S + "place.",
            **_branches(_B + "token_mixer.norm.", _B + "mixer.norm."),
            **_branches(_B + "token_mixer.mixer.", _B + "mixer.mixer."),
            _B + "token_mixer.reparam_conv.": _B + "mixer.",
            **_normed(_B + "mlp.conv.", "conv.", "bn.", _B + "ffn."),
            _B + "mlp.fc1.": _B + "ffn.up.", _B + "mlp.fc2.": _B + "ffn.down.",
            **_norm(_B + "norm.", _B + "norm."),
            _B + "token_mixer.qkv.": _B + "qkv.", _B + "token_mixer.proj.": _B + "o.",
            **_branches("final_conv.", "final.branches."), **_squeeze("final_conv.", "final."),
        }),
    ),
    ignore=("*num_batches_tracked",),
)  # fmt: skip
"""timm's FastVit, with branches or merged."""

_V = "blocks.{}."
STEMMED_TIMM = Keys(
    rules=(
        *rename({
            **_normed("patch_embed.backbone.0.", "conv.", "bn.", "", "conv1", "norm1"),
            **_normed("patch_embed.backbone.1.", "conv.", "bn.", "", "conv2", "norm2"),
            "patch_embed.backbone.2.conv.": "conv3.", "norm.": "norm.", _V + "norm1.": _V + "norm1.",
            _V + "norm2.": _V + "norm2.", _V + "attn.qkv.": _V + "attn.qkv.", _V + "attn.proj.": _V + "attn.o.",
            _V + "mlp.fc1.": _V + "ffn.up.", _V + "mlp.fc2.": _V + "ffn.down.",
        }),
        Rule(theirs=("cls_token",), ours=("cls",), ops=(Reshape(theirs=(1, 1, "width"), ours=("width",)),)),
        Rule(theirs=("pos_embed",), ours=("pos",), ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),)),
    ),
    ignore=("*num_batches_tracked",),
)  # fmt: skip
"""timm's vit_base_mci_224."""

_VIT_PRE = Keys(
    rules=(
        *rename({
            "norm_pre.": "norm_pre.", "norm.": "norm.", _V + "norm1.": _V + "norm1.", _V + "norm2.": _V + "norm2.",
            _V + "attn.qkv.": _V + "attn.qkv.", _V + "attn.proj.": _V + "attn.o.", _V + "mlp.fc1.": _V + "ffn.up.",
            _V + "mlp.fc2.": _V + "ffn.down.",
        }),
        *FRONT,
    )
)  # fmt: skip
"""timm's vit_large_patch14_clip_224."""


def _layouts(eye: Keys, head: str) -> tuple[Layout, ...]:
    ends = Keys(
        rules=(
            Rule(theirs=("text.text_projection",), ours=("towers.text.project.weight",), ops=(Transpose(),)),
            *rename({head: "towers.image.project.", "logit_scale": "contrasts.0.scale"}),
        )
    )
    mounts = (
        Mount(theirs="visual.trunk.", ours="towers.image.encoder.", keys=eye),
        Mount(theirs="text.", ours="towers.text.encoder.", keys=TEXT_OPEN), Mount(theirs="", ours="", keys=ends),
    )  # fmt: skip
    return (Layout(name="open_clip", mounts=mounts),)


MCI_LAYOUTS = _layouts(MCI_TIMM, "visual.trunk.head.fc.")
MCI_B_LAYOUTS = _layouts(STEMMED_TIMM, "visual.trunk.head.")
MCI_L_LAYOUTS = _layouts(_VIT_PRE, "visual.trunk.head.")
