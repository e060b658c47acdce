"""MobileCLIP (2311.17049), MobileCLIP2 (2508.20691): small towers that learned from stored embeddings of large ones.

Numbers: open_clip 3.3.0 `model_configs/MobileCLIP*.json`, `pretrained.py`; apple/ml-mobileclip 4144bb1. `merged` gives a system
with one convolution where training had branches; `parts.merge.merge` turns the weights of one into those of the other.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.mobileclip import (
    L_14,
    MCI0,
    MCI1,
    MCI2,
    MCI3,
    MCI4,
    MCI_B,
    MCI_B_LAYOUTS,
    MCI_L_LAYOUTS,
    MCI_LAYOUTS,
    TEXT,
    TEXT_ALL,
    TEXT_WIDE,
)  # fmt: skip
from anyvlm.parts.catalog.mobileclip_s0 import S0_LAYOUTS, TEXT_S0
from anyvlm.parts.hybrid import HybridText
from anyvlm.parts.pool import Linear, Pick
from anyvlm.parts.vision.fastvit import FastViT
from anyvlm.parts.vision.stemmed import StemmedViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import WORDS, stage

META = Meta(paper="2311.17049", year=2023, license="Apple sample code", family="mobileclip", row="mobileclip")
PIXELS = ImagePolicy(size=(256, 256), fit="crop", resample="bilinear", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
PADDED = WORDS.but(pad="!", fill=True, marked=True)  # with id 0, which the towers that are not causal see
TRAIN = stage(1e-3, None, 65536).but(data=("DataCompDR-1B",), steps=200_000)
BPE = Hub(repo="openai/clip-vit-base-patch32")
DISTILLED = "beside it distillation from stored embeddings of two CLIPs, which is not a loss here: weights"


def _pair(name: str, eye: FastViT | StemmedViT, repo: str) -> DualSystem:
    conv, source = isinstance(eye, FastViT), Hub(repo=repo)
    image = Tower(
        policy=PIXELS if isinstance(eye, FastViT) else PIXELS.but(size=(eye.size, eye.size)), encoder=eye,
        pool=Pick(row="mean" if conv else "first"), project=Linear(bias=True),
    )  # fmt: skip
    words = TextTower(
        policy=PADDED if conv else WORDS, encoder=TEXT_ALL if conv else TEXT, pool=Pick(row="last"), project=Linear()
    )
    return DualSystem(
        name=name, towers={"image": image, "text": words}, shared=512, contrasts=(Softmax(),), tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=MCI_LAYOUTS if conv else MCI_B_LAYOUTS),),
        stages=(TRAIN.but(note=f"{DISTILLED} {'0 and 1' if conv else '0.25 and 0.75'}"),), meta=META.but(summary=name),
    )  # fmt: skip


def _second(name: str, eye: FastViT | StemmedViT, repo: str, data: str = "DFNDR-2B") -> DualSystem:
    return _pair(name, eye, repo).but(meta__paper="2508.20691", meta__year=2025, stages__0__data=(data,), stages__0__steps=None)


def _wide(name: str, eye: FastViT | ViT, repo: str, data: str = "DFNDR-2B") -> DualSystem:
    """S3, S4 and L: pixels normed as CLIP's, all texts filled up, a space of 768."""
    conv, wide = isinstance(eye, FastViT), ImagePolicy(size=(224, 224), fit="crop")
    policy = wide.but(size=(256, 256), resample="bilinear") if conv else wide
    image = Tower(policy=policy, encoder=eye, pool=Pick(row="mean" if conv else "first"), project=Linear(bias=True))
    return _second(name, MCI2, repo, data).but(
        towers__image=image, towers__text__encoder=TEXT_WIDE, shared=768, stages__0__note=f"{DISTILLED} are in the paper",
        checkpoints__0__layouts=MCI_LAYOUTS if conv else MCI_L_LAYOUTS, tokenizer=BPE,
    )  # fmt: skip


MOBILECLIP_S0 = _pair("mobileclip-s0", MCI0, "apple/MobileCLIP-S0").but(
    towers__image__project__bias=False, towers__text__encoder=TEXT_S0, checkpoints__0__layouts=S0_LAYOUTS,
    tokenizer=BPE,
)  # fmt: skip
MOBILECLIP_S1 = _pair("mobileclip-s1", MCI1, "apple/MobileCLIP-S1-OpenCLIP")
MOBILECLIP_S2 = _pair("mobileclip-s2", MCI2, "apple/MobileCLIP-S2-OpenCLIP")
MOBILECLIP_B = _pair("mobileclip-b", MCI_B, "apple/MobileCLIP-B-OpenCLIP")
MOBILECLIP_B_LT = _pair("mobileclip-b-lt", MCI_B, "apple/MobileCLIP-B-LT-OpenCLIP")
MOBILECLIP2_S0 = _second("mobileclip2-s0", MCI0, "timm/MobileCLIP2-S0-OpenCLIP")
MOBILECLIP2_S2 = _second("mobileclip2-s2", MCI2, "timm/MobileCLIP2-S2-OpenCLIP")
MOBILECLIP2_B = _second("mobileclip2-b", MCI_B, "timm/MobileCLIP2-B-OpenCLIP")
MOBILECLIP_S3 = _wide("mobileclip-s3", MCI3, "apple/MobileCLIP-S3", "DataCompDR-1B")
MOBILECLIP_S4 = _wide("mobileclip-s4", MCI4, "apple/MobileCLIP-S4", "DataCompDR-1B")
MOBILECLIP_L_14 = _wide("mobileclip-l-14", L_14, "apple/MobileCLIP-L-14", "DataCompDR-1B")
MOBILECLIP2_S3 = _wide("mobileclip2-s3", MCI3, "timm/MobileCLIP2-S3-OpenCLIP")
MOBILECLIP2_S4 = _wide("mobileclip2-s4", MCI4, "timm/MobileCLIP2-S4-OpenCLIP")
MOBILECLIP2_L_14 = _wide("mobileclip2-l-14", L_14, "timm/MobileCLIP2-L-14-OpenCLIP")


def merged(system: DualSystem) -> DualSystem:
    """The spec whose weights `merge` makes of the system's."""
    eye, words = system.towers["image"].encoder, system.towers["text"].encoder
    return system.but(
        towers__image__encoder=eye.merged() if isinstance(eye, FastViT) else eye,
        towers__text__encoder=words.merged() if isinstance(words, HybridText) else words,
    )
