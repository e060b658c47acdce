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

from anyvlm.system import VLM, Lora
from anyvlm.train.lora import add_lora, lora_tensors
from anyvlm.weights.atomic import atomic_file
from anyvlm.weights.load import dequantised
from anyvlm.weights.readers import open_tensors


def pack(vlm: VLM, path: Path) -> None:
    """Write encoders, connectors and low-rank updates of a trained VLM, atomically."""
    trained = {n: p.detach() for n, p in vlm.named_parameters() if n.startswith(("encoders.", "connectors."))}
    with atomic_file(path) as temporary:
        save_file(quantised(trained | lora_tensors(vlm)), temporary)


def unpack(vlm: VLM, path: Path, lora: Lora) -> None:
    """Take over a packed file, to train on from it; `lora`: how its updates were made. Undoes `pack`, up to rounding."""
    add_lora(vlm, lora)
    places, tensors = dict(vlm.named_parameters()), dequantised(open_tensors(path))
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        if name in places:
            places[name].data.copy_(tensor)
            continue
        shrink = lora.alpha / lora.rank if leaf == "b" else 1.0  # the scale is stored inside b
        places[f"{layer.removeprefix('lora.')}.{leaf}"].data.copy_(tensor / shrink)


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
