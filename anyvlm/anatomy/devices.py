"""Devices that models run on: memory, bandwidth and rates as their makers publish them; a file of one's own adds to them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from anyvlm.errors import InputError

DTYPES = ("bf16", "int8", "int4")
"""Of weights, the widest first."""
_NUMBERS = ("memory", "bandwidth")
_OWN = "ANYVLM_DEVICES"


@dataclass(frozen=True)
class Device:
    """memory: bytes; bandwidth: bytes a second; rates: operations a second by dtype, two for every multiply-add."""

    name: str
    memory: float
    bandwidth: float
    rates: Mapping[str, float]

    def rate(self, dtype: str) -> float:
        """How fast it multiplies matrices of this dtype, or of the next wider one that it knows. Raises InputError."""
        if dtype not in DTYPES:
            raise InputError(f"There is no dtype '{dtype}' here; take {', '.join(DTYPES)}.")
        wider = DTYPES[DTYPES.index(dtype) :: -1]
        return next(self.rates[each] for each in wider if each in self.rates)


def device(name: str) -> Device:
    """The device of a name. Raises InputError with all names for one that is not known."""
    known = devices()
    if name.lower() not in known:
        raise InputError(
            f"There is no device '{name}' in the table; take one of {', '.join(known)}, or describe it in a file that "
            f"{_OWN} names."
        )
    return known[name.lower()]


def devices() -> dict[str, Device]:
    """All of them, those of one's own file among them: named by ANYVLM_DEVICES, or ~/.config/anyvlm/devices.toml.

    Raises InputError for a file that is not there, is no TOML or lacks a number.
    """
    tables = tomllib.loads(resources.files("anyvlm.anatomy").joinpath("devices.toml").read_text("utf-8"))
    where = "anyvlm/anatomy/devices.toml"
    named = os.environ.get(_OWN)
    own = Path(named).expanduser() if named else Path.home() / ".config/anyvlm/devices.toml"
    if named or own.is_file():
        where = str(own)
        for name, table in _read(own).items():
            if not isinstance(table, dict):
                raise InputError(f"{where}: '{name}' is no table; write [NAME] and below it memory, bandwidth and rates.")
            tables[name.lower()] = {**tables.get(name.lower(), {}), **table}
    return {name: _device(name, table, where) for name, table in tables.items()}


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"The table of devices {path} cannot be read: {error}. Mend it, or unset {_OWN}.") from None


def _device(name: str, table: Mapping[str, object], where: str) -> Device:
    rates = table.get("rates")
    numbers = [table.get(field) for field in _NUMBERS]
    numbers += list(rates.values()) if isinstance(rates, dict) else [None]
    fields = table.keys() <= {*_NUMBERS, "rates"} and isinstance(rates, dict) and {"bf16"} <= rates.keys() <= set(DTYPES)
    if not fields or not all(isinstance(each, int | float) and each > 0 for each in numbers):
        raise InputError(
            f"{where}: the device '{name}' needs memory and bandwidth, numbers above 0, and rates for bf16 and perhaps int8 "
            "and int4, as in rates = { bf16 = 312e12 }; nothing else."
        )
    assert isinstance(rates, dict)
    memory, bandwidth = (float(str(table[field])) for field in _NUMBERS)
    return Device(name, memory, bandwidth, {dtype: float(rate) for dtype, rate in rates.items()})
