"""MobileCLIP (2311.17049) and MobileCLIP2 (2508.20691): small towers that learned from stored embeddings of large ones.

Numbers: open_clip 3.3.0 `model_configs/MobileCLIP*.json`, `pretrained.py`; timm `fastvit.py`. `merged` gives a system with one
convolution where training had branches; `parts.merge.merge` turns the weights of one into those of the other. Not here: S0,
whose text tower mixes convolutions, and MobileCLIP2's S3, S4 and L.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.mobileclip import MCI0, MCI1, MCI2, MCI_B, MCI_B_LAYOUTS, MCI_LAYOUTS, TEXT, TEXT_ALL
from anyvlm.parts.pool import Linear, Pick
from anyvlm.parts.vision.fastvit import FastViT, MergedFastViT
from anyvlm.parts.vision.stemmed import StemmedViT
from anyvlm.system import Checkpoint, Meta
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import WORDS, stage

META = Meta(paper="2311.17049", year=2023, license="Apple sample code", family="mobileclip", row="mobileclip")
PIXELS = ImagePolicy(size=(256, 256), fit="crop", resample="bilinear", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
PADDED = WORDS.but(pad="!", fill=True, marked=True)
"""Texts are filled up with id 0, which the towers that are not causal see."""
TRAIN = stage(1e-3, None, 65536).but(data=("DataCompDR-1B",), steps=200_000)
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


def _second(name: str, eye: FastViT | StemmedViT, repo: str) -> DualSystem:
    pair = _pair(name, eye, f"timm/{repo}-OpenCLIP").but(meta__paper="2508.20691", meta__year=2025)
    return pair.but(stages=tuple(one.but(data=("DFNDR-2B",), steps=None) for one in pair.stages))


MOBILECLIP_S1 = _pair("mobileclip-s1", MCI1, "apple/MobileCLIP-S1-OpenCLIP")
MOBILECLIP_S2 = _pair("mobileclip-s2", MCI2, "apple/MobileCLIP-S2-OpenCLIP")
MOBILECLIP_B = _pair("mobileclip-b", MCI_B, "apple/MobileCLIP-B-OpenCLIP")
MOBILECLIP_B_LT = _pair("mobileclip-b-lt", MCI_B, "apple/MobileCLIP-B-LT-OpenCLIP")
MOBILECLIP2_S0 = _second("mobileclip2-s0", MCI0, "MobileCLIP2-S0")
MOBILECLIP2_S2 = _second("mobileclip2-s2", MCI2, "MobileCLIP2-S2")
MOBILECLIP2_B = _second("mobileclip2-b", MCI_B, "MobileCLIP2-B")


def merged(system: DualSystem) -> DualSystem:
    """The spec whose weights `merge` makes of the system's."""
    eye = system.towers["image"].encoder
    if not isinstance(eye, FastViT):
        return system
    one = MergedFastViT(widths=eye.widths, depths=eye.depths, ratio=eye.ratio, head=eye.head, patch=eye.patch)
    return system.but(towers__image__encoder=one)
