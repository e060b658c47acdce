"""Chinese-CLIP (2211.01335): CLIP's vision towers beside a Chinese BERT, read at its first token.

Numbers: OFA-Sys/chinese-clip-* config.json and preprocessor_config.json; OFA-Sys/Chinese-CLIP `cn_clip/clip/utils.py` (texts
of 52 tokens).
"""

from __future__ import annotations

from anyvlm.dual import DualSystem
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_H_14, CLIP_L_14, CLIP_L_14_336
from anyvlm.parts.catalog.towers import CHINESE_CLIP_LAYOUTS, bert_text
from anyvlm.parts.pool import Pick
from anyvlm.parts.vision.vit import ViT
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage

WORDS = TextPolicy(context=52, first="[CLS]", last="[SEP]", pad="[PAD]", prompt="一张{}的图片。")
H_14 = CLIP_H_14.but(ffn__act="quick_gelu")


def _pair(name: str, eye: ViT, text: tuple[int, int, int], shared: int, repo: str) -> DualSystem:
    """`text`: width, depth and heads."""
    source = Hub(repo=f"OFA-Sys/{repo}")
    pair = clip(name, eye, 512, shared, source, f"Chinese-CLIP {repo.removeprefix('chinese-clip-')}.")
    return pair.but(
        towers__image__policy__fit="stretch", towers__text__policy=WORDS, towers__text__encoder=bert_text(*text),
        towers__text__pool=Pick(row="first"), checkpoints=(pair.checkpoints[0].but(layouts=CHINESE_CLIP_LAYOUTS),),
        stages=(
            stage(1e-4, None, None, 1e-3).but(name="locked", train=("towers.text.*", "contrasts.*"), data=("200M pairs",)),
            stage(2e-5, None, None, 1e-3).but(name="contrast", data=("200M pairs",)),
        ),
        meta__paper="2211.01335", meta__year=2022, meta__license="MIT", meta__row="", meta__family="chinese-clip",
    )  # fmt: skip


CHINESE_CLIP_B_16 = _pair("chinese-clip-vit-b-16", CLIP_B_16, (768, 12, 12), 512, "chinese-clip-vit-base-patch16")
CHINESE_CLIP_L_14 = _pair("chinese-clip-vit-l-14", CLIP_L_14, (768, 12, 12), 768, "chinese-clip-vit-large-patch14")
CHINESE_CLIP_L_14_336 = _pair(
    "chinese-clip-vit-l-14-336", CLIP_L_14_336, (768, 12, 12), 768, "chinese-clip-vit-large-patch14-336px"
)
CHINESE_CLIP_H_14 = _pair("chinese-clip-vit-h-14", H_14, (1024, 24, 16), 1024, "chinese-clip-vit-huge-patch14")
