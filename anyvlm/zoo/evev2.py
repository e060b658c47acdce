"""EVEv2 (2502.06788): no encoder; every weight of Qwen2.5's layers has a twin for the patches of a picture.

Numbers: baaivision/EVE cc63ec7 EVEv2/README.md, scripts/eve, openai/eve-anyratio-res1600-patch16.
"""

from __future__ import annotations

from anyvlm.inputs.scaled import Scaled
from anyvlm.inputs.templates import EVE_V2
from anyvlm.parts.catalog.eve import EVE_V2_7B, EVE_V2_HF
from anyvlm.parts.connect.frame import Ruled
from anyvlm.parts.connect.stem import Stem
from anyvlm.parts.vision.patches import Patches
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

_PATCHES, _VISION = ("connectors.*", "joins.*"), ("connectors.*", "joins.*", "lm.blocks.*.image.*")
_ONE = Stage(name="prealign", train=_PATCHES, data=("EVE-recap-10M",), lr=2e-4, batch=1024, epochs=1, context=2048)
STAGES = (
    _ONE.but(note="pictures at 800; then the weights of text are copied to those of pictures"),
    _ONE.but(name="perceive", train=_VISION, data=("EVE-recap-29M",), lr=1e-4, note="pictures at 800"),
    _ONE.but(name="perceive-hd", train=_VISION, data=("EVE-recap-48M",), lr=5e-5, context=4096),
    _ONE.but(name="align", train=("*",), data=("EVE-multi-task-15M",), lr=2e-5, batch=512, context=4096),
    _ONE.but(name="tune", train=("*",), data=("EVE-sft-7M",), lr=1e-5, batch=512, context=5000),
)

EVEV2_7B = System(
    name="evev2-7b",
    lm=EVE_V2_7B,
    streams={
        "image": Stream(
            policy=Scaled(side=1600, multiple=32),
            encoder=Patches(patch=16),
            connector=Stem(hidden=1024),
            join=Ruled(),
        )
    },
    template=EVE_V2,
    tokenizer=Hub(repo="BAAI/EVE-7B-HD-v2.0"),
    checkpoints=(Checkpoint(source=Hub(repo="BAAI/EVE-7B-HD-v2.0"), layouts=(EVE_V2_HF,)),),
    stages=STAGES,
    meta=Meta(
        paper="2502.06788",
        year=2025,
        license="Apache-2.0",
        family="encoder-free",
        row="evev2",
        summary="Pictures of any proportions as patches, read by weights of their own in every layer of Qwen2.5.",
    ),
)
