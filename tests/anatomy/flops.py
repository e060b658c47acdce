"""FLOPs as torch counts them, attention on a CPU included, which its counter leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count


def _attention(q: Sequence[int], k: Sequence[int], v: Sequence[int], *_: object, **__: object) -> int:
    return sdpa_flop_count(q, k, v)


OWN = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


def flops(run: Callable[[], object]) -> int:
    """Those of one call."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=OWN) as counter:
        run()
    return counter.get_total_flops()
