"""ProLIP (2410.05270): a CLIP whose last visual map alone is tuned on a few pictures of each class (`anyvlm.train.few_shot`).

Numbers: astra-vision/ProLIP b43e795 `configs/base.yaml`, `methods/ProLIP.py`. No weights are published: it begins as CLIP. Not
the probabilistic ProLIP of `prolip.py`, which has the name from another paper.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem
from anyvlm.system import Meta, Stage
from anyvlm.zoo.clip import CLIP_RN50, CLIP_RN101, CLIP_VIT_B_16, CLIP_VIT_B_32

META = Meta(paper="2410.05270", year=2024, license="MIT", family="prolip-ft", row="prolip-ft")
FEW_SHOT = Stage(
    name="few-shot", train=("towers.image.project.weight",), losses={"image-text": 1.0},
    data=("1 to 16 pictures a class, 11 data sets",), lr=1e-5, epochs=300, warmup=0.0,
    note="pictures among names of classes at a scale of 100, and 1 / shots times the squared distance from CLIP's map; all at "
    "once, one of 300 views an epoch; Adam, eps 1e-4",
)  # fmt: skip


def _tuned(clip: DualSystem) -> DualSystem:
    name = clip.name.removeprefix("clip-")
    return clip.but(
        name=f"prolip-ft-{name}", stages=(FEW_SHOT,),
        meta=META.but(summary=f"{clip.meta.summary[:-1]}, before ProLIP's tuning."),
    )  # fmt: skip


RN50, RN101, B_32, B_16 = map(_tuned, (CLIP_RN50, CLIP_RN101, CLIP_VIT_B_32, CLIP_VIT_B_16))
