"""A system as one JSON file, made by `anyvlm remix` or by hand: its whole spec, which names where its weights come from."""

from __future__ import annotations

import json
from pathlib import Path

from anyvlm.dual import DualSystem
from anyvlm.errors import SpecError, WeightsError
from anyvlm.ground import GroundSystem
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.spec import from_json, to_json
from anyvlm.system import System, VisionSystem
from anyvlm.weights.atomic import atomic_file

SUFFIX = ".json"
"""What tells such a file from one of weights."""


def read_system(path: Path) -> AnySystem:
    """The system in a file. Raises WeightsError for a file that cannot be read, SpecError for one that is no system."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"Could not read {path}: {(error.strerror or str(error)).lower()}.") from error
    except ValueError as error:
        raise SpecError(f"{path} is not JSON ({error}); make it with `anyvlm remix`, or give a model's directory.") from None
    system = from_json(data, str(path))
    if not isinstance(system, (System, VisionSystem, MatchSystem, DualSystem, GroundSystem)):
        raise SpecError(f"{path} describes a {type(system).__name__}, not a system.")
    return system


def write_system(system: AnySystem, path: str | Path) -> None:
    """Write the file, whole or not at all. Raises SpecError for a name that would not be read as one, WeightsError."""
    path = Path(path).expanduser()
    if path.suffix != SUFFIX:
        raise SpecError(f"A system file's name ends in {SUFFIX}; write {path.name}.system.json instead of {path.name}.")
    with atomic_file(path) as target:
        target.write_text(json.dumps(to_json(system), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
