"""ShareGPT4V (2311.12793): LLaVA-1.5 trained on long captions, with the upper half of the vision tower moving.

Numbers: InternLM-XComposer projects/ShareGPT4V/scripts/sharegpt4v/slurm_{pretrain,finetune}_7b.sh.
"""

from __future__ import annotations

from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.system import Checkpoint, Stage
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

SHAREGPT4V_7B = llava_1_5.LLAVA_1_5_7B.but(
    name="sharegpt4v-7b",
    lm__vocab=32000,
    checkpoints=(
        Checkpoint(source=Hub(repo="Lin-Chen/ShareGPT4V-7B"), layouts=llava_1_5.LAYOUTS),
        Checkpoint(
            source=Hub(repo="Lin-Chen/ShareGPT4V-7B_Pretrained_vit-large336-l12"),
            layouts=vision_hf(CLIP_HF, "encoders.image."),
            fallback=True,
        ),
    ),
    stages=(
        Stage(
            name="captions",
            train=("encoders.image.blocks.1[2-9].*", "encoders.image.blocks.2?.*", "connectors.*", "lm.*"),
            data=("ShareGPT4V-PT 1.2M",),
            lr=2e-5,
            batch=256,
            epochs=1,
            context=2048,
            note="the projector begins as LLaVA-1.5's; vision blocks 12 to 23 move",
        ),
        llava_1_5.TUNE.but(data=("mix665k with 23K captions replaced",)),
    ),
    meta__paper="2311.12793",
    meta__license="Llama 2 community (data: CC-BY-NC-4.0)",
    meta__row="sharegpt4v",
    meta__summary="LLaVA-1.5 pre-trained on 1.2M captions in the manner of GPT-4V, half of its vision tower trained.",
)
