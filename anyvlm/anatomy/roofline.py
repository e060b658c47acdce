"""How fast a device could be at best: it can neither read faster than its memory nor compute faster than its units.

No overhead, no waiting, one conversation alone, everything read once: real programs stay below.
"""

from __future__ import annotations

from dataclasses import dataclass

from anyvlm.anatomy.bill import Bill
from anyvlm.anatomy.devices import Device
from anyvlm.errors import InputError


@dataclass(frozen=True)
class Floor:
    """Seconds that reading takes and seconds that computing takes; both go on at once, so the longer counts."""

    reading: float
    computing: float

    @property
    def seconds(self) -> float:
        """The longer."""
        return max(self.reading, self.computing)

    @property
    def bound(self) -> str:
        """What it waits for."""
        return "memory" if self.reading > self.computing else "compute"


def first_token(bill: Bill, device: Device, dtype: str) -> Floor:
    """Up to the first token of an answer (of towers: to the points): pictures, prompt, all weights read once.

    Weights of the language model and its products are of `dtype`; encoders, connectors and towers are computed in bf16.
    """
    read = _bytes(bill.weights, dtype)
    rate = device.rate(dtype if read < bill.weights["bf16"] else "bf16")
    computing = (bill.encoder + bill.connector) / device.rate("bf16") + bill.prefill / rate
    return Floor(read / device.bandwidth, computing)


def next_token(bill: Bill, device: Device, dtype: str) -> Floor:
    """One token more at `bill.context`: the weights that it meets, and the cache in bf16."""
    read = _bytes(bill.read, dtype) + bill.cache["bf16"]
    return Floor(read / device.bandwidth, bill.decode / device.rate(dtype))


def first_token_seconds(bill: Bill, device: Device, dtype: str) -> float:
    """Of `first_token`."""
    return first_token(bill, device, dtype).seconds


def tokens_per_second(bill: Bill, device: Device, dtype: str) -> float:
    """By `next_token`; 0 for systems that write nothing."""
    return 1 / next_token(bill, device, dtype).seconds if bill.decode else 0.0


def _bytes(weights: dict[str, int], dtype: str) -> int:
    if dtype not in weights:
        raise InputError(f"There is no dtype '{dtype}' here; take {', '.join(weights)}.")
    return weights[dtype]
