"""The mechanisms of CONTRIBUTING.md's table, and which systems are said with them: found by looking for the same spec."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path

from anyvlm import registry
from anyvlm.match import AnySystem
from anyvlm.spec import Spec

_TABLE = Path(__file__).parents[1] / "CONTRIBUTING.md"

# What a test must show of each, by the first class or field that says it.
INVARIANTS = {
    "GatedCross": "With its gate at 0 the language model answers as if it had no inserts.",
    "ByKind": "Answers to text alone do not move.",
    "MoE": "With one expert it is a dense layer.",
    "GShard": "With one expert it is a dense layer.",
    "Patches": "Putting a ViT in its place changes one field.",
    "Native": "Two pictures packed together give what they give apart.",
    "AnyRes": "The layout of tiles can be read back from the tokens.",
    "Canvas": "The layout of tiles can be read back from the canvas.",
    "T5": "The prompt sees itself whole, the answer only what stands before.",
    "VQGAN": "No incomplete picture can be written.",
    "OwnTables": "No incomplete picture can be written.",
    "DualSystem": "Loss and gradient equal two lines of arithmetic.",
    "Conditioned": "Loss and gradient equal those of the authors' code.",
    "Phrases": "From pixels to text and back within one step of the grid.",
    "Film": "A picture costs what it costs without the film.",
}


@dataclass(frozen=True)
class Mechanism:
    """One row of the table: what it is, the code that says it, files of the zoo to read."""

    title: str
    said: str
    files: tuple[str, ...]

    @property
    def slug(self) -> str:
        """For its address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")[:60].strip("-")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the specs it is said with."""
        return tuple(dict.fromkeys(re.findall(r"\b([A-Z]\w+)(?=\(|`)", self.said)))

    @property
    def invariant(self) -> str:
        """What a test must show, "" where nothing is written."""
        return next((INVARIANTS[name] for name in self.classes if name in INVARIANTS), "")

    def found(self, systems: Iterable[AnySystem]) -> list[AnySystem]:
        """The systems that are said with it; those of its files, if the code has nothing to look for."""
        codes = re.findall(r"`([^`]+)`", self.said)
        fields_ = [code.partition("=")[0] for code in codes]
        some = any if "(or " in self.said or len(set(fields_)) < len(fields_) else all
        hits = [system for system in systems if some(_has(system, code) for code in codes)]
        return hits or [system for system in systems if _file(system.name) in self.files]


@cache
def mechanisms() -> tuple[Mechanism, ...]:
    """All of them, in the order of the table."""
    lines = _TABLE.read_text(encoding="utf-8").partition("| mechanism | said by |")[2].splitlines()[2:]
    out = []
    for line in lines:
        if not line.startswith("|"):
            break
        title, said, see = (cell.strip() for cell in line.strip("|").split(" | "))
        out.append(Mechanism(title, said, tuple(re.findall(r"`(\w+)\.py`", see))))
    return tuple(out)


def _file(name: str) -> str:
    return registry.SYSTEMS[name].partition(":")[0] if name in registry.SYSTEMS else ""


@cache
def _names(name: str) -> frozenset[str]:
    """Classes of all specs of a system, those they extend included."""
    specs = [spec for _, spec in registry.system(name).walk()]
    return frozenset(cls.__name__ for spec in specs for cls in type(spec).__mro__)


def _has(system: AnySystem, code: str) -> bool:
    """Whether the spec holds what a piece of code says: a class, a field with a value, a field that is not at its default."""
    asked = re.findall(r"(\w+)=(\"\w+\"|True|(?=$|,|\)|\{|\())|\b([A-Z]\w+)", _outer(code))
    for field, value, name in asked:
        if name and name not in _names(system.name):
            return False
        if field and not _set(system, field.rpartition("__")[2], value.strip('"')):
            return False
    return bool(asked)


def _outer(code: str) -> str:
    """Without what stands two brackets deep, which is an example's own choice."""
    depth, kept = 0, ""
    for letter in code:
        depth -= letter in ")}"
        kept += letter if depth < 2 else ""
        depth += letter in "({"
    return kept


def _set(system: AnySystem, name: str, value: str) -> bool:
    for _, spec in system.walk():
        for field in fields(spec):
            if field.name == name and _said(spec, name, value, field.default):
                return True
    return False


def _said(spec: Spec, name: str, value: str, default: object) -> bool:
    found = getattr(spec, name)
    if value:
        return str(found) == value
    return bool(found) and (default is MISSING or found != default)
