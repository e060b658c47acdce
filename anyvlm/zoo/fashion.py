"""OpenFashionCLIP (2309.05551) and e-CLIP (2207.00208): CLIP's ViT-B/32 in shops.

Numbers: aimagelab/open-fashion-clip `quick_start.py` by the catalogue; e-CLIP published neither code nor weights, its shape is
assumed to be CLIP's ViT-B/32. OpenFashionCLIP's weights are a file of the authors' own server, which is no source here.
"""

from __future__ import annotations

from anyvlm.contrasts import Several
from anyvlm.parts.catalog.clip import CLIP_B_32
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage

WORDS = Hub(repo="openai/clip-vit-base-patch32")
OPEN_FASHION_CLIP = clip(
    "open-fashion-clip", CLIP_B_32.but(ffn__act="gelu"), 512, 512, WORDS, "OpenCLIP ViT-B/32, trained on with fashion."
).but(
    towers__text__encoder__ffn__act="gelu", towers__text__policy__prompt="a photo of a {}", checkpoints=(),
    stages=(stage(None, None, None).but(data=("open fashion data",), note="tags turned into sentences; no numbers published"),),
    meta__paper="2309.05551", meta__year=2023, meta__license="unknown", meta__family="fashion", meta__row="open-fashion-clip",
)  # fmt: skip
E_CLIP = clip("e-clip", CLIP_B_32, 512, 512, WORDS, "e-CLIP, as far as it is published: CLIP for goods and their titles.").but(
    towers__text__policy__prompt="{}", checkpoints=(), contrasts=(Several(),),
    stages=(
        stage(None, None, None).but(
            data=("product pictures and titles",),
            note="goods of one catalogue number are partners; batches that grow, embedded in parts (train.cached)",
        ),
    ),
    meta__paper="2207.00208", meta__year=2022, meta__license="unpublished", meta__family="fashion", meta__row="e-clip",
)  # fmt: skip
