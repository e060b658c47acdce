"""LLaVA v1 (2304.08485): CLIP-L/14 at 224 pixels, one linear layer, Vicuna 1.1 or Llama-2-chat.

Numbers: haotian-liu/LLaVA 817a4af docs/MODEL_ZOO.md and scripts/{pretrain,finetune}.sh; ddcd5ac README.md and
scripts/train_lightning.sh, whose models have three tokens more than Vicuna. The paper's own second stage has batch 32.
"""

from __future__ import annotations

from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.templates import LLAVA_LLAMA_2, LLAVA_V1_MARKED
from anyvlm.parts.catalog.clip import CLIP_HF, CLIP_L_14
from anyvlm.parts.catalog.layouts import PROJECTOR_LINEAR, llava_original, vision_hf
from anyvlm.parts.catalog.llama import LLAMA_2_13B, LLAMA_7B, LLAMA_13B, LLAMA_HF
from anyvlm.parts.connect.mlp import Projector
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(
    policy=ImagePolicy(size=(224, 224), fit="crop"),
    encoder=CLIP_L_14.but(layers=(-2,)),
    connector=Projector(depth=1),
)
TOWER = Checkpoint(
    source=Hub(repo="openai/clip-vit-large-patch14"), layouts=vision_hf(CLIP_HF, "encoders.image."), fallback=True
)
LAYOUT = llava_original(LLAMA_HF, CLIP_HF, PROJECTOR_LINEAR)
STAGES = (
    Stage(
        name="align", train=("connectors.*",), data=("CC-595K",), lr=2e-3, batch=128, epochs=1, context=2048,
        note="plain template: captions without a question",
    ),
    Stage(
        name="tune", train=("connectors.*", "lm.*"), data=("LLaVA-Instruct-158K",), lr=2e-5, batch=32, epochs=3,
        context=2048,
    ),
)  # fmt: skip

LIGHTNING = STAGES[0].but(data=("LCS-558K",)), STAGES[1].but(data=("LLaVA-Instruct-80K",), batch=128, epochs=1)

LLAVA = System(
    name="llava",
    lm=LLAMA_7B.but(vocab=32003),
    streams={"image": EYE},
    template=LLAVA_V1_MARKED,
    placeholder="<im_patch>",
    tokenizer=Hub(repo="huggyllama/llama-7b"),
    added=("<im_patch>", "<im_start>", "<im_end>"),
    stages=LIGHTNING,
    meta=Meta(
        paper="2304.08485",
        year=2023,
        license="LLaMA research",
        family="llava",
        row="llava",
        summary="published as differences to LLaMA (liuhaotian/LLaVA-Lightning-7B-delta-v1-1); add them with the "
        "authors' apply_delta.py and load the resulting directory.",
    ),
)
LLAVA_13B = LLAVA.but(
    name="llava-13b",
    lm=LLAMA_13B.but(vocab=32003),
    stages=STAGES,
    meta__summary="published as differences to LLaMA (liuhaotian/LLaVA-13b-delta-v1-1); add them with the authors' "
    "apply_delta.py and load the resulting directory.",
)
LLAVA_LLAMA_2_13B = LLAVA_13B.but(
    name="llava-llama-2-13b",
    lm=LLAMA_2_13B,
    template=LLAVA_LLAMA_2,
    placeholder="<image>",
    tokenizer=Hub(repo="llava-hf/llava-1.5-13b-hf"),
    added=(),
    checkpoints=(
        Checkpoint(source=Hub(repo="liuhaotian/llava-llama-2-13b-chat-lightning-preview"), layouts=(LAYOUT,)),
        TOWER,
    ),
    stages=LIGHTNING,
    meta__license="Llama 2 community",
    meta__summary="LLaVA v1 on Llama-2-chat, the only fully tuned v1 checkpoint published whole.",
)
