"""LLaVA++ : LLaVA-1.5 on Llama-3-8B-Instruct and on Phi-3-mini-4k-instruct.

Numbers: mbzuai-oryx/LLaVA-pp scripts/{LLaMA3-V,Phi3-V}_{pretrain,full_finetune,finetune_lora}.sh.
"""

from __future__ import annotations

from anyvlm.inputs.templates import LLAVA_LLAMA_3, LLAVA_PHI_3
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.layouts import llava_any, vision_hf
from anyvlm.parts.catalog.llama import LLAMA_3_8B, LLAMA_HF, PHI3_HF, PHI_3_MINI
from anyvlm.system import Checkpoint
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

TOWER = Checkpoint(
    source=Hub(repo="openai/clip-vit-large-patch14-336"), layouts=vision_hf(CLIP_HF, "encoders.image."), fallback=True
)
_LLAMA, _PHI = "MBZUAI/LLaVA-Meta-Llama-3-8B-Instruct-FT", "MBZUAI/LLaVA-Phi-3-mini-4k-instruct-FT"

LLAVA_PP_LLAMA3_8B = llava_1_5.LLAVA_1_5_7B.but(
    name="llava-pp-llama3-8b",
    lm=LLAMA_3_8B,
    template=LLAVA_LLAMA_3,
    tokenizer=Hub(repo=_LLAMA),
    checkpoints=(Checkpoint(source=Hub(repo=_LLAMA), layouts=llava_any(LLAMA_HF, CLIP_HF)), TOWER),
    stages=(llava_1_5.ALIGN, llava_1_5.TUNE.but(context=4096)),
    meta__paper="https://github.com/mbzuai-oryx/LLaVA-pp",
    meta__year=2024,
    meta__license="Llama 3 community",
    meta__row="llava-pp",
    meta__summary="LLaVA-1.5 on Llama-3-8B-Instruct, fully fine-tuned.",
)
LLAVA_PP_PHI3_MINI = LLAVA_PP_LLAMA3_8B.but(
    name="llava-pp-phi3-mini",
    lm=PHI_3_MINI,
    template=LLAVA_PHI_3,
    tokenizer=Hub(repo=_PHI),
    checkpoints=(Checkpoint(source=Hub(repo=_PHI), layouts=llava_any(PHI3_HF, CLIP_HF)), TOWER),
    stages=(llava_1_5.ALIGN, llava_1_5.TUNE),
    meta__license="MIT",
    meta__summary="LLaVA-1.5 on Phi-3-mini-4k-instruct, fully fine-tuned.",
)
