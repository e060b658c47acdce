"""ProLIP (2410.18857): pictures and texts as normal distributions; LongProLIP (2503.08048) reads 256 tokens.

Numbers: naver-ai/prolip 59f6324 `src/prolip/model_configs/*.json`, `scripts/*.sh`, `src/prolip_train/params.py`. The views with
masked tokens and patches, of which the recipe takes an eighth of each batch, are not made here.
"""

from __future__ import annotations

from anyvlm.contrasts import Probabilistic
from anyvlm.dual import DualSystem, TextTower, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.uncertain import PROLIP_LAYOUT
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import Linear, Pick
from anyvlm.parts.uncertain import MeanSpread, RowSpread, UncertainText, UncertainViT
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Hub
from anyvlm.zoo.siglip import WORDS

META = Meta(paper="2410.18857", year=2024, license="MIT", family="prolip", row="prolip")
SIGLIP, SIGLIP_SO = Hub(repo="timm/ViT-B-16-SigLIP"), Hub(repo="timm/ViT-SO400M-14-SigLIP")
SIGLIP_WORDS = WORDS.but(spaced="_", prompt="a photo of a {}.")
CLIP_WORDS = TextPolicy(context=77, first="<|startoftext|>", last="<|endoftext|>", pad="!", fill=True)
EYE = UncertainViT(
    width=768, depth=12, heads=12, patch=16, size=224, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-5), pre_norm=True
)
TEXT = UncertainText(
    vocab=32100, width=768, depth=12, heads=12, context=64, causal=False, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-6)
)
PRETRAIN = Stage(
    name="contrast", train=("*",), losses={"image-text": 1.0}, data=("DataComp-1B",), batch=16384, lr=5e-4, weight_decay=0.2,
    note="12.8B samples seen, beta2 0.95, 10,000 warm-up steps; the rate is the script's default; masked views at 1e-3",
)  # fmt: skip


def _prolip(name: str, eye: UncertainViT, text: UncertainText, words: TextPolicy, source: Hub, summary: str) -> DualSystem:
    image = Tower(
        policy=ImagePolicy(size=(eye.size, eye.size), fit="crop", middle="even"), encoder=eye, pool=Pick(row="first"),
        project=Linear(), spread=RowSpread(),
    )  # fmt: skip
    beside = TextTower(
        policy=words.but(context=text.context), encoder=text, pool=Pick(row="last"), project=Linear(bias=True),
        spread=MeanSpread(),
    )  # fmt: skip
    return DualSystem(
        name=name, towers={"image": image, "text": beside}, shared=text.width, contrasts=(Probabilistic(),), stages=(PRETRAIN,),
        tokenizer=source, meta=META.but(summary=summary),
    )  # fmt: skip


PROLIP_B_16 = _prolip("prolip-b-16", EYE, TEXT, SIGLIP_WORDS, SIGLIP, "ProLIP ViT-B/16.").but(
    checkpoints=(Checkpoint(source=Hub(repo="SanghyukChun/ProLIP-ViT-B-16-DC-1B-12_8B"), layouts=(PROLIP_LAYOUT,)),)
)
PROLIP_B_16_LONG = _prolip(
    "prolip-b-16-long", EYE, TEXT.but(context=256), SIGLIP_WORDS, SIGLIP, "LongProLIP ViT-B/16, for texts of 256 tokens."
).but(
    contrasts=(Probabilistic(eps=-100.0, sharp=10.0),), meta__paper="2503.08048", meta__year=2025,
    stages=(PRETRAIN.but(
        name="long", data=("ShareGPT4V", "DCI"), batch=None, lr=1e-6, weight_decay=0.01,
        note="200 warm-up steps; places are resized from 64",
    ),),
)  # fmt: skip
PROLIP_L_16 = _prolip(
    "prolip-l-16-256", EYE.but(width=1024, depth=24, heads=16, size=256, ffn__hidden=4096),
    TEXT.but(width=1024, depth=24, heads=16, ffn__hidden=4096), SIGLIP_WORDS, SIGLIP, "ProLIP ViT-L/16 at 256 pixels.",
)  # fmt: skip
_QUICK = MLP(hidden=4096, act="quick_gelu")
PROLIP_H_14 = _prolip(
    "prolip-h-14", EYE.but(width=1280, depth=32, heads=16, patch=14, ffn=_QUICK.but(hidden=5120)),
    TEXT.but(vocab=49408, width=1024, depth=24, heads=16, ffn=_QUICK, norm=LayerNorm(eps=1e-5)), CLIP_WORDS,
    Hub(repo="openai/clip-vit-large-patch14"), "ProLIP ViT-H/14.",
).but(towers__text__encoder__context=77, towers__text__policy__context=77)  # fmt: skip
PROLIP_SO_14 = _prolip(
    "prolip-so400m-14", EYE.but(width=1152, depth=27, heads=16, patch=14, ffn__hidden=4304),
    TEXT.but(width=1152, depth=27, heads=16, ffn__hidden=4304), SIGLIP_WORDS, SIGLIP_SO, "ProLIP ViT-SO400M/14.",
)  # fmt: skip
