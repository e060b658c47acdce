"""BLIP: its towers, and the names of their tensors in transformers' files and in the authors'.

Sources: salesforce/BLIP 056a169 `models/{vit,med,blip,blip_vqa,blip_itm,blip_pretrain}.py`, `configs/med_config.json`;
transformers `modeling_blip.py`, `modeling_blip_text.py`.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, Tie, rename
from anyvlm.parts.bert import PostNorm
from anyvlm.parts.catalog.bert import post_norm
from anyvlm.parts.ffn import MLP
from anyvlm.parts.grounded import GroundedAnswerer, GroundedDecoder, GroundedText
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT

BLIP_B_16 = ViT(
    width=768, depth=12, heads=12, patch=16, size=384, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-6), keep_cls=True,
    stem_bias=True,
)  # fmt: skip
"""The authors' epsilon, with which the weights were trained; transformers' configs say 1e-5."""
BLIP_L_16 = BLIP_B_16.but(width=1024, depth=24, heads=16, ffn__hidden=4096)

_MED = PostNorm(heads=12, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-12))
MED_TEXT = GroundedText(vocab=30524, width=768, depth=12, context=512, block=_MED)
"""bert-base-uncased with [DEC] and [ENC] behind its 30,522 tokens."""
MED_DECODER = GroundedDecoder(vocab=30524, width=768, depth=12, heads=12, context=512, tied=True, block=_MED)
MED_ANSWERER = GroundedAnswerer(
    vocab=30524, width=768, depth=12, heads=12, context=512, tied=True, block=_MED, reader=MED_TEXT
)


def _eye(cls: str, pos: str, stem: str, block: str, names: dict[str, str]) -> Keys:
    whole = {"cls": (cls, (1, 1, "width"), ("width",)), "pos": (pos, (1, -1, "width"), (-1, "width"))}
    return Keys(
        rules=(
            *(Rule(theirs=(t,), ours=(o,), ops=(Reshape(theirs=a, ours=b),)) for o, (t, a, b) in whole.items()),
            Rule(
                theirs=(f"{stem}.weight",), ours=("stem.weight",),
                ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
            ),
            *rename({f"{stem}.bias": "stem.bias"} | {block + theirs: f"blocks.{{}}.{ours}" for theirs, ours in names.items()}),
        )
    )  # fmt: skip


BLIP_EYE_HF = _eye(
    "embeddings.class_embedding", "embeddings.position_embedding", "embeddings.patch_embedding", "encoder.layers.{}.",
    {
        "layer_norm1.": "norm1.", "self_attn.qkv.": "attn.qkv.", "self_attn.projection.": "attn.o.", "layer_norm2.": "norm2.",
        "mlp.fc1.": "ffn.up.", "mlp.fc2.": "ffn.down.",
    },
)  # fmt: skip
BLIP_EYE_HF = BLIP_EYE_HF.but(rules=(*BLIP_EYE_HF.rules, *rename({"post_layernorm.": "norm."})))
BLIP_EYE_TIMM = _eye(
    "cls_token", "pos_embed", "patch_embed.proj", "blocks.{}.",
    {
        "norm1.": "norm1.", "attn.qkv.": "attn.qkv.", "attn.proj.": "attn.o.", "norm2.": "norm2.", "mlp.fc1.": "ffn.up.",
        "mlp.fc2.": "ffn.down.",
    },
)  # fmt: skip
BLIP_EYE_TIMM = BLIP_EYE_TIMM.but(rules=(*BLIP_EYE_TIMM.rules, *rename({"norm.": "norm."})))


def _stack(theirs: str, ours: str, embed: str) -> tuple[Rule, ...]:
    words = f"{theirs}embeddings."
    return (
        *rename({
            f"{words}word_embeddings.weight": embed, f"{words}position_embeddings.weight": f"{ours}pos",
            f"{words}LayerNorm.": f"{ours}norm.",
        }),
        *post_norm(f"{theirs}encoder.layer.{{}}.", f"{ours}blocks.{{}}."),
    )  # fmt: skip


_IDS = "*embeddings.position_ids"  # a buffer 0, 1, 2 ... that old files carry
_HEAD = rename({
    "cls.predictions.bias": "head.bias", "cls.predictions.transform.dense.": "dense.",
    "cls.predictions.transform.LayerNorm.": "norm_head.",
})  # fmt: skip


def _under(prefix: str, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(rule.but(theirs=tuple(prefix + name for name in rule.theirs)) for rule in rules)


def _ties(prefix: str) -> tuple[Tie, ...]:
    head = f"{prefix}cls.predictions."
    return (
        Tie(theirs=f"{head}decoder.weight", of=f"{prefix}bert.embeddings.word_embeddings.weight"),
        Tie(theirs=f"{head}decoder.bias", of=f"{head}bias"),
    )


MED_TEXT_KEYS = Keys(rules=_stack("", "", "embed.weight"), ignore=(_IDS,))
_DECODER = (*_stack("bert.", "", "embed.weight"), *_HEAD)
MED_DECODER_KEYS = Keys(rules=_DECODER, ties=_ties(""), ignore=(_IDS,))
MED_ANSWERER_KEYS = Keys(
    rules=(*_stack("text_encoder.", "reader.", "embed.prompt.weight"), *_under("text_decoder.", _DECODER)),
    ties=_ties("text_decoder."), ignore=(_IDS,),
)  # fmt: skip
"""Both halves of the network for questions, whose words have tables of their own."""

MATCH_KEYS = Keys(
    rules=rename({
        "vision_proj.": "to_shared.image.", "text_proj.": "to_shared.text.", "itm_head.": "judge.", "temp": "temperature",
    })
)  # fmt: skip

_SHARED = "encoder.layer.[0-9]", "encoder.layer.[0-9][0-9]"
CAPTIONER_KEYS = Keys(
    rules=(
        *_HEAD,
        Rule(
            theirs=tuple(f"bert.encoder.layer.{{}}.attention.self.{p}." for p in ("query", "key", "value")),
            ours=("blocks.{}.attn.qkv.",), ops=(Fuse(shares=(1, 1, 1)),),
        ),
        *rename({
            "bert.encoder.layer.{}.attention.output.dense.": "blocks.{}.attn.o.",
            "bert.encoder.layer.{}.attention.output.LayerNorm.": "blocks.{}.norm1.",
        }),
    ),
    ignore=(
        "bert.embeddings.*", "cls.predictions.decoder.*",
        *(f"bert.{layer}.{part}.*" for layer in _SHARED for part in ("crossattention", "intermediate", "output")),
    ),
)  # fmt: skip
"""What the captioner of the pre-trained network has of its own; the rest repeats the text encoder."""

_OURS_EYE, _LM = "encoders.image.", "lm."


def _caption(name: str, theirs: str, eye: Keys) -> Layout:
    return Layout(name=name, mounts=(
        Mount(theirs=theirs, ours=_OURS_EYE, keys=eye), Mount(theirs="text_decoder.", ours=_LM, keys=MED_DECODER_KEYS),
    ))  # fmt: skip


def _answer(name: str, theirs: str, eye: Keys) -> Layout:
    return Layout(name=name, mounts=(
        Mount(theirs=theirs, ours=_OURS_EYE, keys=eye), Mount(theirs="", ours=_LM, keys=MED_ANSWERER_KEYS),
    ))  # fmt: skip


def _match(name: str, theirs: str, eye: Keys, *more: Mount, ignore: tuple[str, ...] = ()) -> Layout:
    return Layout(name=name, ignore=ignore, mounts=(
        Mount(theirs=theirs, ours="encoder.", keys=eye), Mount(theirs="text_encoder.", ours="text.", keys=MED_TEXT_KEYS),
        *more, Mount(theirs="", ours="", keys=MATCH_KEYS),
    ))  # fmt: skip


_EYES = (("hf", "vision_model.", BLIP_EYE_HF), ("blip", "visual_encoder.", BLIP_EYE_TIMM))
BLIP_CAPTION, BLIP_ANSWER, BLIP_MATCH = (tuple(make(*eye) for eye in _EYES) for make in (_caption, _answer, _match))
"""Layouts of transformers' BlipFor{ConditionalGeneration,QuestionAnswering,ImageTextRetrieval}, and of the authors' files."""

_MOMENTUM = ("*_m.*", "*_queue", "queue_ptr", "ptr_queue")
BLIP_PRETRAINED = _match(
    "blip", "visual_encoder.", BLIP_EYE_TIMM, Mount(theirs="text_decoder.", ours="lm.", keys=CAPTIONER_KEYS), ignore=_MOMENTUM
)
"""The authors' pre-trained files; momentum copies and queues are not kept."""
