"""VladVA (2412.04378): LLaVA-1.5 that makes points of pictures and texts, by low-rank updates and learned vectors alone.

From the paper; neither code nor weights are published. What it does not say is None or chosen here: the wording of the
questions (as E5-V's, 2407.12580), how many vectors are learned, rank, weights of the losses, and the scale of cosines.
"""

from __future__ import annotations

from anyvlm.inputs.embedding import Embedding
from anyvlm.system import Lora, Stage
from anyvlm.zoo.llava_1_5 import LLAVA_1_5_7B

VLADVA = LLAVA_1_5_7B.but(
    name="vladva-llava-1.5-7b",
    embedding=Embedding(
        image="Summarize the provided image in one word:", text="{}\nSummarize the provided text in one word:", soft=16
    ),
    fresh=("soft.*",),
    stages=(Stage(
        name="discriminate", train=("soft.*",), lora=Lora(rank=16, alpha=32), losses={"contrast": 1.0, "next_token": 1.0},
        data=("pictures with short and long captions",), note="contrast of short captions, next tokens of long ones",
    ),),
    meta__paper="2412.04378", meta__year=2024, meta__family="vladva", meta__row="vladva",
    meta__summary="No trained weights exist: before you train it, points come from LLaVA-1.5 as it is and random vectors.",
)  # fmt: skip
