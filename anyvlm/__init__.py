"""Every vision-language model as a composition of shared parts. Importing this is quick: torch waits until `load`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from anyvlm.generate.model import Model
    from anyvlm.system import System, VisionSystem

__all__ = ["load", "system", "systems"]


def load(
    name: str | Path, *, device: str | None = None, dtype: str | torch.dtype | None = None, remote: bool = False
) -> Model:
    """A model ready to be asked: `load("anyvlm-pocket").ask("cat.png", "What is this?")`.

    `name`: one of `systems()`, a directory in Hugging Face layout, a GGUF file, or a hub repository "owner/name".
    `device`: "cpu", "cuda", "mps"; `dtype`: "bf16", "fp16", "fp32"; None takes the best there is. `remote`: pictures may
    be web addresses. Raises a subclass of `anyvlm.errors.AnyVLMError`, whose text is one sentence for the user.
    """
    from anyvlm.generate.model import load

    return load(name, device=device, dtype=dtype, remote=remote)


def system(name: str) -> System | VisionSystem:
    """The description of a named system, to be read, compared or edited with `.but(...)`; nothing is downloaded."""
    from anyvlm.registry import system

    return system(name)


def systems() -> tuple[str, ...]:
    """The names of all systems."""
    from anyvlm.registry import SYSTEMS

    return tuple(SYSTEMS)
