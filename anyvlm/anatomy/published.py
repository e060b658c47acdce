"""Parameters as papers and model cards count them beside ours, and why they differ."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import resources

from anyvlm import registry
from anyvlm.anatomy.parameters import parameters
from anyvlm.errors import SpecError

_UNITS = {"M": 10**6, "B": 10**9}


@dataclass(frozen=True)
class Published:
    """`ours`: parameters of the system, or of its `part`; `theirs` as it is written, `why` they differ beyond rounding."""

    name: str
    part: str
    ours: int
    theirs: str
    why: str

    @property
    def count(self) -> float:
        """Theirs as a number."""
        return sum(value for value, _ in _values(self.theirs))

    @property
    def rounding(self) -> float:
        """How far theirs may be off for being rounded."""
        return sum(half for _, half in _values(self.theirs))

    @property
    def agrees(self) -> bool:
        """Up to rounding."""
        return abs(self.ours - self.count) <= self.rounding


def published(names: Collection[str] | None = None) -> tuple[Published, ...]:
    """All systems, or these, whose size their authors tell."""
    return tuple(_rows(names))


def _rows(names: Collection[str] | None) -> Iterator[Published]:
    text = resources.files("anyvlm.anatomy").joinpath("published.toml").read_text("utf-8")
    for entry in tomllib.loads(text)["count"]:
        for name in entry["names"]:
            if names is None or name in names:
                part = entry.get("part", "")
                yield Published(name, part, _ours(name, part), entry["theirs"], entry.get("why", ""))


def _ours(name: str, part: str) -> int:
    tree = parameters(registry.system(name))
    found = tree.find(part) if part else tree
    if found is None:
        raise SpecError(f"published.toml counts the part '{part}' of '{name}', which has none.")
    return found.count


def _values(text: str) -> Iterator[tuple[float, float]]:
    """Of a sum, every value and half of the unit it is rounded to: zeros before a point are not taken for digits."""
    for term in text.split("+"):
        found = re.fullmatch(r"(\d+)(?:\.(\d+))?([MB])", term.strip())
        if found is None:
            raise SpecError(f"published.toml: '{text}' is no count like 7B, 151.3M or 86.3M + 63.4M.")
        whole, after, unit = found.groups()
        zeros = 0 if after else len(whole) - len(whole.rstrip("0"))
        yield float(f"{whole}.{after or 0}") * _UNITS[unit], 0.5 * 10.0 ** (zeros - len(after or "")) * _UNITS[unit]
