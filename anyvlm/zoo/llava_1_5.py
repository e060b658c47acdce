"""LLaVA-1.5 (2310.03744): CLIP-L/14 at 336 pixels, a two-layer MLP, Vicuna 1.5.

Numbers: haotian-liu/LLaVA scripts/v1_5/{pretrain,finetune,finetune_lora}.sh.
"""

from __future__ import annotations

from anyvlm.inputs.policy import CLIP_FILL, ImagePolicy
from anyvlm.inputs.templates import VICUNA_V1
from anyvlm.parts.catalog.clip import CLIP_HF, CLIP_L_14_336
from anyvlm.parts.catalog.layouts import llava_any
from anyvlm.parts.catalog.llama import LLAMA_2_7B, LLAMA_2_13B, LLAMA_HF
from anyvlm.parts.connect.mlp import Projector
from anyvlm.system import Checkpoint, Lora, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(
    policy=ImagePolicy(size=(336, 336), fit="pad", fill=CLIP_FILL),
    encoder=CLIP_L_14_336.but(layers=(-2,)),
    connector=Projector(depth=2),
)
ALIGN = Stage(
    name="align", train=("connectors.*",), data=("LCS-558K",), lr=1e-3, batch=256, epochs=1, context=2048,
    note="plain template: captions without a question",
)  # fmt: skip
TUNE = Stage(
    name="tune", train=("connectors.*", "lm.*"), data=("mix665k",), lr=2e-5, batch=128, epochs=1, context=2048,
    note="batches of one modality, grouped by length",
)  # fmt: skip
TUNE_LORA = TUNE.but(
    name="tune-lora", train=("connectors.*",), lora=Lora(rank=128, alpha=256, dropout=0.05, lr=2e-4)
)
"""The projector keeps lr 2e-5; the low-rank updates of all linear layers of the language model have 2e-4."""

LAYOUTS = llava_any(LLAMA_HF, CLIP_HF)

LLAVA_1_5_7B = System(
    name="llava-1.5-7b",
    lm=LLAMA_2_7B.but(vocab=32064),
    streams={"image": EYE},
    template=VICUNA_V1,
    tokenizer=Hub(repo="llava-hf/llava-1.5-7b-hf"),
    checkpoints=(Checkpoint(source=Hub(repo="llava-hf/llava-1.5-7b-hf"), layouts=LAYOUTS),),
    stages=(ALIGN, TUNE),
    meta=Meta(
        paper="2310.03744",
        year=2023,
        license="Llama 2 community",
        family="llava",
        row="llava-1.5",
        summary="LLaVA with a two-layer projector, 336 pixels, padding to a square, and academic task data.",
    ),
)
LLAVA_1_5_13B = LLAVA_1_5_7B.but(
    name="llava-1.5-13b",
    lm=LLAMA_2_13B.but(vocab=32064),
    tokenizer=Hub(repo="llava-hf/llava-1.5-13b-hf"),
    checkpoints=(Checkpoint(source=Hub(repo="llava-hf/llava-1.5-13b-hf"), layouts=LAYOUTS),),
)
