"""LLaVA-Med (2306.00890): LLaVA taught biomedicine by a curriculum; v1.5 is the LLaVA-1.5 recipe on Mistral-7B.

Numbers of v1: microsoft/LLaVA-Med b9a98a7 README.md. Those of v1.5 are not published.
"""

from __future__ import annotations

from anyvlm.inputs.templates import LLAVA_MED_V1, MISTRAL_INSTRUCT
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.layouts import llava_any, vision_hf
from anyvlm.parts.catalog.llama import LLAMA_HF, MISTRAL_7B_V0_2
from anyvlm.system import Checkpoint, Stage
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava, llava_1_5

ALIGN = Stage(
    name="concepts", train=("connectors.*",), data=("LLaVA-Med alignment 600K (PMC-15M)",), lr=2e-3, batch=128, epochs=1,
    context=2048,
)  # fmt: skip
TUNE = Stage(
    name="tune", train=("connectors.*", "lm.*"), data=("LLaVA-Med 60K-IM",), lr=2e-5, batch=128, epochs=3, context=2048
)

LLAVA_MED = llava_1_5.LLAVA_1_5_7B.but(
    name="llava-med",
    lm=MISTRAL_7B_V0_2,
    template=MISTRAL_INSTRUCT,
    tokenizer=Hub(repo="mistralai/Mistral-7B-Instruct-v0.2"),
    checkpoints=(
        Checkpoint(
            source=Hub(repo="microsoft/llava-med-v1.5-mistral-7b"), layouts=llava_any(LLAMA_HF, CLIP_HF)
        ),
        Checkpoint(
            source=Hub(repo="openai/clip-vit-large-patch14-336"),
            layouts=vision_hf(CLIP_HF, "encoders.image."),
            fallback=True,
        ),
    ),
    stages=(ALIGN.but(lr=None, batch=None, epochs=None), TUNE.but(lr=None, batch=None, epochs=None)),
    meta__paper="2306.00890",
    meta__license="Microsoft research",
    meta__row="llava-med",
    meta__summary="LLaVA-Med v1.5: biomedical questions and answers on Mistral-7B-Instruct-v0.2.",
)
LLAVA_MED_V1_7B = llava.LLAVA.but(
    name="llava-med-v1-7b",
    template=LLAVA_MED_V1,
    stages=(ALIGN, TUNE),
    meta__paper="2306.00890",
    meta__row="llava-med",
    meta__license="Microsoft research",
    meta__summary="published as differences to LLaMA (llava_med_in_text_60k_ckpt2_delta.zip, in the authors' README); add them "
    "with their apply_delta.py and load the resulting directory.",
)
