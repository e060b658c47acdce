"""SAIL (2412.04616): two frozen towers, DINOv2 and a sentence encoder, and the light heads that align them.

Numbers: lezhang7/SAIL b39de67 `model/{sail_model,vision_model,language_model}.py`, `scripts/sail_train.sh`, README. The heads
lie side by side in the hub's le723z/sail: download one and name it. The authors run both towers in fp16.
"""

from __future__ import annotations

from math import log

from anyvlm.contrasts import MeanSigmoid
from anyvlm.dual import DualSystem, TextTower, Tower
from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.inputs.text import TextPolicy
from anyvlm.keys import Layout, Mount
from anyvlm.parts.align import FirstAndMean, Star
from anyvlm.parts.catalog.dinov2 import DINOV2_B, DINOV2_HF, DINOV2_L
from anyvlm.parts.catalog.readers import (
    DECODER_LAYOUTS,
    GTE_LARGE,
    GTE_LAYOUTS,
    GTE_QWEN2_1_5B,
    MPNET_BASE,
    MPNET_LAYOUTS,
    NV_EMBED_LAYOUTS,
    NV_EMBED_V2,
    SAIL_LAYOUTS,
)  # fmt: skip
from anyvlm.parts.decoder_text import LatentPool
from anyvlm.parts.pool import Pick
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Directory, Hub

META = Meta(paper="2412.04616", year=2024, license="unpublished", family="sail", row="sail-align")
EYE = Tower(
    policy=ImagePolicy(size=(224, 224), fit="crop", short=256, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    encoder=DINOV2_L.but(keep_cls=True), pool=FirstAndMean(), project=Star(),
)  # fmt: skip
DINOV2 = Layout(name="hf", mounts=(Mount(theirs="", ours="towers.image.encoder.", keys=DINOV2_HF),))
ALIGN = Stage(
    name="align", train=("towers.*.project.*", "contrasts.0.*"), losses={"image-text": 1.0}, lr=1e-5, batch=32768, epochs=100,
    bounds={"contrasts.0.scale": (0.0, log(100))}, weight_decay=1e-4, data=("YFCC15M", "CC3M", "CC12M", "DreamLIP captions"),
    note="on vectors computed once; Lion; a second caption of each picture stands beside the first in the mean",
)  # fmt: skip


def _pair(name: str, text: TextTower, reader: Hub, layouts: tuple[Layout, ...], file: str, summary: str) -> DualSystem:
    """Without a file the heads are to be trained."""
    heads = (Checkpoint(source=Directory(path=file), layouts=SAIL_LAYOUTS),) if file else ()
    return DualSystem(
        name=name, towers={"image": EYE, "text": text}, shared=1024, contrasts=(MeanSigmoid(),), tokenizer=reader,
        checkpoints=(
            Checkpoint(source=Hub(repo="facebook/dinov2-large"), layouts=(DINOV2,)),
            Checkpoint(source=reader, layouts=layouts), *heads,
        ),
        fresh=() if file else ("towers.*.project.*", "contrasts.*"),
        stages=(ALIGN,), meta=META.but(summary=summary),
    )  # fmt: skip


SAIL_L_GTE = _pair(
    "sail-dinov2-l-gte",
    TextTower(
        policy=TextPolicy(context=1024, first="[CLS]", last="[SEP]", pad="[PAD]"), encoder=GTE_LARGE, pool=Pick(row="first"),
        project=Star(),
    ),
    Hub(repo="Alibaba-NLP/gte-large-en-v1.5"), GTE_LAYOUTS, "sail_dinov2l_gte.pt", "SAIL-L: DINOv2-L and gte-large-en-v1.5.",
)  # fmt: skip
SAIL_L_NV2 = _pair(
    "sail-dinov2-l-nv2",
    TextTower(
        policy=TextPolicy(context=1024, first="<s>", last="</s>", pad="</s>"), encoder=NV_EMBED_V2, pool=LatentPool(),
        project=Star(),
    ),
    Hub(repo="nvidia/NV-Embed-v2"), NV_EMBED_LAYOUTS, "sail_dinov2l_nv2.pt", "SAIL-L: DINOv2-L and NV-Embed-v2.",
).but(meta__license="CC-BY-NC-4.0 (NV-Embed-v2; of the heads unpublished)")  # fmt: skip
SAIL_B_MPNET = _pair(
    "sail-dinov2-b-mpnet",
    TextTower(
        policy=TextPolicy(context=384, first="<s>", last="</s>", pad="<pad>"), encoder=MPNET_BASE, pool=Pick(row="mean"),
        project=Star(),
    ),
    Hub(repo="sentence-transformers/all-mpnet-base-v2"), MPNET_LAYOUTS, "", "DINOv2-B and all-mpnet-base-v2, new heads.",
).but(towers__image__encoder=DINOV2_B.but(keep_cls=True), checkpoints__0__source__repo="facebook/dinov2-base")  # fmt: skip
SAIL_L_QWEN2 = _pair(
    "sail-dinov2-l-gte-qwen2-1.5b",
    TextTower(
        policy=TextPolicy(context=1024, last="<|endoftext|>", pad="<|endoftext|>"), encoder=GTE_QWEN2_1_5B,
        pool=Pick(row="last"), project=Star(),
    ),
    Hub(repo="Alibaba-NLP/gte-Qwen2-1.5B-instruct"), DECODER_LAYOUTS, "", "DINOv2-L and gte-Qwen2-1.5B, new heads.",
)  # fmt: skip
