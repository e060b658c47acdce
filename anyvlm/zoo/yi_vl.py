"""Yi-VL: CLIP-H/14 raised to 448 pixels and trained, a projector with LayerNorms, Yi-6B/34B-Chat. English and Chinese.

Sources: 01-ai/Yi VL/llava/model/multimodal_projector/builder.py and the stages in VL/README.md, which give no numbers.
"""

from __future__ import annotations

from anyvlm.inputs.policy import CLIP_FILL, ImagePolicy
from anyvlm.inputs.templates import YI_VL
from anyvlm.parts.catalog.clip import CLIP_H_14, CLIP_HF
from anyvlm.parts.catalog.layouts import PROJECTOR_NORMED, llava_original, vision_hf
from anyvlm.parts.catalog.llama import LLAMA_HF, YI_6B, YI_34B
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.norm import LayerNorm
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

LAYOUTS = (llava_original(LLAMA_HF, CLIP_HF, PROJECTOR_NORMED),)
TOWER = vision_hf(CLIP_HF, "encoders.image.")
_VIT = "vit/clip-vit-H-14-laion2B-s32B-b79K-yi-vl"  # its retrained tower lies in a folder of the checkpoint
_EYES = ("encoders.*", "connectors.*")

YI_VL_6B = System(
    name="yi-vl-6b",
    lm=YI_6B,
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(448, 448), fit="pad", fill=CLIP_FILL),
            encoder=CLIP_H_14.but(size=448, layers=(-2,)),
            connector=Projector(depth=2, norm=LayerNorm(eps=1e-5)),
            most=1,  # the model card, and VL/single_inference.py
        )
    },
    template=YI_VL,
    placeholder="<image_placeholder>",
    tokenizer=Hub(repo="01-ai/Yi-6B-Chat"),
    checkpoints=(
        Checkpoint(source=Hub(repo="01-ai/Yi-VL-6B"), layouts=LAYOUTS),
        Checkpoint(source=Hub(repo="01-ai/Yi-VL-6B", folder=f"{_VIT}-6B-448"), layouts=TOWER, fallback=True),
    ),
    stages=(
        Stage(name="align-224", train=_EYES, data=("100M pairs of LAION-400M",), epochs=1, note="at 224 pixels"),
        Stage(name="align-448", train=_EYES, data=("25M pairs",), epochs=1, note="at 448 pixels"),
        Stage(name="tune", train=("*",), data=("1M instructions",)),
    ),
    meta=Meta(
        paper="https://huggingface.co/01-ai/Yi-VL-34B",
        year=2024,
        license="Yi (Apache-2.0 since 2024)",
        family="llava",
        row="yi-vl",
        summary="LLaVA with a trained ViT-H at 448 pixels and LayerNorm behind both layers of the projector.",
    ),
)
YI_VL_34B = YI_VL_6B.but(
    name="yi-vl-34b",
    lm=YI_34B,
    tokenizer=Hub(repo="01-ai/Yi-34B-Chat"),
    checkpoints=(
        Checkpoint(source=Hub(repo="01-ai/Yi-VL-34B"), layouts=LAYOUTS),
        Checkpoint(source=Hub(repo="01-ai/Yi-VL-34B", folder=f"{_VIT}-34B-448"), layouts=TOWER, fallback=True),
    ),
)
