"""Where and in which number format a model runs: chosen by what the device can do, unless the user says."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from anyvlm.errors import InputError
from anyvlm.system import Batch

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Place:
    """A device and the dtype of the weights there."""

    device: torch.device
    dtype: torch.dtype


def place(device: str | None = None, dtype: str | torch.dtype | None = None) -> Place:
    """`device`: "cpu", "cuda", "cuda:1", "mps" or None (the fastest there is); `dtype`: "bf16", "fp16", "fp32" or None.

    Raises InputError for a name that is not known, a device that is not there or a dtype it cannot compute in.
    """
    where = torch.device(_fastest()) if device is None else _device(device)
    if dtype is None or dtype == "auto":
        return Place(where, best_dtype(where))
    what = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if what is None or what not in DTYPES.values():
        raise InputError(f"The dtype {dtype!r} is not known; use {', '.join(DTYPES)} or auto.")
    if what == torch.float16 and where.type == "cpu":
        raise InputError("A CPU does not compute well in fp16; use bf16 or fp32.")
    return Place(where, what)


def best_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the hardware multiplies it, else fp16 on a GPU and fp32 on a CPU, where emulated bf16 is slower."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "mps":
        return torch.float16
    return torch.bfloat16 if _cpu_multiplies_bf16() else torch.float32


def _cpu_multiplies_bf16() -> bool:
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def _fastest() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"The device '{name}' is not known; use cpu, cuda, cuda:1 or mps.") from None
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= there:
        raise InputError(f"There is no device '{name}' on this machine; leave it out to take the fastest there is.")
    return device


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device."""
    return replace(
        batch,
        ids_BT=batch.ids_BT.to(device),
        kind_BT=batch.kind_BT.to(device),
        pos_PBT=batch.pos_PBT.to(device),
        seg_BT=batch.seg_BT.to(device),
        prefix_BT=None if batch.prefix_BT is None else batch.prefix_BT.to(device),
        media={name: replace(pixels, x_NC=pixels.x_NC.to(device)) for name, pixels in batch.media.items()},
    )
