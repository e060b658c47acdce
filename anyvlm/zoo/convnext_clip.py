"""OpenCLIP's ConvNeXts (2212.07143): a convolutional tower, pooled by the mean, beside CLIP's text tower.

Numbers: open_clip 3.3.0 `model_configs/convnext_*.json`, `pretrained.py`. A soup is the mean of several runs; "rewind" went on
from an earlier one.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.clip import CLIP_B_32
from anyvlm.parts.catalog.convnext import CONVNEXT_B, CONVNEXT_L, CONVNEXT_LAYOUTS, CONVNEXT_XXL
from anyvlm.parts.pool import Linear, Map, NormedMean, TwoLinear
from anyvlm.parts.vision.convnext import ConvNeXt
from anyvlm.system import Checkpoint
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage


def pair(
    name: str, eye: ConvNeXt, size: int, text: int, depth: int, repo: str, data: str, project: Map | None = None
) -> DualSystem:  # fmt: skip
    """`text`: width of the text tower and of the shared space."""
    source = Hub(repo=f"laion/CLIP-{repo}")
    image = Tower(
        policy=ImagePolicy(size=(size, size), fit="crop"), encoder=eye, pool=NormedMean(norm=eye.norm),
        project=project or Linear(),
    )  # fmt: skip
    base = clip(name, CLIP_B_32, text, text, source, f"OpenCLIP {name[5:]}, trained on {data}.")
    return base.but(
        towers__image=image, towers__text__encoder__depth=depth, towers__text__encoder__ffn__act="gelu",
        checkpoints=(Checkpoint(source=source, layouts=CONVNEXT_LAYOUTS),),
        stages=(stage(None, None, None).but(data=(data,), note="see the model card"),),
        meta__paper="2212.07143", meta__year=2023, meta__row="open-clip", meta__family="open-clip",
    )  # fmt: skip


def _base(name: str, size: int, text: int, repo: str, data: str = "LAION-2B") -> DualSystem:
    return pair(f"clip-convnext-base-{name}", CONVNEXT_B, size, text, 12, f"convnext_base{repo}", data)


CLIP_CONVNEXT_B = _base("laion400m", 224, 512, "-laion400M-s13B-b51K", "LAION-400M")
CLIP_CONVNEXT_B_W = _base("w-laion2b", 256, 640, "_w-laion2B-s13B-b82K")
CLIP_CONVNEXT_B_W_AUGREG = _base("w-laion2b-augreg", 256, 640, "_w-laion2B-s13B-b82K-augreg")
CLIP_CONVNEXT_B_W_ART = _base("w-laion-aesthetic", 256, 640, "_w-laion_aesthetic-s13B-b82K", "LAION-Aesthetic")
CLIP_CONVNEXT_B_W_320, CLIP_CONVNEXT_B_W_320_AUGREG = (
    _base(f"w-320-laion-aesthetic{end}", 320, 640, f"_w_320-laion_aesthetic-s13B-b82K{end}", "LAION-Aesthetic")
    for end in ("", "-augreg")
)


def _large(name: str, size: int, repo: str) -> DualSystem:
    return pair(f"clip-convnext-large-d-{name}", CONVNEXT_L, size, 768, 16, f"convnext_large_d{repo}", "LAION-2B", TwoLinear())


CLIP_CONVNEXT_L_D = _large("laion2b-augreg", 256, ".laion2B-s26B-b102K-augreg")
CLIP_CONVNEXT_L_D_320 = _large("320-laion2b-ft", 320, "_320.laion2B-s29B-b131K-ft")
CLIP_CONVNEXT_L_D_320_SOUP = _large("320-laion2b-ft-soup", 320, "_320.laion2B-s29B-b131K-ft-soup")


def _huge(end: str) -> DualSystem:
    name, repo = f"clip-convnext-xxlarge-laion2b-augreg{end}", f"convnext_xxlarge-laion2B-s34B-b82K-augreg{end}"
    return pair(name, CONVNEXT_XXL, 256, 1024, 24, repo, "LAION-2B")


CLIP_CONVNEXT_XXL, CLIP_CONVNEXT_XXL_REWIND, CLIP_CONVNEXT_XXL_SOUP = map(_huge, ("", "-rewind", "-soup"))
