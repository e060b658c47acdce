"""Aria (2410.05993): pictures of up to 980 pixels in 128 or 256 queries, a decoder of 64 small experts, 6 for every token.

Numbers: rhymes-ai/Aria 9b25fec gptfast/model.py, aria/model/*.py; the paper's four stages, which give tokens and no batches.
The authors' code can also show tiles behind the whole picture: ``.but(streams__image__policy=TILES)``.
"""

from __future__ import annotations

from anyvlm.inputs.longest import Longest, Stretched
from anyvlm.inputs.templates import ARIA as FORMAT
from anyvlm.parts.catalog.aria import ARIA_LAYOUTS, ARIA_LM, ARIA_TOWER
from anyvlm.parts.connect.queried import Queried
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

WHOLE = Longest(longest=980, least=336)
EYE = Stream(
    policy=WHOLE,
    encoder=ARIA_TOWER,
    connector=Queried(queries=((35, 128), (70, 256)), heads=16),
)
TILES = Stretched(
    one=WHOLE,
    lattices=(
        (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (2, 4), (2, 3), (2, 2), (2, 1), (3, 1), (3, 2), (4, 1), (4, 2),
        (5, 1), (6, 1), (7, 1), (8, 1),
    ),
)  # fmt: skip
_LOSSES = {"next_token": 1.0, "balance": 1e-3, "router_z": 1e-5}
STAGES = (
    Stage(name="language", train=("lm.*",), data=("6.4T tokens of text",), losses=_LOSSES, context=8192),
    Stage(
        name="multimodal", train=("*",), data=("1T tokens of text", "400B tokens of pictures, video and text"),
        losses=_LOSSES, context=8192,
    ),
    Stage(
        name="long", train=("*",), data=("33B tokens",), losses=_LOSSES, context=65536, note="rope base 100,000 to 5,000,000"
    ),
    Stage(name="instruct", train=("*",), data=("20B tokens",), losses=_LOSSES, context=65536),
)  # fmt: skip


def _aria(name: str, repo: str, stages: int) -> System:
    source = Hub(repo=f"rhymes-ai/{repo}")
    return System(
        name=name,
        lm=ARIA_LM if stages > 2 else ARIA_LM.but(context=8192, rope__theta=100_000.0),
        streams={"image": EYE},
        template=FORMAT,
        placeholder="<|img|>",
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=ARIA_LAYOUTS),),
        stages=STAGES[:stages],
        meta=Meta(
            paper="2410.05993", year=2024, license="Apache-2.0", family="aria", row="aria",
            summary="64 small experts of which every token takes 6, and one layer that all go through.",
        ),
    )  # fmt: skip


ARIA = _aria("aria", "Aria", 4)
ARIA_CHAT = _aria("aria-chat", "Aria-Chat", 4)
ARIA_BASE_8K = _aria("aria-base-8k", "Aria-Base-8K", 2)
ARIA_BASE_64K = _aria("aria-base-64k", "Aria-Base-64K", 3)
