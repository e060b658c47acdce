"""DiHT (2301.02280): CLIP's towers with the exact activation, trained on filtered pairs and hard negatives.

Numbers: facebookresearch/diht 44ac0a5 `diht/model_zoo_configs/*.yaml`. Its weights are files of the authors' own server,
which is no source here: give `checkpoints` a Directory that holds one, in the layout CLIP_LAYOUTS.
"""

from __future__ import annotations

from anyvlm.contrasts import HardNegatives
from anyvlm.dual import DualSystem
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_L_14
from anyvlm.parts.vision.vit import ViT
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage

WORDS = Hub(repo="openai/clip-vit-base-patch32")
NOTE = "concepts of SWAG's heads are distilled too, which is no loss here. Neither rates nor alpha and beta are published"


def _pair(name: str, eye: ViT, text: int) -> DualSystem:
    pair = clip(name, eye.but(ffn__act="gelu"), text, text, WORDS, f"DiHT {name.removeprefix('diht-')}.")
    return pair.but(
        towers__text__encoder__ffn__act="gelu", checkpoints=(), contrasts=(HardNegatives(),),
        stages=(stage(None, None, None).but(data=("LAION-CAT 438M",), note=NOTE),),
        meta__paper="2301.02280", meta__year=2023, meta__license="CC-BY-NC-4.0", meta__family="diht", meta__row="diht",
    )  # fmt: skip


DIHT_B_32 = _pair("diht-vit-b-32", CLIP_B_16.but(patch=32), 512)
DIHT_B_16 = _pair("diht-vit-b-16", CLIP_B_16, 512)
DIHT_B_16_448 = _pair("diht-vit-b-16-448", CLIP_B_16.but(size=448), 512)
DIHT_B_8 = _pair("diht-vit-b-8", CLIP_B_16.but(patch=8), 512)
DIHT_L_14 = _pair("diht-vit-l-14", CLIP_L_14, 768)
DIHT_L_14_336 = _pair("diht-vit-l-14-336", CLIP_L_14.but(size=336), 768)
