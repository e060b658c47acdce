"""KOSMOS-2 (2306.14824): text that says where in the picture its phrases are, in 1,024 tokens for the cells of a grid.

Numbers: the paper, sections 2 and 3; microsoft/unilm kosmos-2 (c6a7724 train.sh); transformers configuration_kosmos2.py. Its
training script also turns on relative positions ("--sope-rel-pos"), which transformers' conversion does not have.
"""

from __future__ import annotations

from anyvlm.inputs.boxes import Phrases
from anyvlm.inputs.formats import KOSMOS_2 as TEMPLATE
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.clip import CLIP_L_14
from anyvlm.parts.catalog.kosmos import KOSMOS_2_1B, KOSMOS_2_HF
from anyvlm.parts.connect.latent import Latent
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

FILES = Hub(repo="microsoft/kosmos-2-patch14-224")
ALL = ("connectors.*", "lm.*")

KOSMOS_2 = System(
    name="kosmos-2",
    lm=KOSMOS_2_1B,
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(224, 224), fit="stretch"),  # "use_square_size" of its preprocessor_config.json
            encoder=CLIP_L_14.but(keep_cls=True),
            connector=Latent(queries=64, heads=32),
        )
    },
    template=TEMPLATE,
    boxes=Phrases(),
    tokenizer=FILES,
    checkpoints=(Checkpoint(source=FILES, layouts=(KOSMOS_2_HF,)),),
    stages=(
        Stage(
            name="pretrain", train=ALL, data=("GRIT", "LAION-2B", "COYO-700M", "interleaved web pages", "text"), lr=2e-4,
            steps=60_000, warmup=375 / 60_000, schedule="linear", weight_decay=0.01, context=2048,
            note="419K tokens an update, from KOSMOS-1; the paper trains the tower's last block, the published code does not",
        ),
        Stage(
            name="instruct", train=ALL, data=("LLaVA-Instruct", "GRIT phrases", "Unnatural Instructions", "FLANv2"),
            steps=10_000,
        ),
    ),
    meta=Meta(
        paper="2306.14824",
        year=2023,
        license="MIT",
        family="kosmos",
        row="kosmos-2",
        summary="Says where in the picture its phrases are; reads boxes of phrases as well.",
    ),
)  # fmt: skip
