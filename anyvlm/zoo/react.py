"""REACT (2301.07094): CLIP customised on pairs that were retrieved for the names of a task, here ImageNet's classes.

Numbers: microsoft/react a1a796f `react_customization/` README, `model_configs/react_*.json`, `pretrained.py`, `factory.py`. Its
files lie side by side in the hub's react-vl/react-in1k: download one and name it. Retrieval is `anyvlm index` and `search`.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem
from anyvlm.parts.catalog.react import REACT_LAYOUTS
from anyvlm.parts.ffn import MLP
from anyvlm.parts.vision.gated import GatedViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta
from anyvlm.weights.sources import Directory
from anyvlm.zoo.clip import CLIP_VIT_B_16, CLIP_VIT_B_32, CLIP_VIT_L_14, stage
from anyvlm.zoo.open_clip import CLIP_VIT_B_32_LAION2B, CLIP_VIT_BIG_G_14_LAION2B, CLIP_VIT_L_14_LAION2B

META = Meta(paper="2301.07094", year=2023, license="MIT", family="react", row="react")
NOTE = "5,000 warm-up steps; crops of 8 % and more, colours, RandAugment and erasing"
SCALE = "contrasts.0.scale"


def _pair(name: str, base: DualSystem, file: str, summary: str, data: str) -> DualSystem:
    """All of the vision tower and its map are trained."""
    tuned = stage(5e-5, 32, 4096, 0.1).but(name="customise", data=(f"{data}, retrieved",), note=NOTE)
    return base.but(
        name=name, checkpoints=(Checkpoint(source=Directory(path=f"{file}.pt"), layouts=REACT_LAYOUTS),),
        stages=(tuned.but(train=("towers.image.*", SCALE)),), meta=META.but(summary=summary),
    )  # fmt: skip


def _locked(name: str, base: DualSystem, file: str, begun: str) -> DualSystem:
    return _pair(f"react-{name}-locked", base, f"{file}-locked-text", f"REACT on {begun}, text locked.", "LAION-400M")


def _gated(name: str, base: DualSystem, file: str, begun: str, data: str = "LAION-400M", last: int = 6) -> DualSystem:
    """Gated blocks in front of the `last` blocks are trained; their feed-forward layers are four times as wide as a row."""
    pair = _pair(f"react-{name}", base, file, f"REACT on {begun}, gated blocks, pairs from {data}.", data)
    eye = base.towers["image"].encoder
    assert isinstance(eye, ViT) and isinstance(eye.ffn, MLP)
    gates = GatedViT(
        width=eye.width, depth=eye.depth, heads=eye.heads, patch=eye.patch, size=eye.size, ffn=eye.ffn, norm=eye.norm,
        keep_cls=True, pre_norm=True, gated=last, gate_ffn=eye.ffn.but(hidden=4 * eye.width),
    )  # fmt: skip
    return pair.but(
        towers__image__encoder=gates, stages=(pair.stages[0].but(train=("towers.image.encoder.gates.*", SCALE), lr=5e-4),)
    )


B_32_LOCKED = _locked("clip-b-32", CLIP_VIT_B_32, "clip-vit-base-32", "OpenAI CLIP ViT-B/32")
B_32 = _gated("clip-b-32", CLIP_VIT_B_32, "clip-vit-base-32-gated-image", "OpenAI CLIP ViT-B/32")
B_16_LOCKED = _locked("clip-b-16", CLIP_VIT_B_16, "clip-vit-base-16", "OpenAI CLIP ViT-B/16")
B_16 = _gated("clip-b-16", CLIP_VIT_B_16, "clip-vit-base-16-gated-image", "OpenAI CLIP ViT-B/16")
L_14 = _gated("clip-l-14", CLIP_VIT_L_14, "clip-vit-large-14-gated-image", "OpenAI CLIP ViT-L/14")
L_14_2B = _gated(
    "clip-l-14-laion2b", CLIP_VIT_L_14, "clip-vit-large-14-gated-image-laion2b", "OpenAI CLIP ViT-L/14", "LAION-2B"
)
OPEN_B_32_LOCKED = _locked(  # the towers of LAION-400M are those of LAION-2B
    "openclip-400m-b-32", CLIP_VIT_B_32_LAION2B, "openclip-vit-base-32", "OpenCLIP ViT-B/32 of LAION-400M"
)
OPEN_B_32 = _gated(
    "openclip-400m-b-32", CLIP_VIT_B_32_LAION2B, "openclip-vit-base-32-gated-image", "OpenCLIP ViT-B/32 of LAION-400M"
)
OPEN_2B_B_32_LOCKED = _locked(
    "openclip-2b-b-32", CLIP_VIT_B_32_LAION2B, "openclip-laion2b-vit-base-32", "OpenCLIP ViT-B/32 of LAION-2B"
)
OPEN_2B_B_32 = _gated(
    "openclip-2b-b-32", CLIP_VIT_B_32_LAION2B, "openclip-laion2b-vit-base-32-gated-image", "OpenCLIP ViT-B/32 of LAION-2B"
)
_L_14 = "openclip-vit-large-14-gated-image"
OPEN_L_14 = _gated("openclip-2b-l-14", CLIP_VIT_L_14_LAION2B, _L_14, "OpenCLIP ViT-L/14 of LAION-2B")
OPEN_L_14_2B = _gated(
    "openclip-2b-l-14-laion2b", CLIP_VIT_L_14_LAION2B, f"{_L_14}-laion2b", "OpenCLIP ViT-L/14 of LAION-2B", "LAION-2B"
)
OPEN_BIG_G_14_2B = _gated(
    "openclip-2b-bigg-14-laion2b", CLIP_VIT_BIG_G_14_LAION2B, "openclip-vit-bigG-14-gated-image-laion2b",
    "OpenCLIP ViT-bigG/14 of LAION-2B", "LAION-2B", 12,
)  # fmt: skip
