"""CiT (2301.02241): a frozen MoCo v3 and a BERT that learns to choose its own training pairs (`anyvlm.train.curation`).

Numbers: facebookresearch/CiT 5caecad `configs.py`, `run_configs.py`, `weights.py`, `main.py`. Its weights are files of the
authors' own server, which is no source here: unpack one and name it. The stages are the presets of what is trained.
"""

from __future__ import annotations

from anyvlm.contrasts import OneWay
from anyvlm.dual import DualSystem, TextTower, Tower
from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.cit import CIT_LAYOUT, MOCO_B_16
from anyvlm.parts.catalog.towers import bert_text
from anyvlm.parts.headed import Projector, Tanh
from anyvlm.parts.pool import Linear
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Directory, Hub

SIMCSE = Hub(repo="princeton-nlp/unsup-simcse-bert-base-uncased")
HEADS = ("towers.image.project.*", "towers.text.*", "contrasts.0.scale")
STATISTICS = ("towers.image.pool.norms.*.mean", "towers.image.pool.norms.*.var")  # in the authors' code they always follow


def _cit(name: str, data: str, file: str, note: str) -> DualSystem:
    head = Stage(
        name="head-all", train=(*HEADS, "towers.image.pool.*"), losses={"image-text": 1.0}, data=(data,), lr=5e-4, batch=16384,
        steps=5000, warmup=0.04, weight_decay=0.2,
        note=f"decay 1.0 of both maps, least rate 1e-5; curated every 100 updates, {note}",
    )  # fmt: skip
    return DualSystem(
        name=name,
        towers={
            "image": Tower(
                policy=ImagePolicy(
                    size=(224, 224), fit="crop", short=256, resample="bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD
                ),
                encoder=MOCO_B_16, pool=Projector(), project=Linear(),
            ),
            "text": TextTower(
                policy=TextPolicy(context=32, first="[CLS]", last="[SEP]", pad="[PAD]"),
                encoder=bert_text(768, 12, 12, vocab=30522), pool=Tanh(), project=Linear(),
            ),
        },
        shared=512, contrasts=(OneWay(),), tokenizer=SIMCSE,
        checkpoints=(Checkpoint(source=Directory(path=f"{file}/pytorch_model.bin"), layouts=(CIT_LAYOUT,)),),
        stages=(
            head, head.but(name="none-all", train=(*HEADS, *STATISTICS)),
            head.but(name="all-all", train=(*HEADS, "towers.image.pool.*", "towers.image.encoder.*")),
        ),
        meta=Meta(
            paper="2301.02241", year=2023, license="CC-BY-NC-4.0", family="cit", row="cit",
            summary=f"CiT: MoCo v3 ViT-B/16 and SimCSE BERT on {data}, curated for ImageNet.",
        ),
    )  # fmt: skip


CIT_YFCC15M = _cit("cit-moco-b-16-yfcc15m", "YFCC15M", "yfcc15m_in1k_mocob16", "cosine 0.55, at least 0.3 %")
CIT_YFCC100M = _cit("cit-moco-b-16-yfcc100m", "YFCC100M", "yfcc100m_in1k_mocob16", "cosine 0.7, at least 1 %")
