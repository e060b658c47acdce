"""Two of eight experts for every row against all eight for every row: one layer of Aria's widths, bf16, packed on both sides.

All eight cost 8, two should cost 2; the target leaves 0.6 for the router, for bringing rows to their experts and back, and
for products of fewer rows.
"""

from __future__ import annotations

import torch
from _harness import Result, compare, report
from torch import Tensor

from anyvlm.generate.prepack import prepack
from anyvlm.parts.catalog.aria import ARIA_LM
from anyvlm.parts.ffn import GLU
from anyvlm.parts.moe import MoE, MoEModule

EXPERTS, TOP = 8, 2


def layer() -> MoEModule:
    """The experts as `anyvlm.load` leaves them on this machine."""
    torch.manual_seed(0)
    module = MoE(expert=GLU(hidden=1664), experts=EXPERTS, top=TOP).build(ARIA_LM.width).to(torch.bfloat16).eval()
    assert isinstance(module, MoEModule)
    prepack(module)
    return module


def run() -> list[Result]:
    moe, results = layer(), []
    for rows in (4096, 512):
        x_ND = torch.randn(rows, ARIA_LM.width, dtype=torch.bfloat16)

        @torch.inference_mode()
        def ours(x_ND: Tensor = x_ND) -> Tensor:
            return moe(x_ND)

        @torch.inference_mode()
        def every(x_ND: Tensor = x_ND) -> Tensor:
            """Every expert on every row, weighted: what computing and selecting does."""
            weight_NK, expert_NK = moe.choose(x_ND)
            weight_NE = torch.zeros(len(x_ND), EXPERTS, dtype=x_ND.dtype).scatter_(1, expert_NK, weight_NK)
            out = torch.zeros_like(x_ND)
            for expert in range(EXPERTS):
                counts_E = torch.zeros(EXPERTS, dtype=torch.long)
                counts_E[expert] = len(x_ND)
                out.addcmul_(moe.experts(x_ND, counts_E), weight_NE[:, expert, None])
            return out

        torch.testing.assert_close(ours(), every(), atol=0.05, rtol=0.05)
        name = f"experts, {TOP} of {EXPERTS} against all, {rows} rows, bf16"
        results.append(compare(name, ours, every, unit="rows/s", work=rows, at_least=EXPERTS / 2.6))
    return results


if __name__ == "__main__":
    report(run())
