"""SLIP (2112.12750): CLIP beside a SimCLR loss on two more views of every picture, by a head that only training needs.

Numbers: facebookresearch/SLIP `models.py`, `losses.py`, `main.py`. The vision tower is timm's plain ViT. Weights are files of
the authors' own server, which is no source here.
"""

from __future__ import annotations

from anyvlm.contrasts import Views
from anyvlm.dual import DualSystem, Softmax
from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD
from anyvlm.parts.catalog.clip import CLIP_B_16
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage

WORDS = Hub(repo="openai/clip-vit-base-patch32")
B_16 = CLIP_B_16.but(ffn__act="gelu", norm=LayerNorm(eps=1e-6), pre_norm=False, stem_bias=True)


def _pair(size: str, eye: ViT) -> DualSystem:
    pair = clip(f"slip-vit-{size}-16", eye, 512, 512, WORDS, f"SLIP ViT-{size.upper()}/16.")
    return pair.but(
        towers__image__policy__mean=IMAGENET_MEAN, towers__image__policy__std=IMAGENET_STD, checkpoints=(),
        contrasts=(Softmax(), Views(width=eye.width)),
        stages=(
            stage(3e-3, 25, 4096, 0.1).but(
                data=("YFCC15M",), losses={"image-text": 1.0, "view_a-view_b": 1.0},
                note="views: crops of 0.08 to 1, other colours, blur, flips; pictures beside texts: crops of 0.5 to 1",
            ),
        ),
        meta__paper="2112.12750", meta__family="slip", meta__row="slip",
    )  # fmt: skip


SLIP_S_16 = _pair("s", B_16.but(width=384, heads=12, ffn__hidden=1536))
SLIP_B_16 = _pair("b", B_16)
SLIP_L_16 = _pair("l", B_16.but(width=1024, depth=24, heads=16, ffn__hidden=4096))
