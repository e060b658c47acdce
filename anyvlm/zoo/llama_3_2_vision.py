"""Llama 3.2-Vision (2407.21783): Llama 3.1, text weights untouched, with gated layers that read up to four tiles a picture.

Numbers: the config.json of meta-llama/Llama-3.2-*-Vision; meta-llama/llama-models models/llama3/reference_impl/multimodal.
"""

from __future__ import annotations

from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.templates import LLAMA_3_2_VISION
from anyvlm.inputs.tiles import Canvas
from anyvlm.parts.catalog.llama import LLAMA_3_1_8B, LLAMA_3_1_70B
from anyvlm.parts.catalog.mllama import MLLAMA_VIT, mllama_hf
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(
    policy=Canvas(one=ImagePolicy(size=(560, 560), fit="stretch", resample="bilinear"), most=4),
    encoder=MLLAMA_VIT,
    connector=Projector(depth=1),
    reach="group",
)
_SIGHT = ("encoders.*", "connectors.*", "lm.inserts.*")
STAGES = (
    Stage(name="pretrain", train=_SIGHT, data=("6B pairs",), note="the text weights never move"),
    Stage(name="anneal", train=_SIGHT, data=("500M pairs",), note="larger pictures"),
    Stage(name="tune", train=_SIGHT, data=("conversations",), note="then DPO"),
)


def _vision(size: str, lm: Decoder, every: int = 5) -> System:
    """A gated layer as the fourth, ninth, ... of all layers: before the model's own blocks 3, 7, 11 ..."""
    repo = Hub(repo=f"meta-llama/Llama-3.2-{size.upper()}-Vision-Instruct")
    depth = lm.depth * every // (every - 1)
    crosses = tuple(range(3, depth, every))
    gated = GatedCross(
        memory="image", layers=tuple(at - n for n, at in enumerate(crosses)), heads=lm.heads, kv_heads=lm.kv_heads,
        head=lm.head_width, ffn=lm.ffn, norm=lm.norm, head_norm=lm.norm, ffn_always=False,
    )  # fmt: skip
    return System(
        name=f"llama-3.2-{size}-vision-instruct",
        lm=lm.but(silent=8, inserts=(gated,)),
        streams={"image": EYE},
        template=LLAMA_3_2_VISION,
        placeholder="<|image|>",
        tokenizer=repo,
        checkpoints=(Checkpoint(source=repo, layouts=mllama_hf(depth, crosses)),),
        stages=STAGES,
        meta=Meta(
            paper="2407.21783", year=2024, license="Llama 3.2 community", family="flamingo", row="llama-3.2-vision",
            summary="Llama 3.1 with gated layers that read pictures of up to four tiles.",
        ),
    )  # fmt: skip


LLAMA_3_2_11B_VISION = _vision("11b", LLAMA_3_1_8B)
LLAMA_3_2_90B_VISION = _vision("90b", LLAMA_3_1_70B)
"""Its places of gated layers are taken to be those of the smaller one; no published file was read."""
