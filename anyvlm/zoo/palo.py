"""PALO (2402.14818): LLaVA-1.5 tuned in ten languages.

Numbers: mbzuai-oryx/PALO README.md and scripts/train/finetune_lora_palo.sh: both sizes begin with LLaVA-1.5's published
projectors (LCS-558K) and train low-rank updates, then merged.
"""

from __future__ import annotations

from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.system import Checkpoint
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

TOWER = Checkpoint(
    source=Hub(repo="openai/clip-vit-large-patch14-336"), layouts=vision_hf(CLIP_HF, "encoders.image."), fallback=True
)

PALO_7B = llava_1_5.LLAVA_1_5_7B.but(
    name="palo-7b",
    lm__vocab=32000,
    checkpoints=(Checkpoint(source=Hub(repo="MBZUAI/PALO-7B"), layouts=llava_1_5.LAYOUTS), TOWER),
    stages=(llava_1_5.ALIGN, llava_1_5.TUNE_LORA.but(data=("palo_multilingual_dataset 2.1M",))),
    meta__paper="2402.14818",
    meta__year=2024,
    meta__license="Llama 2 community (research only)",
    meta__row="palo",
    meta__summary="LLaVA-1.5 for English, Chinese, Hindi, Spanish, French, Arabic, Bengali, Russian, Urdu and Japanese.",
)
PALO_13B = PALO_7B.but(
    name="palo-13b",
    lm=llava_1_5.LLAVA_1_5_13B.lm.but(vocab=32000),
    tokenizer=Hub(repo="llava-hf/llava-1.5-13b-hf"),
    checkpoints=(Checkpoint(source=Hub(repo="MBZUAI/PALO-13B"), layouts=llava_1_5.LAYOUTS), TOWER),
)
