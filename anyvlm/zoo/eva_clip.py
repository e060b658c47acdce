"""EVA-CLIP (2303.15389): CLIP whose vision towers begin as EVA, which learned to guess a CLIP's features of hidden patches.

Numbers: open_clip 3.3.0 `model_configs/EVA*.json`, `pretrained.py`; timm `eva.py`; the paper's tables 2 and 9. The text towers
are CLIP's with the exact activation. Not here: EVA-CLIP-8B and -18B.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.clip import CLIP_B_16
from anyvlm.parts.catalog.eva import EVA01_G, EVA02_B, EVA02_E, EVA02_L, EVA02_TIMM, EVA_TIMM, eva_layouts
from anyvlm.parts.pool import Linear
from anyvlm.parts.vision.eva import EvaViT
from anyvlm.system import Checkpoint
from anyvlm.weights.sources import Hub
from anyvlm.zoo.clip import clip, stage


def _pair(name: str, eye: EvaViT, text: int, shared: int, depth: int, repo: str, data: str, batch: int) -> DualSystem:
    source, keys = Hub(repo=f"timm/{repo}"), EVA_TIMM if eye.side is None else EVA02_TIMM
    pair = clip(name, CLIP_B_16, text, shared, source, f"EVA-CLIP {name.removeprefix('eva')[:2]}, {data}.")
    return pair.but(
        towers__image__encoder=eye, towers__image__policy=ImagePolicy(size=(eye.size, eye.size), fit="crop"),
        towers__image__project=Linear(bias=True), towers__text__encoder__depth=depth, towers__text__encoder__ffn__act="gelu",
        checkpoints=(Checkpoint(source=source, layouts=eva_layouts(keys)),),
        stages=(stage(None, None, batch, 0.05).but(data=(data,), note="LAMB; rates by tower and layer; patches dropped"),),
        meta__paper="2303.15389", meta__year=2023, meta__family="eva", meta__row="eva-clip",
        meta__summary=f"EVA-CLIP: {name}, trained on {data}.",
    )  # fmt: skip


EVA01_CLIP_G = _pair(
    "eva01-clip-g-14", EVA01_G, 768, 1024, 12, "eva_giant_patch14_clip_224.laion400m_s11b_b41k", "LAION-400M", 41_000
)
EVA01_CLIP_G_PLUS = _pair(
    "eva01-clip-g-14-plus", EVA01_G, 1024, 1024, 24, "eva_giant_patch14_plus_clip_224.merged2b_s11b_b114k", "Merged-2B", 114_000
)
EVA02_CLIP_B = _pair(
    "eva02-clip-b-16", EVA02_B, 512, 512, 12, "eva02_base_patch16_clip_224.merged2b_s8b_b131k", "Merged-2B", 131_072
)
EVA02_CLIP_L = _pair(
    "eva02-clip-l-14", EVA02_L, 768, 768, 12, "eva02_large_patch14_clip_224.merged2b_s4b_b131k", "Merged-2B", 131_072
)
EVA02_CLIP_L_336 = _pair(
    "eva02-clip-l-14-336", EVA02_L.but(size=336), 768, 768, 12, "eva02_large_patch14_clip_336.merged2b_s6b_b61k", "Merged-2B",
    61_000,
)  # fmt: skip
EVA02_CLIP_E = _pair(
    "eva02-clip-e-14", EVA02_E, 1024, 1024, 24, "eva02_enormous_patch14_clip_224.laion2b_s4b_b115k", "LAION-2B", 115_000
)
EVA02_CLIP_E_PLUS = _pair(
    "eva02-clip-e-14-plus", EVA02_E, 1280, 1024, 32, "eva02_enormous_patch14_plus_clip_224.laion2b_s9b_b144k", "LAION-2B",
    144_000,
)  # fmt: skip
