"""Alpha-CLIP (2312.03818): CLIP whose pictures have a fourth channel that says where to look; CLIP's text tower, frozen.

Numbers: SunzeY/AlphaCLIP e5676c9 `alpha_clip/model.py`, README. Its files are direct links of its model zoo and hold the vision
tower alone; texts are read by OpenAI's weights.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem
from anyvlm.inputs.masked import Masked
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.alpha_clip import ALPHA_VISUAL, ALPHA_WHOLE, CLIP_TEXT_ONLY
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_L_14, CLIP_L_14_336
from anyvlm.parts.vision.alpha import AlphaViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Directory, Hub
from anyvlm.zoo.clip import clip

STAGE = Stage(
    name="regions", train=("towers.image.*",), losses={"image-text": 1.0}, data=("GRIT-1M or 20M", "MaskImageNet"),
    note="label smoothing 0.1, the scale fixed at 100; alpha's stem 4e-5 to 1e-4, all else 0.01 of it; whole pictures in a "
    "tenth of the samples",
)  # fmt: skip


def _alpha(name: str, eye: ViT, text: int, repo: str, file: str, summary: str) -> DualSystem:
    alpha = AlphaViT(
        width=eye.width, depth=eye.depth, heads=eye.heads, patch=eye.patch, size=eye.size, ffn=eye.ffn, norm=eye.norm,
        pre_norm=True, keep_cls=True,
    )  # fmt: skip
    hub = Hub(repo=f"openai/{repo}")
    return clip(name, eye, text, text, hub, summary).but(
        towers__image__encoder=alpha, towers__image__policy=Masked(one=ImagePolicy(size=(eye.size,) * 2, fit="crop")),
        checkpoints=(
            Checkpoint(source=Directory(path=file), layouts=(ALPHA_WHOLE, ALPHA_VISUAL)),
            Checkpoint(source=hub, layouts=(CLIP_TEXT_ONLY,), fallback=True),
        ),
        stages=(STAGE,),
        meta=Meta(
            paper="2312.03818", year=2023, license="Apache-2.0", family="alpha-clip", row="alpha-clip", summary=f"{summary}."
        ),
    )  # fmt: skip


ALPHA_CLIP_B_16 = _alpha(
    "alpha-clip-b-16", CLIP_B_16, 512, "clip-vit-base-patch16", "clip_b16_grit1m_fultune_8xe.pth", "Alpha-CLIP ViT-B/16"
)
ALPHA_CLIP_L_14 = _alpha(
    "alpha-clip-l-14", CLIP_L_14, 768, "clip-vit-large-patch14", "clip_l14_grit20m_fultune_2xe.pth", "Alpha-CLIP ViT-L/14"
)
ALPHA_CLIP_L_14_336 = _alpha(
    "alpha-clip-l-14-336", CLIP_L_14_336, 768, "clip-vit-large-patch14-336", "clip_l14_336_grit_20m_4xe.pth",
    "Alpha-CLIP ViT-L/14 at 336 pixels",
)  # fmt: skip
