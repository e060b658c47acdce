"""Maya (2412.07112): LLaVA-1.5's recipe with a multilingual SigLIP and Aya-23-8B, in eight languages.

Numbers: nahidalam/maya scripts/maya/{pretrain,finetune}_aya_siglip.sh. Its tower class (siglip_encoder.py) drops the first row
as CLIP's does for the class token, but SigLIP has none: 255 of 256 patches arrive, without the top left one.
"""

from __future__ import annotations

from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.inputs.templates import MAYA as FORMAT
from anyvlm.parts.catalog.clip import SIGLIP_B_16_256, SIGLIP_HF
from anyvlm.parts.catalog.layouts import llava_any, vision_hf
from anyvlm.parts.catalog.llama import AYA_23_8B, COHERE_HF
from anyvlm.parts.connect.mlp import Projector
from anyvlm.system import Checkpoint, Meta, Stream, System
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

MAYA = System(
    name="maya",
    lm=AYA_23_8B,
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(256, 256), fit="pad", fill=(127, 127, 127), mean=HALF, std=HALF),
            encoder=SIGLIP_B_16_256.but(layers=(-2,), skip=1),
            connector=Projector(depth=2),
        )
    },
    template=FORMAT,
    tokenizer=Hub(repo="CohereForAI/aya-23-8B"),
    checkpoints=(
        Checkpoint(source=Hub(repo="maya-multimodal/maya"), layouts=llava_any(COHERE_HF, SIGLIP_HF)),
        Checkpoint(
            source=Hub(repo="google/siglip-base-patch16-256-multilingual"),
            layouts=vision_hf(SIGLIP_HF, "encoders.image."),
            fallback=True,
        ),
    ),
    stages=(
        llava_1_5.ALIGN.but(data=("LCS-558K in 8 languages",), batch=None, note="4 per device, 8 steps accumulated"),
        llava_1_5.TUNE.but(data=("PALO 150K per language",), batch=None, note="4 per device, 4 steps accumulated"),
    ),
    meta=Meta(
        paper="2412.07112",
        year=2024,
        license="CC-BY-NC-4.0 (Aya 23)",
        family="llava",
        row="maya",
        summary="LLaVA-1.5 with multilingual SigLIP and Aya-23-8B.",
    ),
)
