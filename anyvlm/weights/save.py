"""A loaded system -> a directory: our own form, which holds everything, or the layout of the reference.

Both appear whole or not at all (`weights.atomic`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.keys import Layout, revert
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.spec import Json, to_json
from anyvlm.system import System
from anyvlm.weights.atomic import atomic_directory
from anyvlm.weights.config_export import export_config
from anyvlm.weights.load import Loaded
from anyvlm.weights.writers import write_tensors


def save(loaded: Loaded, directory: str | Path) -> None:
    """Write weights (in our names), spec with preprocessing and template, tokenizer and a model card.

    The directory loads anywhere, without a network. An older one is replaced; any other that is not empty is refused.
    """
    with atomic_directory(Path(directory), marker="spec.json") as folder:
        write_tensors(folder, tensors(loaded))
        _write_json(folder / "spec.json", to_json(loaded.system))
        if loaded.tokenizer is not None:
            loaded.tokenizer.save(folder)
        (folder / "README.md").write_text(card(loaded.system), encoding="utf-8")


def export(loaded: Loaded, directory: str | Path, layout: str = "hf") -> None:
    """Write the layout of that name with its config, preprocessor and tokenizer, as the reference reads it.

    Tensors are byte-equal to those of a checkpoint in that layout. Raises SpecError for a layout the system does not have.
    """
    system, chosen = loaded.system, layout_named(loaded.system, layout)
    files = export_config(system, chosen, loaded.tokenizer, next(iter(loaded.module.parameters())).dtype)
    with atomic_directory(Path(directory), marker="config.json") as folder:
        write_tensors(folder, dict(revert(tensors(loaded), chosen, system.part)))
        if loaded.tokenizer is not None:
            loaded.tokenizer.save(folder)
        for name, content in files.items():
            _write_json(folder / name, content)


def tensors(loaded: Loaded) -> dict[str, Tensor]:
    """All weights by our names, a tied one once."""
    state: Mapping[str, Tensor] = loaded.module.state_dict()
    if isinstance(loaded.system, MatchSystem):  # its captioner shares modules with its text tower
        own = {name for name, _ in _bare(loaded.system).named_parameters()}
        return {name: tensor for name, tensor in state.items() if name in own}
    tied = isinstance(loaded.system, System) and loaded.system.lm.tied
    return {name: tensor for name, tensor in state.items() if not (tied and name == "lm.head.weight")}


def _bare(system: MatchSystem) -> nn.Module:
    """The module without weights."""
    with torch.device("meta"):
        return system.build()


def card(system: AnySystem) -> str:
    """The model card of a saved directory."""
    meta = system.meta
    lines = [
        f"# {system.name}",
        "",
        meta.summary,
        "",
        f"- licence: {meta.license}",
        *([f"- paper: {meta.paper} ({meta.year})"] if meta.paper else []),
        *(f"- weights: {_origin(to_json(checkpoint.source))}" for checkpoint in system.checkpoints),
        "",
        "Written by anyvlm. `anyvlm.load` takes this directory; `spec.json` says everything that reproduces the model.",
    ]
    return "\n".join(lines) + "\n"


def _origin(source: Json) -> str:
    return " ".join(str(source[key]) for key in ("repo", "package", "version", "path", "file") if key in source)


def layout_named(system: AnySystem, name: str) -> Layout:
    """The layout of that name among those of the system's checkpoints that hold all of it. Raises SpecError for none."""
    parts = {""}
    if isinstance(system, System):
        parts = {"lm."} | {f"{kind}.{stream}." for kind in ("encoders", "connectors") for stream in system.streams}
    layouts = {
        layout.name: layout
        for checkpoint in reversed(system.checkpoints)
        for layout in checkpoint.layouts
        if parts <= {mount.ours for mount in layout.mounts}
    }
    if name not in layouts:
        known = ", ".join(sorted(layouts)) or "none"
        raise SpecError(f"'{system.name}' has no layout '{name}' to be exported in; it has: {known}.")
    return layouts[name]


def _write_json(path: Path, data: Json) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
