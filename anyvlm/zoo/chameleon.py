"""Chameleon (2405.09818): one transformer over words of text and words of pictures, trained on both from the start.

Numbers: the paper, sections 2 and 3; the config.json of facebook/chameleon-{7b,30b}; facebookresearch/chameleon for painting.
"""

from __future__ import annotations

from anyvlm.inputs.formats import CHAMELEON
from anyvlm.inputs.painting import Painting
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.chameleon import CHAMELEON_HF, CHAMELEON_LM_7B, CHAMELEON_LM_34B
from anyvlm.parts.catalog.vqgan import CHAMELEON_VQGAN
from anyvlm.parts.code.tables import SharedTables
from anyvlm.parts.connect.vocabulary import Vocabulary
from anyvlm.parts.lm import Decoder
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(
    # as the authors; transformers' processor rounds down, and multiplies by 0.0078, which makes white 0.989
    policy=ImagePolicy(
        size=(512, 512), fit="crop", nearest=True, resample="lanczos", rescale=2 / 255, mean=(1.0,) * 3, std=(1.0,) * 3
    ),
    encoder=CHAMELEON_VQGAN.but(draws=False),  # the published files hold the half that reads
    connector=Vocabulary(words=4),
)
PAINTING = Painting(
    tables=SharedTables(), size=(512, 512), template=CHAMELEON, begin="<racm3:break>", end="<eoss>",
    guidance=3.0, temperature=0.7, top_p=0.9,
)  # fmt: skip
FIRST = Stage(
    name="first", train=("lm.*",), data=("text 2.9T", "text-image 1.4B pairs, 1.5T", "interleaved 400B"), lr=1e-4,
    weight_decay=0.1, context=4096,
    note="80 % of the training; AdamW 0.9, 0.95, eps 1e-5, clip 1.0; z-loss 1e-5; dropout 0.1 in 7B",
)  # fmt: skip
SECOND = FIRST.but(
    name="second", data=("first, half as much", "instructions, filtered image-text"), note="20 % of the training"
)
TUNE = Stage(
    name="tune", train=("lm.*",), data=("text", "code", "visual chat", "image generation", "interleaved", "safety"), lr=1e-5,
    batch=128, weight_decay=0.1, context=4096, note="cosine; answers supervised; dropout 0.05; z-loss",
)  # fmt: skip


def _chameleon(name: str, repo: str, lm: Decoder) -> System:
    source = Hub(repo=f"facebook/{repo}")
    return System(
        name=name,
        lm=lm,
        streams={"image": EYE},
        template=CHAMELEON,
        painting=PAINTING,
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=(CHAMELEON_HF,)),),
        stages=(FIRST, SECOND, TUNE),
        meta=Meta(
            paper="2405.09818", year=2024, license="Chameleon research", family="chameleon", row="chameleon",
            summary="Pictures are words: 1,024 of one vocabulary, read and written by one transformer.",
        ),
    )  # fmt: skip


CHAMELEON_7B = _chameleon("chameleon-7b", "chameleon-7b", CHAMELEON_LM_7B)
CHAMELEON_34B = _chameleon("chameleon-34b", "chameleon-30b", CHAMELEON_LM_34B)
