"""Flamingo (2204.14198), from the paper: neither weights nor code were published, so what is here is its structure.

Numbers: table 1 and appendix B of the paper. Its counts of parameters (resampler 194 M at every size; gated layers 1.2, 1.6 and
10 B; encoder 435 M) come out if rows are the encoder's final 3,072 channels, mapped to 1,536 for a resampler with heads of 128,
and enter gated layers in the language model's width: 193.6 M; 1.21, 1.61 and 9.66 B; 435.3 M. With the 10 gated layers of 40
blocks that others report of the 9B, or keys made of rows of 1,536, they do not.
"""

from __future__ import annotations

from anyvlm.inputs.formats import FLAMINGO
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.chinchilla import CHINCHILLA_1_4B, CHINCHILLA_7B, CHINCHILLA_70B
from anyvlm.parts.catalog.nfnet import NFNET_F6
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.connect.resampler import Resampler
from anyvlm.parts.ffn import MLP
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.relative import RelativeDecoder
from anyvlm.system import Meta, Stage, Stream, System

NORM = LayerNorm(eps=1e-5)
EYE = Stream(
    policy=ImagePolicy(size=(320, 320), fit="stretch"),
    encoder=NFNET_F6,
    connector=Resampler(
        inside=1536,
        inner=Perceiver(queries=64, depth=6, heads=16, head=128, ffn=MLP(hidden=6144, act="relu2", bias=False), norm=NORM),
        frames=8,
    ),
    reach="last",
)
STAGE = Stage(
    name="train", train=("connectors.*", "lm.inserts.*"), data=("M3W", "ALIGN", "LTIP", "VTP"), lr=1e-4, steps=500_000,
    schedule="constant", weight_decay=0.1, context=256,
    note="no decay on the resampler; losses weigh 1, 0.2, 0.2 and 0.03 and are added up before each update; 5,000 steps of "
    "warm-up; clip 1; in half of M3W text reads the next picture instead of the last; eyes were trained first, against BERT, "
    "on ALIGN and LTIP",
)  # fmt: skip


def _flamingo(size: str, lm: RelativeDecoder, every: int) -> System:
    gated = GatedCross(
        memory="image", layers=tuple(range(0, lm.depth, every)), heads=lm.heads, kv_heads=lm.heads, head=128,
        ffn=lm.ffn.but(act="relu2"), norm=NORM,
    )  # fmt: skip
    return System(
        name=f"flamingo-{size}",
        lm=lm.but(inserts=(gated,)),
        streams={"image": EYE},
        template=FLAMINGO,
        stages=(STAGE,),
        meta=Meta(
            paper="2204.14198", year=2022, license="unpublished", family="flamingo", row="flamingo",
            summary=f"its weights are closed: NFNet-F6 and Chinchilla, a gated layer before one block of {every}.",
        ),
    )  # fmt: skip


FLAMINGO_3B = _flamingo("3b", CHINCHILLA_1_4B, 1)
FLAMINGO_9B = _flamingo("9b", CHINCHILLA_7B, 4)
FLAMINGO_80B = _flamingo("80b", CHINCHILLA_70B, 7)
