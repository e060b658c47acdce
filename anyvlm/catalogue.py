"""The catalogue: the 180 rows of the literature this library is to hold, and how far each has come. Read without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from anyvlm import ledger

PARTS = "parts"
"""The group of registered systems that are no row's: language models and encoders alone."""

Status = Literal["built", "planned", "not a model"]
STATUSES: tuple[Status, ...] = ("built", "planned", "not a model")

_HERE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class Entry:
    """One row. `paper`: an arXiv number or an address; `size`: of the smallest released model, in the paper's words.

    `family`: how picture and text meet; `inputs`, `outputs`: of the system in its paper, of which less may be built here.
    `instead`: of what is no model (data, a benchmark, a service, a program), what exists in its place.
    """

    name: str
    title: str
    paper: str
    year: int
    kind: str
    family: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    repo: str
    size: str
    instead: str


@dataclass(frozen=True)
class Standing:
    """A row and the registered systems that are its, as the ledger has them."""

    entry: Entry
    systems: tuple[ledger.Row, ...]

    @property
    def status(self) -> Status:
        """"built" where there is a system."""
        return "built" if self.systems else "not a model" if self.entry.instead else "planned"

    @property
    def ring(self) -> str:
        """The outermost ring that one of its systems has passed, "" for none."""
        order = ("", *ledger.RINGS)
        return max((system.ring for system in self.systems), key=order.index, default="")


@cache
def entries() -> tuple[Entry, ...]:
    """All rows, in the order of the catalogue."""
    data = json.loads(_HERE.read_text(encoding="utf-8"))
    return tuple(Entry(**{**row, "inputs": tuple(row["inputs"]), "outputs": tuple(row["outputs"])}) for row in data["rows"])


def entry(name: str) -> Entry | None:
    """The row of this name, None if there is none."""
    return next((entry for entry in entries() if entry.name == name), None)


def standings(systems: Iterable[ledger.Row] | None = None) -> tuple[Standing, ...]:
    """Every row with its systems, the ledger's if none are given; last the group of those that are no row's."""
    by_row: dict[str, list[ledger.Row]] = {}
    for system in ledger.rows() if systems is None else systems:
        by_row.setdefault(system.row, []).append(system)
    rows = (*entries(), _REST)
    return tuple(Standing(each, tuple(by_row.get("" if each is _REST else each.name, ()))) for each in rows)


_REST = Entry(
    name=PARTS, title="Encoders and language models alone", paper="", year=0, kind="part", family=PARTS,
    inputs=(), outputs=(), repo="", size="", instead="",
)  # fmt: skip
