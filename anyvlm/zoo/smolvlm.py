"""SmolVLM and SmolVLM2 (2504.05299): Idefics3 with small parts, 9 or 16 rows folded into one; the second sees videos.

Preprocessing: 4 tiles along the longer edge, as the model cards say (384 pixels for 2.2B, 512 for the others). The 2.2B
model names tiles by ordinary text, as Idefics3; the others learned a token for every place, which the paper finds better for
small models, and so do all of SmolVLM2. Their vocabularies are padded to 49,280. A frame of a video is one tile; how many
are seen is `video_sampling` in the published preprocessor_config.json.
"""

from __future__ import annotations

from anyvlm.inputs.film import Film, Narrated, Skimmed
from anyvlm.inputs.markup import Places
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.templates import SMOLVLM
from anyvlm.parts.catalog.clip import SIGLIP_B_16_512, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.idefics3 import IDEFICS3_HF
from anyvlm.parts.catalog.llama import SMOLLM2_1_7B, SMOLLM2_135M, SMOLLM2_360M
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub
from anyvlm.zoo import idefics3

LARGE = idefics3.EYE.but(
    policy=Mosaic(one=idefics3.TILE.but(size=(384, 384)), longest=4 * 384), encoder=SIGLIP_SO400M_14_384, connector__r=3
)
SMALL = LARGE.but(
    policy=Mosaic(one=idefics3.TILE.but(size=(512, 512)), longest=4 * 512), encoder=SIGLIP_B_16_512, connector__r=4,
    markup=Places(),
)  # fmt: skip
SKIM = Skimmed(fps=1.0, most=64, skip=1.0)
SMALL_2, LARGE_2 = (
    eye.but(film=Film(sampler=SKIM, policy=eye.policy.but(longest=tile), script=Narrated()), markup=Places())
    for eye, tile in ((SMALL, 512), (LARGE, 384))
)


def _smol(name: str, repo: str, lm: Decoder, eye: Stream) -> System:
    files = Hub(repo=repo)
    return System(
        name=name,
        lm=lm,
        streams={"image": eye},
        template=SMOLVLM,
        tokenizer=files,
        checkpoints=(Checkpoint(source=files, layouts=(IDEFICS3_HF,)),),
        stages=(
            Stage(
                name="tune", train=("encoders.*", "connectors.*", "lm.*"), data=("The Cauldron", "Docmatix"),
                note="the paper gives the mixture's shares, no rate and no length",
            ),
        ),
        meta=Meta(
            paper="2504.05299", year=2025, license="Apache-2.0", family="idefics3", row="smolvlm",
            summary="SmolLM2 that sees tiles and the whole picture, few rows for each.",
        ),
    )  # fmt: skip


SMOLVLM_256M = _smol(
    "smolvlm-256m", "HuggingFaceTB/SmolVLM-256M-Instruct", SMOLLM2_135M.but(vocab=49280, tied=False), SMALL
)
SMOLVLM_500M = _smol(
    "smolvlm-500m", "HuggingFaceTB/SmolVLM-500M-Instruct", SMOLLM2_360M.but(vocab=49280, tied=False), SMALL
)
SMOLVLM_2_2B = _smol(
    "smolvlm-2.2b",
    "HuggingFaceTB/SmolVLM-Instruct",
    SMOLLM2_1_7B.but(vocab=49155, tied=False, context=16384, rope__theta=273_768.0),
    LARGE,
)

VIDEO = Stage(
    name="video", train=("encoders.*", "connectors.*", "lm.*"),
    data=("34 % images", "33 % videos", "20 % text", "12 % several images"), note="from SmolVLM; shares of the model cards",
)  # fmt: skip


def _smol_2(name: str, repo: str, first: System, eye: Stream) -> System:
    files = Hub(repo=repo)
    return first.but(
        name=name, tokenizer=files, streams={"image": eye}, stages=(*first.stages, VIDEO),
        checkpoints=(Checkpoint(source=files, layouts=(IDEFICS3_HF,)),),
        meta__summary="SmolVLM that also watches videos, a frame a second, each behind its time.",
    )  # fmt: skip


SMOLVLM2_256M = _smol_2("smolvlm2-256m", "HuggingFaceTB/SmolVLM2-256M-Video-Instruct", SMOLVLM_256M, SMALL_2)
SMOLVLM2_500M = _smol_2("smolvlm2-500m", "HuggingFaceTB/SmolVLM2-500M-Video-Instruct", SMOLVLM_500M, SMALL_2)
SMOLVLM2_2_2B = _smol_2("smolvlm2-2.2b", "HuggingFaceTB/SmolVLM2-2.2B-Instruct", SMOLVLM_2_2B, LARGE_2).but(
    lm__vocab=49280, lm__context=8192, lm__rope__theta=130_000.0
)
