"""A system by the word of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyvlm.match import AnySystem


def find(name: str) -> AnySystem:
    """Of a name, a directory, a GGUF file or a hub repository; what reads files is imported only for the last three."""
    from anyvlm.registry import SYSTEMS, system

    if name in SYSTEMS:
        return system(name)
    from anyvlm.weights.load import find

    return find(name)
