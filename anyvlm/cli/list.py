"""`anyvlm list`: every system by name, with what its tests have shown."""

from __future__ import annotations

from anyvlm.cli._options import Json


def list_systems(json: Json = False) -> None:
    """List every system and what its tests have shown.

    Example: anyvlm list --json
    """
    from anyvlm.registry import SYSTEMS

    for name in SYSTEMS:
        print(name)
