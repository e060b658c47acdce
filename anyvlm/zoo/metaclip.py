"""MetaCLIP (2309.16671) and MetaCLIP 2 (2507.22062): CLIP's towers and recipe on curated data; the second reads 300 languages.

Numbers: facebookresearch/MetaCLIP f47f784 README, `model_configs/`; facebook/metaclip-* config.json. Those of S, M, B and L are
distilled from the large ones; "mt5" reads by the tokenizer of multilingual SigLIP, which is smaller.
"""

from __future__ import annotations

from string import punctuation

from anyvlm.dual import DualSystem
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_B_32, CLIP_H_14, CLIP_L_14
from anyvlm.parts.vision.vit import ViT
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage

H_14 = CLIP_H_14.but(ffn__act="quick_gelu")
BIG_G_14 = H_14.but(width=1664, depth=48, heads=16, ffn__hidden=8192)
WORLD = TextPolicy(context=77, first="<s>", last="</s>", pad="<pad>")


def _pair(name: str, eye: ViT, text: int, repo: str, data: str, lr: float, depth: int = 12) -> DualSystem:
    pair = clip(name, eye, text, text, Hub(repo=f"facebook/{repo}"), f"MetaCLIP on {data}.")
    return pair.but(
        towers__text__encoder__depth=depth,
        stages=(stage(lr, None).but(data=(data,), note="12.8B pairs seen, 2,000 warm-up steps"),),
        meta__paper="2309.16671", meta__year=2023, meta__license="CC-BY-NC-4.0", meta__family="metaclip", meta__row="metaclip",
    )  # fmt: skip


def _cc(size: str, eye: ViT, text: int, lr: float, short: str) -> tuple[DualSystem, DualSystem]:
    return (
        _pair(f"metaclip-vit-{size}-400m", eye, text, f"metaclip-{short}-400m", "400M pairs", lr),
        _pair(f"metaclip-vit-{size}-2.5b", eye, text, f"metaclip-{short}-fullcc2.5b", "2.5B pairs", lr),
    )


METACLIP_B_32_400M, METACLIP_B_32_2_5B = _cc("b-32", CLIP_B_32, 512, 5e-4, "b32")
METACLIP_B_16_400M, METACLIP_B_16_2_5B = _cc("b-16", CLIP_B_16, 512, 5e-4, "b16")
METACLIP_L_14_400M, METACLIP_L_14_2_5B = _cc("l-14", CLIP_L_14, 768, 4e-4, "l14")
METACLIP_H_14_2_5B = _pair("metaclip-vit-h-14-2.5b", H_14, 1024, "metaclip-h14-fullcc2.5b", "2.5B pairs", 4e-4, 24)
METACLIP_BIG_G_14_2_5B = _pair(
    "metaclip-vit-bigg-14-2.5b", BIG_G_14, 1280, "metaclip-g14-fullcc2.5b", "2.5B pairs", 4e-4, 32
)


def _world(name: str, eye: ViT, text: int, repo: str, depth: int) -> DualSystem:
    pair = _pair(name, eye, text, f"metaclip-2-worldwide-{repo}", "29B pairs of 300 languages", 4e-4, depth)
    act = eye.ffn.act
    return pair.but(
        towers__text__encoder__vocab=901629, towers__text__encoder__ffn__act=act, towers__text__policy=WORLD,
        meta__paper="2507.22062", meta__year=2025, meta__summary="MetaCLIP 2: one model for 300 languages.",
    )  # fmt: skip


METACLIP_2_H_14 = _world("metaclip-2-vit-h-14", H_14, 1024, "huge-quickgelu", 24)
METACLIP_2_H_14_378 = _world("metaclip-2-vit-h-14-378", CLIP_H_14.but(size=378), 1024, "huge-378", 24)
METACLIP_2_G_14 = _world("metaclip-2-vit-bigg-14", BIG_G_14.but(ffn__act="gelu"), 1280, "giant", 32)
METACLIP_2_G_14_378 = _world("metaclip-2-vit-bigg-14-378", BIG_G_14.but(ffn__act="gelu", size=378), 1280, "giant-378", 32)

SMALL = CLIP_B_16.but(ffn__act="gelu")
S_16, M_16 = (SMALL.but(width=width, heads=width // 64, ffn__hidden=4 * width) for width in (384, 512))
MT5 = TextPolicy(context=77, last="</s>", pad="</s>", fill=True, lower=True, drop=punctuation)


def _small(name: str, eye: ViT, text: int) -> DualSystem:
    pair = _world(f"metaclip-2-vit-{name}", eye, text, name.replace("-", "", 1), 12)
    return pair.but(stages=(stage(None, None).but(data=("29B pairs of 300 languages",), note="distilled"),))


def _mt5(name: str, eye: ViT, text: int) -> DualSystem:
    source = Hub(repo=f"facebook/metaclip-2-mt5-worldwide-{name.replace('-', '')}")
    return _small(f"{name}-mt5", eye, text).but(
        towers__text__encoder__vocab=250000, towers__text__policy=MT5, tokenizer=source, checkpoints__0__source=source
    )


METACLIP_2_S_16, METACLIP_2_S_16_MT5 = _small("s-16", S_16, 384), _mt5("s-16", S_16, 384)
METACLIP_2_S_16_384 = _small("s-16-384", S_16.but(size=384), 384)
METACLIP_2_M_16, METACLIP_2_M_16_MT5 = _small("m-16", M_16, 512), _mt5("m-16", M_16, 512)
METACLIP_2_M_16_384 = _small("m-16-384", M_16.but(size=384), 512)
METACLIP_2_B_32, METACLIP_2_B_32_MT5 = (make("b-32", SMALL.but(patch=32), 512) for make in (_small, _mt5))
METACLIP_2_B_32_384 = _small("b-32-384", SMALL.but(patch=32, size=384), 512)
METACLIP_2_B_16, METACLIP_2_B_16_384 = _small("b-16", SMALL, 512), _small("b-16-384", SMALL.but(size=384), 512)
METACLIP_2_L_14 = _small("l-14", CLIP_L_14.but(ffn__act="gelu"), 768)
METACLIP_1_2_H_14 = _pair("metaclip-1.2-vit-h-14", CLIP_H_14, 1024, "", "recaptioned pairs", 4e-4, 24).but(
    towers__text__encoder__ffn__act="gelu", meta__paper="2410.17251", meta__year=2024,
    checkpoints__0__source=(hub := Hub(repo="timm/vit_huge_patch14_clip_224.metaclip_altogether")), tokenizer=hub,
    stages__0__note="35B pairs seen, with captions that a model rewrote",
)  # fmt: skip
