"""One layer of 1,024 tokens, a tenth of them a picture's, with weights by kind and without: half of CogVLM's width, bf16."""

from __future__ import annotations

from dataclasses import replace

import torch
from _harness import Result, compare, report

from anyvlm.generate.prepack import prepack
from anyvlm.parts.by_kind import ByKind
from anyvlm.parts.catalog.llama import LLAMA_2_7B
from anyvlm.parts.language import Context
from anyvlm.seq import Kind, causal

TOKENS, PICTURE = 1024, 102
MOST = 1.3  # times the plain layer's cost
PLAIN = LLAMA_2_7B.but(vocab=8, width=2048, heads=16, kv_heads=16, ffn__hidden=5504, depth=1)
COPIES = {
    "CogVLM": ByKind(of=("qkv", "o", "ffn")),
    "EVEv2": ByKind(of=("norms", "qkv", "o", "ffn")),
}


def run() -> list[Result]:
    seq = causal(torch.randn(1, TOKENS, PLAIN.width).bfloat16())
    kind_BT = torch.zeros(1, TOKENS, dtype=torch.long)
    kind_BT[:, 1 : 1 + PICTURE] = Kind.IMAGE
    plain = PLAIN.build().to(torch.bfloat16).eval()
    prepack(plain)
    at = Context(plain.tables(seq.pos_PBT, torch.bfloat16), None, None, None)
    results = []
    for name, by_kind in COPIES.items():
        mine = PLAIN.but(by_kind=by_kind).build().to(torch.bfloat16).eval()
        prepack(mine)

        @torch.inference_mode()
        def ours(mine: torch.nn.Module = mine) -> None:
            mine.run(seq.x_BTD, Context(at.tables, None, None, None, rows=mine.rows(kind_BT)))

        @torch.inference_mode()
        def without() -> None:
            plain.run(seq.x_BTD, at)

        found = compare(
            f"a layer by kind as in {name}, 10 % image tokens, beside the plain one, bf16", ours, without, unit="tokens/s",
            work=TOKENS, at_least=1 / MOST, rounds=9,
        )  # fmt: skip
        results.append(replace(found, value=1 / found.value, target=f"<= {MOST}x"))
    return results


if __name__ == "__main__":
    report(run())
