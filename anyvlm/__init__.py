"""Every vision-language model as a composition of shared parts. Importing this is quick: torch waits until `load`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from anyvlm.generate.dual import DualModel
    from anyvlm.generate.match import MatchModel
    from anyvlm.generate.model import Model
    from anyvlm.generate.vision import VisionModel
    from anyvlm.match import AnySystem

__all__ = ["load", "system", "systems"]


def load(
    name: str | Path, *, device: str | None = None, dtype: str | torch.dtype | None = None, remote: bool = False,
    masks: str | Path | None = None,
) -> Model | VisionModel | MatchModel | DualModel:  # fmt: skip
    """A model ready to be asked: `load("anyvlm-pocket").ask("cat.png", "What is this?")`.

    An encoder alone becomes a `VisionModel`: `load("dinov2-small").encode("cat.png")` gives its rows. A system that scores
    becomes a `MatchModel`: `load("blip-itm-base-coco").match("cat.png", ["a cat", "a dog"])`. A system of
    towers becomes a `DualModel`: `load("clip-vit-b-32").classify("cat.png", ["cat", "dog"])`. (For type checkers:
    `anyvlm.generate.model.load` takes the same and gives a `Model` only.)

    `name`: one of `systems()`, a directory in Hugging Face layout, a GGUF file, a system file (.json), or a hub
    repository "owner/name".
    `device`: "cpu", "cuda", "mps"; `dtype`: "bf16", "fp16", "fp32"; None takes the best there is. `remote`: pictures may
    be web addresses. `masks`: the file that decodes the masks a system writes (PaliGemma: "vae-oid.npz").
    Raises a subclass of `anyvlm.errors.AnyVLMError`, whose text is one sentence for the user.
    """
    from anyvlm.dual import DualSystem
    from anyvlm.errors import InputError
    from anyvlm.generate.device import place
    from anyvlm.generate.dual import DualModel
    from anyvlm.generate.match import MatchModel
    from anyvlm.generate.model import Model
    from anyvlm.generate.vision import VisionModel
    from anyvlm.ground import GroundSystem
    from anyvlm.match import MatchSystem
    from anyvlm.system import VisionSystem
    from anyvlm.weights.load import find

    where, found = place(device, dtype), find(name)
    if isinstance(found, VisionSystem):
        return VisionModel.load(found, where, remote=remote)
    if isinstance(found, MatchSystem):
        return MatchModel.load(found, where, remote=remote)
    if isinstance(found, DualSystem):
        return DualModel.load(found, where, remote=remote)
    if isinstance(found, GroundSystem):
        raise InputError(f"'{found.name}' cannot be asked: its box head comes later; `weights.load.load_module` loads it.")
    return Model.load(found, where, remote=remote, masks=masks)


def system(name: str) -> AnySystem:
    """The description of a named system, to be read, compared or edited with `.but(...)`; nothing is downloaded."""
    from anyvlm.registry import system

    return system(name)


def systems() -> tuple[str, ...]:
    """The names of all systems."""
    from anyvlm.registry import SYSTEMS

    return tuple(SYSTEMS)


class _Front(ModuleType):
    """The package. `anyvlm.system` is a function; the file of that name, once imported, must not hide it."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "system" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Front
