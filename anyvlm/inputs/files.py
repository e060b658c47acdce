"""The small JSON files beside a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from anyvlm.errors import WeightsError


def read_json(path: Path) -> dict[str, object]:
    """The object in a JSON file, {} if there is no file; WeightsError if it is damaged."""
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise WeightsError(f"{path} is damaged: it is not JSON; fetch it again.") from None
    if not isinstance(data, dict):
        raise WeightsError(f"{path} is damaged: it does not hold an object; fetch it again.")
    return data
