"""Text towers of CLIP, SigLIP and their relatives, CLIP's ResNets; how whole files of two towers name their tensors.

Sources: openai/CLIP `clip/model.py`; mlfoundations/open_clip `src/open_clip/model.py` and `model_configs/`; transformers
`modeling_{clip,siglip,siglip2,chinese_clip}.py`.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, Split, Transpose, rename
from anyvlm.parts.bert import PostNorm
from anyvlm.parts.catalog.bert import post_norm
from anyvlm.parts.catalog.clip import CLIP_HF, SIGLIP_HF
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.text import BertText, TextTransformer
from anyvlm.parts.vision.resnet import ResNet

# Sizes ----------------------------------------------------------------------------------------------------------------


def clip_text(width: int, depth: int = 12, heads: int | None = None, vocab: int = 49408) -> TextTransformer:
    """CLIP's text tower; its activation is that of the vision tower beside it, here the quick one."""
    return TextTransformer(
        vocab=vocab, width=width, depth=depth, heads=heads or width // 64, context=77, norm=LayerNorm(eps=1e-5),
        ffn=MLP(hidden=4 * width, act="quick_gelu"),
    )  # fmt: skip


def siglip_text(width: int, depth: int, heads: int, hidden: int, vocab: int = 32000, context: int = 64) -> TextTransformer:
    """SigLIP's: all tokens see each other, padding too."""
    return TextTransformer(
        vocab=vocab, width=width, depth=depth, heads=heads, context=context, norm=LayerNorm(eps=1e-6), causal=False,
        ffn=MLP(hidden=hidden, act="gelu_tanh"),
    )  # fmt: skip


def bert_text(width: int, depth: int, heads: int, vocab: int = 21128) -> BertText:
    """RoBERTa-wwm-ext of Chinese-CLIP."""
    block = PostNorm(heads=heads, ffn=MLP(hidden=4 * width, act="gelu"))
    return BertText(vocab=vocab, width=width, depth=depth, context=512, block=block)


RN50 = ResNet(width=64, depths=(3, 4, 6, 3), size=224)
RN101 = RN50.but(depths=(3, 4, 23, 3))
RN50X4 = ResNet(width=80, depths=(4, 6, 10, 6), size=288)
RN50X16 = ResNet(width=96, depths=(6, 8, 18, 8), size=384)
RN50X64 = ResNet(width=128, depths=(3, 15, 36, 10), size=448)

# Names ----------------------------------------------------------------------------------------------------------------

_L, _B = "encoder.layers.{}.", "blocks.{}."
_IDS = "embeddings.position_ids"
TEXT_HF = Keys(
    rules=(
        *rename({
            "embeddings.token_embedding.weight": "embed.weight", "embeddings.position_embedding.weight": "pos",
            "final_layer_norm.": "norm.", _L + "self_attn.out_proj.": _B + "attn.o.", _L + "layer_norm1.": _B + "norm1.",
            _L + "layer_norm2.": _B + "norm2.", _L + "mlp.fc1.": _B + "ffn.up.", _L + "mlp.fc2.": _B + "ffn.down.",
        }),
        Rule(
            theirs=tuple(f"{_L}self_attn.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",), ops=(Fuse(shares=(1, 1, 1)),),
        ),
    ),
    ignore=(_IDS,),
)  # fmt: skip
"""transformers' CLIPTextTransformer and SiglipTextTransformer."""

BERT_HF = Keys(
    rules=(
        *rename({
            "embeddings.word_embeddings.weight": "words.word.weight", "embeddings.position_embeddings.weight": "words.pos",
            "embeddings.token_type_embeddings.weight": "words.kind", "embeddings.LayerNorm.": "words.norm.",
        }),
        *post_norm("encoder.layer.{}.", "blocks.{}."),
    ),
    ignore=(_IDS, "pooler.*"),
)  # fmt: skip
"""transformers' BertModel; nothing here reads its pooler."""

NAFLEX_HF = SIGLIP_HF.but(
    rules=tuple(
        rule.but(ops=(
            Reshape(theirs=("width", -1), ours=("width", -1, 3)), Transpose(a=1, b=2),
            Reshape(theirs=("width", 3, -1), ours=("width", -1)),
        )) if rule.ours == ("stem.weight",) else rule
        for rule in SIGLIP_HF.rules
    )
)  # fmt: skip
"""transformers' Siglip2VisionTransformer, whose patches have their colours side by side."""

PROBE_HF = Keys(
    rules=(
        Rule(theirs=("probe",), ours=("probe",), ops=(Reshape(theirs=(1, 1, -1), ours=(-1,)),)),
        *(
            Rule(theirs=(f"attention.in_proj_{n}",), ours=(f"attn.q.{n}", f"attn.kv.{n}"), ops=(Split(shares=(1, 2)),))
            for n in ("weight", "bias")
        ),
        *rename({"attention.out_proj.": "attn.o.", "layernorm.": "norm.", "mlp.fc1.": "ffn.up.", "mlp.fc2.": "ffn.down."}),
    )
)  # fmt: skip
"""transformers' SiglipMultiheadAttentionPoolingHead."""

