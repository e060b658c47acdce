"""RedPajama-INCITE 3B (together.ai/blog/redpajama-models-v1): GPT-NeoX blocks one after the other, not parallel."""

from __future__ import annotations

from anyvlm.inputs.formats import NEOX
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.neox import NEOX_HF, REDPAJAMA_3B
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub


def _redpajama(name: str, repo: Hub, summary: str) -> System:
    return System(
        name=name,
        lm=REDPAJAMA_3B,
        streams={},
        template=NEOX,
        tokenizer=repo,
        checkpoints=(Checkpoint(source=repo, layouts=(lm_hf(NEOX_HF),)),),
        meta=Meta(
            paper="https://www.together.ai/blog/redpajama-models-v1", year=2023, license="Apache-2.0", family="gpt-neox",
            row="", summary=summary,
        ),
    )  # fmt: skip


REDPAJAMA_BASE_3B = _redpajama(
    "redpajama-incite-base-3b", Hub(repo="togethercomputer/RedPajama-INCITE-Base-3B-v1"), "A base model."
)
REDPAJAMA_INSTRUCT_3B = _redpajama(
    "redpajama-incite-instruct-3b", Hub(repo="togethercomputer/RedPajama-INCITE-Instruct-3B-v1"),
    "Tuned for few-shot prompts, which have no format of their own.",
)  # fmt: skip
