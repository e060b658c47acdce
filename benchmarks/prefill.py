"""A prompt of 1,024 tokens into the cache, with the logits of the next one: SmolLM2-135M's shape in bf16."""

from __future__ import annotations

import torch
from _harness import Result, compare, report
from _models import ours_lm, prompt, their_lm

from anyvlm.generate.engine import Engine

TOKENS = 1024


def run() -> list[Result]:
    engine, theirs, batch = Engine(ours_lm()), their_lm(), prompt(TOKENS)

    @torch.inference_mode()
    def transformers() -> None:
        theirs(input_ids=batch.ids_BT, use_cache=True, logits_to_keep=1)

    return [
        compare(
            "prefill, 1,024 tokens, bf16", lambda: engine._prefill(batch, None, 64), transformers, unit="tokens/s",
            work=TOKENS, at_least=1.1, rounds=7,
        )
    ]  # fmt: skip


if __name__ == "__main__":
    report(run())
