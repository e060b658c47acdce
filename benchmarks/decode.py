"""Generate 48 tokens after a prompt of 16, greedily: SmolLM2-135M's shape in bf16, one row and eight."""

from __future__ import annotations

import torch
from _harness import Result, compare, report
from _models import ours_lm, prompt, their_lm

from anyvlm.generate.engine import Engine
from anyvlm.generate.sampling import Sampling
from anyvlm.system import Batch

TOKENS = 48


class Silent:
    """No tokenizer: text costs nothing on either side."""

    def push(self, id: int) -> str:
        return ""

    def finish(self) -> str:
        return ""


def run() -> list[Result]:
    engine, theirs, one = Engine(ours_lm()), their_lm(), prompt(16)
    results = []
    for rows, target in ((1, 1.5), (8, 1.0)):
        ids = one.ids_BT.expand(rows, -1).contiguous()
        zeros = torch.zeros_like(ids)
        batch = Batch(ids, zeros, one.pos_PBT.expand(-1, rows, -1), zeros, {})

        def ours(batch: Batch = batch, rows: int = rows) -> int:
            decoders = [Silent() for _ in range(rows)]
            return len(list(engine.generate(batch, Sampling(max_tokens=TOKENS), decoders=decoders, ends=())))

        @torch.inference_mode()
        def transformers(ids: torch.Tensor = ids) -> None:
            seen = torch.ones_like(ids)
            out = theirs.generate(
                ids, attention_mask=seen, max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False, pad_token_id=0
            )
            assert out.shape[1] == ids.shape[1] + TOKENS

        results.append(
            compare(f"decode, batch {rows}, bf16", ours, transformers, unit="tokens/s", work=rows * TOKENS, at_least=target)
        )
    return results


if __name__ == "__main__":
    report(run())
