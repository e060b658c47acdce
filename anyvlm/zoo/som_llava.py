"""SoM-LLaVA (2404.16375): LLaVA-1.5-13B taught to list the numbered marks in a picture one by one."""

from __future__ import annotations

from anyvlm.system import Checkpoint
from anyvlm.weights.sources import Hub
from anyvlm.zoo import llava_1_5

SOM_LLAVA = llava_1_5.LLAVA_1_5_13B.but(
    name="som-llava",
    tokenizer=Hub(repo="zzxslp/som-llava-v1.5-13b-hf"),
    checkpoints=(Checkpoint(source=Hub(repo="zzxslp/som-llava-v1.5-13b-hf"), layouts=llava_1_5.LAYOUTS),),
    stages=(llava_1_5.ALIGN, llava_1_5.TUNE.but(data=("som_llava_mix695k",))),
    meta__paper="2404.16375",
    meta__year=2024,
    meta__row="som-llava",
    meta__summary="LLaVA-1.5-13B with 30K more samples about set-of-mark pictures; works without marks too.",
)