_R = "transformer.resblocks.{}."
_BLOCKS = rename({
    _R + "ln_1.": _B + "norm1.", _R + "ln_2.": _B + "norm2.", _R + "attn.in_proj_weight": _B + "attn.qkv.weight",
    _R + "attn.in_proj_bias": _B + "attn.qkv.bias", _R + "attn.out_proj.": _B + "attn.o.", _R + "mlp.c_fc.": _B + "ffn.up.",
    _R + "mlp.c_proj.": _B + "ffn.down.",
})  # fmt: skip
TEXT_OPEN = Keys(
    rules=(*_BLOCKS, *rename({"token_embedding.weight": "embed.weight", "positional_embedding": "pos", "ln_final.": "norm."}))
)
VIT_OPEN = Keys(
    rules=(
        *_BLOCKS,
        *rename({"class_embedding": "cls", "positional_embedding": "pos", "ln_pre.": "norm_pre.", "ln_post.": "norm."}),
        Rule(
            theirs=("conv1.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
        ),
    )
)  # fmt: skip
"""openai/CLIP's and open_clip's transformers, without what maps into the shared space."""


def _norm(theirs: str, ours: str) -> dict[str, str]:
    names = {"weight": "weight", "bias": "bias", "running_mean": "mean", "running_var": "var"}
    return {f"{theirs}.{their}": f"{ours}.{our}" for their, our in names.items()}


def _resnet() -> Keys:
    table: dict[str, str] = {}
    for n in (1, 2, 3):
        table |= {f"conv{n}.": f"conv{n}.", **_norm(f"bn{n}", f"norm{n}")}
    for stage in range(4):
        theirs, ours = f"layer{stage + 1}.{{}}", f"stages.{stage}.{{}}"
        for n in (1, 2, 3):
            table |= {f"{theirs}.conv{n}.": f"{ours}.conv{n}.", **_norm(f"{theirs}.bn{n}", f"{ours}.norm{n}")}
        table |= {f"{theirs}.downsample.0.": f"{ours}.conv_skip.", **_norm(f"{theirs}.downsample.1", f"{ours}.norm_skip")}
    return Keys(rules=rename(table), ignore=("*num_batches_tracked",))


RESNET_OPEN = _resnet()
MEAN_PROBE_OPEN = Keys(
    rules=(
        *rename({"positional_embedding": "pos", "q_proj.": "q."}),
        Rule(theirs=("k_proj.", "v_proj."), ours=("kv.",), ops=(Fuse(shares=(1, 1)),)),
    )
)
_ACROSS = (Transpose(),)
_ENDS = Keys(
    rules=(
        Rule(theirs=("text_projection",), ours=("towers.text.project.weight",), ops=_ACROSS),
        *rename({"logit_scale": "contrasts.0.scale"}),
    )
)
_ENDS_VIT = Keys(
    rules=(*_ENDS.rules, Rule(theirs=("visual.proj",), ours=("towers.image.project.weight",), ops=_ACROSS))
)
_ENDS_RESNET = Keys(rules=(*_ENDS.rules, *rename({"visual.attnpool.c_proj.": "towers.image.project."})))
_ENDS_HF = Keys(
    rules=rename({
        "visual_projection.": "towers.image.project.", "text_projection.": "towers.text.project.",
        "logit_scale": "contrasts.0.scale",
    })
)  # fmt: skip
_NUMBER = (Reshape(theirs=(1,), ours=()),)
_ENDS_SIGLIP = Keys(
    rules=(
        *rename({"text_model.head.": "towers.text.project."}),
        Rule(theirs=("logit_scale",), ours=("contrasts.0.scale",), ops=_NUMBER),
        Rule(theirs=("logit_bias",), ours=("contrasts.0.bias",), ops=_NUMBER),
    )
)

# Layouts --------------------------------------------------------------------------------------------------------------

_EYE, _WORDS, _POOL = "towers.image.encoder.", "towers.text.encoder.", "towers.image.pool."


def _layout(name: str, ends: Keys, *mounts: tuple[str, str, Keys], ignore: tuple[str, ...] = ()) -> Layout:
    every = (*mounts, ("", "", ends))
    return Layout(name=name, mounts=tuple(Mount(theirs=t, ours=o, keys=k) for t, o, k in every), ignore=ignore)


_SIZES = ("input_resolution", "context_length", "vocab_size")  # numbers that the authors' archives hold beside the weights
_HF = _layout("hf", _ENDS_HF, ("vision_model.", _EYE, CLIP_HF), ("text_model.", _WORDS, TEXT_HF))
_OPEN = _layout("open_clip", _ENDS_VIT, ("visual.", _EYE, VIT_OPEN), ("", _WORDS, TEXT_OPEN), ignore=_SIZES)
CLIP_LAYOUTS = (_HF, _OPEN)
"""Of transformers' CLIPModel and MetaClip2Model, and of openai/CLIP and open_clip."""

RESNET_LAYOUTS = (
    _layout(
        "open_clip", _ENDS_RESNET, ("visual.", _EYE, RESNET_OPEN), ("visual.attnpool.", _POOL, MEAN_PROBE_OPEN),
        ("", _WORDS, TEXT_OPEN), ignore=_SIZES,
    ),
)  # fmt: skip
CHINESE_CLIP_LAYOUTS = (
    _layout("hf", _ENDS_HF, ("vision_model.", _EYE, CLIP_HF), ("text_model.", _WORDS, BERT_HF)),
)


def _siglip(eye: Keys) -> tuple[Layout, ...]:
    return (
        _layout(
            "hf", _ENDS_SIGLIP, ("vision_model.", _EYE, eye.but(ignore=(_IDS,))), ("vision_model.head.", _POOL, PROBE_HF),
            ("text_model.", _WORDS, TEXT_HF),
        ),
    )  # fmt: skip


SIGLIP_LAYOUTS, NAFLEX_LAYOUTS = _siglip(SIGLIP_HF), _siglip(NAFLEX_HF)
"""Of transformers' SiglipModel, and of its Siglip2Model."""
