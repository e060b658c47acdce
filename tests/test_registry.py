"""Names lead to systems, without torch until one is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anyvlm import registry
from anyvlm.dual import DualSystem
from anyvlm.errors import SpecError
from anyvlm.ground import GroundSystem
from anyvlm.match import MatchSystem
from anyvlm.system import System, VisionSystem

REQUIRED = (
    "llava llava-13b llava-1.5-7b llava-1.5-13b llava-med firellava-13b bakllava-7b sharegpt4v-7b llava-pp-llama3-8b "
    "llava-pp-phi3-mini som-llava yi-vl-6b yi-vl-34b maya palo-7b palo-13b anyvlm-pocket smollm2-135m-instruct"
)


def test_the_promised_names() -> None:
    assert set(REQUIRED.split()) <= registry.SYSTEMS.keys()


@pytest.mark.parametrize("name", registry.SYSTEMS)
def test_entries_say_who_made_them(name: str) -> None:
    system = registry.system(name)
    assert isinstance(system, (System, VisionSystem, MatchSystem, DualSystem, GroundSystem)) and system.name == name
    assert system.meta.license and system.meta.paper and system.meta.year > 2020 and system.meta.summary


def test_near_names() -> None:
    with pytest.raises(SpecError, match=r"There is no system 'llava-1\.5-7'; the nearest are llava-1\.5-7b, "):
        registry.system("llava-1.5-7")
    with pytest.raises(SpecError, match="nearest are"):
        registry.system("")


def test_the_registry_itself_needs_no_torch() -> None:
    code = "import sys, anyvlm.registry; assert 'torch' not in sys.modules and 'anyvlm.zoo' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
