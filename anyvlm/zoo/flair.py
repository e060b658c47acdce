"""FLAIR (2412.03561): each text looks at the picture's patches, and what it sees is what it is compared with.

Numbers: ExplainableML/flair 0f9ce05 `src/flair/model_configs/ViT-B-16-FLAIR.json`, `src/flair/model.py`, README. Its files lie
side by side in the hub's xiaorui638/flair: download one and name it.
"""

from __future__ import annotations

from anyvlm.contrasts import Conditioned
from anyvlm.dual import DualSystem
from anyvlm.parts.catalog.clip import CLIP_B_16
from anyvlm.parts.catalog.uncertain import FLAIR_LAYOUTS
from anyvlm.parts.conditioned import ConditionedPool
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Directory, Hub
from anyvlm.zoo.clip import clip

META = Meta(paper="2412.03561", year=2024, license="MIT", family="flair", row="flair")
WORDS = Hub(repo="openai/clip-vit-base-patch16")


def _flair(name: str, file: str, data: str) -> DualSystem:
    stage = Stage(
        name="contrast", train=("*",), losses={"image-text": 1.0}, data=(data,), lr=5e-4, epochs=32, weight_decay=0.2,
        note="beta2 0.98, eps 1e-6, 2,000 warm-up steps, 128 pictures a device with 8 captions each, or 10 for 30M",
    )  # fmt: skip
    pair = clip(name, CLIP_B_16.but(ffn__act="gelu"), 512, 512, WORDS, f"FLAIR ViT-B/16, trained on {data}.")
    return pair.but(
        towers__text__encoder__ffn__act="gelu", contrasts=(Conditioned(width=512, pool=ConditionedPool()),), stages=(stage,),
        checkpoints=(Checkpoint(source=Directory(path=file), layouts=FLAIR_LAYOUTS),),
        meta=META.but(summary=pair.meta.summary),
    )  # fmt: skip


FLAIR_CC3M = _flair("flair-b-16-cc3m-recap", "flair-cc3m-recap.pt", "CC3M-recap")
FLAIR_CC12M = _flair("flair-b-16-cc12m-recap", "flair-cc12m-recap.pt", "CC12M-recap")
FLAIR_YFCC15M = _flair("flair-b-16-yfcc15m-recap", "flair-yfcc15m-recap.pt", "YFCC15M-recap")
FLAIR_MERGED30M = _flair("flair-b-16-merged30m", "flair-merged30m.pt", "Merged30M")
