"""What tests have shown of each system: written by `make parity`, read by `anyvlm list` and `anyvlm show` without torch.

The tests append one JSON line per result to the file named by ANYVLM_LEDGER; ``python -m anyvlm.ledger FILE`` turns them into
``docs/ledger.json``, ``docs/ledger.md`` and the packaged ``anyvlm/ledger.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path

RINGS = ("laws", "manifest", "parity", "golden", "behaviour")
"""From the innermost to the outermost (DESIGN section 7)."""

_HERE = Path(__file__).with_name("ledger.json")


@dataclass(frozen=True)
class Row:
    """One system. `difference`: the largest from the reference in any test; None where no number was compared.

    `row`: its row of the catalogue, "" for parts alone.
    """

    name: str
    family: str
    parameters: int
    license: str
    paper: str
    summary: str
    rings: tuple[str, ...]
    difference: float | None
    reference: str
    date: str
    row: str = ""

    @property
    def ring(self) -> str:
        """The outermost ring passed, "" for none."""
        return self.rings[-1] if self.rings else ""


@cache
def rows() -> tuple[Row, ...]:
    """The packaged ledger, in the order of the registry."""
    data = json.loads(_HERE.read_text(encoding="utf-8"))
    return tuple(Row(**{**row, "rings": tuple(row["rings"])}) for row in data["systems"])


def row(name: str) -> Row | None:
    """The row of a system, None for one that the ledger does not have."""
    return next((row for row in rows() if row.name == name), None)


# Writing --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """One line that a test wrote. `subject`: a system, or "family:<kind>" for what holds for all systems made of it."""

    ring: str
    subject: str
    difference: float
    reference: str


def build(results: Sequence[Result], today: str) -> tuple[Row, ...]:
    """The row of every registered system. Parity counts where every part and the whole have been compared."""
    from anyvlm import registry

    return tuple(_row(name, results, today) for name in registry.SYSTEMS)


def _row(name: str, results: Sequence[Result], today: str) -> Row:
    import torch

    from anyvlm import registry

    system = registry.system(name)
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in system.build().parameters())
    own = [result for result in results if result.subject == name]
    families = _families(name)
    compared = [result for result in results if result.ring == "parity" and result.subject in families]
    if families <= {result.subject for result in compared}:
        own += compared
    rings = {result.ring for result in own}
    numbers = [result.difference for result in own if result.ring in ("parity", "golden")]
    references = sorted({result.reference for result in own if result.ring in ("manifest", "parity", "golden")})
    return Row(
        name=name,
        family=system.meta.family,
        parameters=parameters,
        license=system.meta.license,
        paper=system.meta.paper,
        summary=system.meta.summary,
        rings=tuple(ring for ring in RINGS if ring in rings),
        difference=max(numbers, default=None),
        reference=", ".join(references),
        date=today if own else "",
        row=system.meta.row,
    )


def _families(name: str) -> set[str]:
    """What must have been compared for this system to count; {""}, which never is, where the reference has no such class."""
    from anyvlm import registry
    from anyvlm.errors import SpecError
    from anyvlm.weights.config_export import export_config
    from anyvlm.weights.save import layout_named

    system = registry.system(name)
    try:
        import torch

        config = export_config(system, layout_named(system, "hf"), None, torch.float32)["config.json"]
    except SpecError:
        return {""}
    parts = [config] + [part for part in config.values() if isinstance(part, Mapping)]
    return {f"family:{str(part['model_type']).removesuffix('_vision_model')}" for part in parts if "model_type" in part}


def markdown(ledger: Iterable[Row]) -> str:
    """The ledger as a table."""
    lines = [
        "# Ledger",
        "",
        "What tests have shown of each system, written by `make parity`. Rings, from the inside: laws (on a tiny twin), "
        "manifest (names and shapes of the reference's class at full size), parity (numbers equal those of tiny random "
        "models of the reference, fp32), golden (stored outputs of the authors' code), behaviour (the claim of the paper "
        "on real data).",
        "",
        "| system | family | parameters | licence | rings | largest difference | reference | date |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in ledger:
        number = "" if row.difference is None else f"{row.difference:.1e}"
        size, rings = _short(row.parameters), ", ".join(row.rings)
        cells = (row.name, row.family, size, row.license, rings, number, row.reference, row.date)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _short(count: int) -> str:
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"


def write(results: Sequence[Result], root: Path, today: str) -> None:
    """The three files."""
    from anyvlm.weights.atomic import atomic_file

    ledger = build(results, today)
    data = json.dumps({"systems": [asdict(row) for row in ledger]}, indent=1, ensure_ascii=False) + "\n"
    files = {"docs/ledger.json": data, "anyvlm/ledger.json": data, "docs/ledger.md": markdown(ledger)}
    for name, text in files.items():
        with atomic_file(root / name) as partial:
            partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    write([Result(**json.loads(line)) for line in lines], Path(__file__).parents[1], date.today().isoformat())
