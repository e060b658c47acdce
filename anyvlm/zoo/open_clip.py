"""OpenCLIP's models (2212.07143; DataComp 2304.14108; DFN 2309.17425): CLIP's towers, trained on open data.

Numbers: mlfoundations/open_clip 0134a45 `model_configs/*.json`, `pretrained.py`. Activations are exact but for DFN's.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem
from anyvlm.inputs.policy import HALF
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_B_32, CLIP_H_14, CLIP_L_14
from anyvlm.parts.vision.vit import ViT
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage

B_32, B_16, L_14 = (eye.but(ffn__act="gelu") for eye in (CLIP_B_32, CLIP_B_16, CLIP_L_14))
G_14 = CLIP_H_14.but(width=1408, depth=40, heads=16, ffn__hidden=6144)
BIG_G_14 = CLIP_H_14.but(width=1664, depth=48, heads=16, ffn__hidden=8192)


def _pair(name: str, eye: ViT, text: int, repo: str, data: str, paper: str = "2212.07143", depth: int = 12) -> DualSystem:
    """The text tower has the activation of the vision tower beside it."""
    pair = clip(name, eye, text, text, Hub(repo=repo), f"OpenCLIP {name}, trained on {data}.")
    return pair.but(
        towers__text__encoder__ffn__act=eye.ffn.act, towers__text__encoder__depth=depth,
        stages=(stage(None, None, None).but(data=(data,), note="see the model card"),),
        meta__paper=paper, meta__year=2022, meta__row="open-clip", meta__family="open-clip",
    )  # fmt: skip


def _laion(name: str, eye: ViT, text: int, repo: str, depth: int = 12) -> DualSystem:
    return _pair(name, eye, text, f"laion/CLIP-{repo}", "LAION-2B", depth=depth)


CLIP_VIT_B_32_LAION2B = _laion("clip-vit-b-32-laion2b", B_32, 512, "ViT-B-32-laion2B-s34B-b79K")
CLIP_VIT_B_16_LAION2B = _laion("clip-vit-b-16-laion2b", B_16, 512, "ViT-B-16-laion2B-s34B-b88K")
CLIP_VIT_L_14_LAION2B = _laion("clip-vit-l-14-laion2b", L_14, 768, "ViT-L-14-laion2B-s32B-b82K").but(
    towers__image__policy__mean=HALF, towers__image__policy__std=HALF
)
CLIP_VIT_H_14_LAION2B = _laion("clip-vit-h-14-laion2b", CLIP_H_14, 1024, "ViT-H-14-laion2B-s32B-b79K", 24)
CLIP_VIT_G_14_LAION2B = _laion("clip-vit-g-14-laion2b", G_14, 1024, "ViT-g-14-laion2B-s34B-b88K", 24)
CLIP_VIT_BIG_G_14_LAION2B = _laion("clip-vit-bigg-14-laion2b", BIG_G_14, 1280, "ViT-bigG-14-laion2B-39B-b160k", 32)


def _datacomp(name: str, eye: ViT, text: int, repo: str) -> DualSystem:
    return _pair(f"{name}-datacomp", eye, text, f"laion/CLIP-{repo}", "DataComp-1B", "2304.14108").but(meta__year=2023)


CLIP_VIT_B_32_DATACOMP = _datacomp("clip-vit-b-32", B_32, 512, "ViT-B-32-DataComp.XL-s13B-b90K")
CLIP_VIT_B_32_256_DATACOMP = _datacomp("clip-vit-b-32-256", B_32.but(size=256), 512, "ViT-B-32-256x256-DataComp-s34B-b86K")
CLIP_VIT_B_16_DATACOMP = _datacomp("clip-vit-b-16", B_16, 512, "ViT-B-16-DataComp.XL-s13B-b90K")
CLIP_VIT_L_14_DATACOMP = _datacomp("clip-vit-l-14", L_14, 768, "ViT-L-14-DataComp.XL-s13B-b90K")


def _dfn(name: str, eye: ViT, text: int, repo: str, data: str, depth: int = 12) -> DualSystem:
    pair = _pair(f"{name}-dfn", eye.but(ffn__act="quick_gelu"), text, f"apple/{repo}", data, "2309.17425", depth)
    return pair.but(meta__year=2023, meta__license="Apple sample code")


CLIP_VIT_B_16_DFN = _dfn("clip-vit-b-16", B_16, 512, "DFN2B-CLIP-ViT-B-16", "DFN-2B")
CLIP_VIT_L_14_DFN = _dfn("clip-vit-l-14", L_14, 768, "DFN2B-CLIP-ViT-L-14", "DFN-2B")
CLIP_VIT_H_14_DFN, CLIP_VIT_H_14_378_DFN = (
    _dfn(name, CLIP_H_14.but(size=size), 1024, repo, "DFN-5B", 24).but(towers__image__policy__fit="stretch")
    for name, size, repo in (
        ("clip-vit-h-14", 224, "DFN5B-CLIP-ViT-H-14"), ("clip-vit-h-14-378", 378, "DFN5B-CLIP-ViT-H-14-378"),
    )
)  # fmt: skip
