"""IDEFICS (2306.16527): an open Flamingo. OpenCLIP ViT-H, Perceiver resampler, gated layers before every 4th of LLaMA.

Numbers: the config.json of HuggingFaceM4/idefics-*; stages from the paper, which gives no learning rates for all of them.
"""

from __future__ import annotations

from anyvlm.inputs.formats import IDEFICS, IDEFICS_INSTRUCT
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.template import Template
from anyvlm.parts.catalog.clip import CLIP_H_14
from anyvlm.parts.catalog.idefics import IDEFICS_HF
from anyvlm.parts.catalog.llama import LLAMA_7B, LLAMA_65B
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.ffn import MLP
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(
    policy=ImagePolicy(size=(224, 224), fit="stretch"),
    encoder=CLIP_H_14.but(layers=(-1,), keep_cls=True),
    connector=Perceiver(
        queries=64, depth=6, heads=16, head=96, ffn=MLP(hidden=5120, act="relu", bias=False), norm=LayerNorm(eps=1e-5),
        head_norm=LayerNorm(eps=1e-5),
    ),
    reach="last",
)  # fmt: skip
STAGES = (
    Stage(
        name="pretrain", train=("connectors.*", "lm.inserts.*"), data=("OBELICS", "Wikipedia", "LAION", "PMD"),
        note="the rows added to the vocabulary are trained too; z-loss 1e-3 on the logits",
    ),
    Stage(name="instruct", train=("encoders.*", "connectors.*", "lm.*"), data=("supervised", "dialogue")),
)  # fmt: skip


def _idefics(name: str, lm: Decoder, extra: int, template: Template) -> System:
    """`extra`: rows added to LLaMA's vocabulary: <fake_token_around_image>, <image>, and instructed <end_of_utterance>."""
    source = Hub(repo=f"HuggingFaceM4/{name}")
    gated = GatedCross(
        memory="image", layers=tuple(range(0, lm.depth, 4)), heads=lm.heads, kv_heads=lm.heads, head=128, ffn=lm.ffn,
        norm=lm.norm, head_norm=lm.norm,
    )  # fmt: skip
    return System(
        name=name,
        lm=lm.but(vocab=lm.vocab + extra, extra=extra, inserts=(gated,)),
        streams={"image": EYE},
        template=template,
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=(IDEFICS_HF,)),),
        stages=STAGES[: extra - 1],
        meta=Meta(
            paper="2306.16527", year=2023, license="LLaMA research", family="flamingo", row="idefics",
            summary="An open Flamingo: pictures beside the text, read by gated layers.",
        ),
    )  # fmt: skip


IDEFICS_9B = _idefics("idefics-9b", LLAMA_7B, 2, IDEFICS)
IDEFICS_9B_INSTRUCT = _idefics("idefics-9b-instruct", LLAMA_7B, 3, IDEFICS_INSTRUCT)
IDEFICS_80B = _idefics("idefics-80b", LLAMA_65B, 2, IDEFICS)
IDEFICS_80B_INSTRUCT = _idefics("idefics-80b-instruct", LLAMA_65B, 3, IDEFICS_INSTRUCT)
