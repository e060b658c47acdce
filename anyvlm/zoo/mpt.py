"""MPT (mosaicml.com/blog/mpt-7b): decoders with ALiBi and without a single bias."""

from __future__ import annotations

from anyvlm.inputs.formats import NEOX
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.mpt import MOSAIC_GPT, MPT_1B, MPT_7B, MPT_HF
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

MPT_7B_BASE = System(
    name="mpt-7b",
    lm=MPT_7B,
    streams={},
    template=NEOX,
    tokenizer=Hub(repo="mosaicml/mpt-7b"),
    checkpoints=(Checkpoint(source=Hub(repo="mosaicml/mpt-7b"), layouts=(lm_hf(MPT_HF),)),),
    meta=Meta(paper="https://www.mosaicml.com/blog/mpt-7b", year=2023, license="Apache-2.0", family="mpt", row="",
              summary="MPT-7B, a base model."),
)  # fmt: skip
MPT_1B_REDPAJAMA = MPT_7B_BASE.but(
    name="mpt-1b-redpajama-200b",
    lm=MPT_1B,
    tokenizer=Hub(repo="EleutherAI/gpt-neox-20b"),
    checkpoints=(Checkpoint(source=Hub(repo="mosaicml/mpt-1b-redpajama-200b"), layouts=(lm_hf(MOSAIC_GPT),)),),
    meta__summary="MosaicGPT of 1.3 B parameters, a base model; its repository names the tokenizer of GPT-NeoX.",
)
MPT_1B_REDPAJAMA_DOLLY = MPT_1B_REDPAJAMA.but(
    name="mpt-1b-redpajama-200b-dolly",
    checkpoints=(Checkpoint(source=Hub(repo="mosaicml/mpt-1b-redpajama-200b-dolly"), layouts=(lm_hf(MOSAIC_GPT),)),),
    meta__license="CC-BY-SA-3.0",
    meta__summary="mpt-1b-redpajama-200b, tuned on Dolly; asked here without its frame of instruction and response.",
)
