"""The small file that ships: what training changed, with matrices as int8.

A matrix `w` is stored as `w.q` (int8) and `w.scale` (fp32, one per row), a vector as fp16; low-rank updates as
`lora.<layer>.a` and `.b`, which loading adds to the language model's weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm.system import VLM
from anyvlm.train.lora import lora_tensors
from anyvlm.weights.atomic import atomic_file


def pack(vlm: VLM, path: Path) -> None:
    """Write encoders, connectors and low-rank updates of a trained VLM, atomically."""
    trained = {n: p.detach() for n, p in vlm.named_parameters() if n.startswith(("encoders.", "connectors."))}
    with atomic_file(path) as temporary:
        save_file(quantised(trained | lora_tensors(vlm)), temporary)


def quantised(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with one scale per row (largest value 127), all else as fp16."""
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            out[name] = tensor.to(torch.float16)
            continue
        rows = tensor.float()
        scale = rows.abs().amax(1).clamp_min(1e-12) / 127
        out[f"{name}.q"] = (rows / scale[:, None]).round().to(torch.int8)
        out[f"{name}.scale"] = scale
    return out
