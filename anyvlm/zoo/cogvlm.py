"""CogVLM (2311.03079): Vicuna, frozen, with a second set of weights in every layer for the rows of a picture.

Numbers: the config.json of THUDM/cogvlm-*-hf, the appendix of the paper. The published code takes one picture a
conversation; here every picture gets its own frame and positions.
"""

from __future__ import annotations

from anyvlm.inputs.brackets import Brackets
from anyvlm.inputs.formats import COGVLM_BASE, COGVLM_CHAT
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.cogvlm import COGVLM_7B, COGVLM_HF, EVA2_CLIP_E
from anyvlm.parts.connect.frame import Framed
from anyvlm.parts.connect.gated import GatedProjector
from anyvlm.parts.ffn import GLU
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

_EXPERT = ("lm.blocks.*.image.*", "connectors.*", "joins.*")
STAGES = (
    Stage(name="caption", train=_EXPERT, data=("1.5B pairs",), lr=1e-4, batch=8192, steps=120_000, warmup=0.1,
          weight_decay=0.05, note="at 224 pixels"),
    Stage(name="refer", train=_EXPERT, data=("1.5B pairs", "40M grounded pictures"), lr=1e-5, batch=1024, steps=60_000,
          warmup=0.02, weight_decay=0.05, note="the last 30,000 steps at 490 pixels"),
)  # fmt: skip
CHAT = Stage(
    name="chat", train=(*_EXPERT, "encoders.*"), data=("VQA and dialogue",), lr=1e-5, rates={"encoders.*": 1e-6}, batch=1024,
    steps=6_000,
)  # fmt: skip


def _checkpoint(name: str) -> tuple[Checkpoint, ...]:
    return (Checkpoint(source=Hub(repo=f"THUDM/{name}-hf"), layouts=(COGVLM_HF,)),)


COGVLM_BASE_490 = System(
    name="cogvlm-base-490",
    lm=COGVLM_7B,
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(490, 490), fit="stretch"),
            encoder=EVA2_CLIP_E,
            connector=GatedProjector(ffn=GLU(hidden=11008)),
            join=Framed(),
            shared=True,
            text_end=True,
        )
    },
    template=COGVLM_BASE,
    placeholder="<unk>",
    tokenizer=Hub(repo="lmsys/vicuna-7b-v1.5"),
    checkpoints=_checkpoint("cogvlm-base-490"),
    stages=STAGES,
    meta=Meta(
        paper="2311.03079",
        year=2023,
        license="CogVLM",
        family="deep-expert",
        row="cogvlm",
        summary="Vicuna with visual experts in every layer; text alone is read as by Vicuna.",
    ),
)
COGVLM_BASE_224 = COGVLM_BASE_490.but(
    name="cogvlm-base-224", checkpoints=_checkpoint("cogvlm-base-224"), streams__image__encoder__size=224,
    streams__image__policy__size=(224, 224), stages=STAGES[:1],
)  # fmt: skip
COGVLM_CHAT_17B = COGVLM_BASE_490.but(
    name="cogvlm-chat", template=COGVLM_CHAT, checkpoints=_checkpoint("cogvlm-chat"), stages=(*STAGES, CHAT)
)
COGVLM_GROUNDING_BASE = COGVLM_BASE_490.but(
    name="cogvlm-grounding-base", boxes=Brackets(), checkpoints=_checkpoint("cogvlm-grounding-base"),
    stages=(*STAGES, CHAT.but(name="ground", data=("grounded captions",), lr=None, rates={}, batch=None, steps=None)),
)  # fmt: skip
COGVLM_GROUNDING_GENERALIST = COGVLM_GROUNDING_BASE.but(
    name="cogvlm-grounding-generalist", checkpoints=_checkpoint("cogvlm-grounding-generalist")
)
