"""The ledger never says more than the tests did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anyvlm import ledger, registry
from anyvlm.ledger import Result

HF = "transformers 5"
PARTS = [Result("parity", f"family:{kind}", difference, HF) for kind, difference in (("llama", 1e-6), ("clip", 3e-6))]
WHOLE = Result("parity", "family:llava", 2e-6, HF)


def built(*results: Result) -> dict[str, ledger.Row]:
    return {row.name: row for row in ledger.build(results, "2026-01-01")}


@pytest.fixture(scope="module")
def everything() -> dict[str, ledger.Row]:
    return built(*PARTS, WHOLE, Result("manifest", "llava-1.5-7b", 0.0, HF), Result("laws", "yi-vl-6b", 0.0, "tests"))


def test_every_part_and_the_whole_must_have_been_compared(everything: dict[str, ledger.Row]) -> None:
    llava = everything["llava-1.5-7b"]
    assert llava.rings == ("manifest", "parity") and llava.ring == "parity" and llava.difference == 3e-6
    assert llava.parameters == 7_063_427_072 and llava.reference == HF
    assert everything["clip-vit-l-14-vision"].rings == ("parity",)
    assert everything["bakllava-7b"].rings == ()  # Mistral was not compared
    assert "parity" not in built(*PARTS)["llava-1.5-7b"].rings


def test_what_the_reference_does_not_have_is_not_called_equal(everything: dict[str, ledger.Row]) -> None:
    assert everything["yi-vl-6b"].rings == ("laws",) and everything["yi-vl-6b"].difference is None
    assert everything["llava"].rings == () and everything["llava"].date == ""


def test_files(tmp_path: Path) -> None:
    for folder in ("docs", "anyvlm"):
        (tmp_path / folder).mkdir()
    ledger.write([*PARTS, WHOLE], tmp_path, "2026-01-01")
    assert (tmp_path / "docs" / "ledger.json").read_text() == (tmp_path / "anyvlm" / "ledger.json").read_text()
    table = (tmp_path / "docs" / "ledger.md").read_text()
    assert "| llava-1.5-7b | llava | 7.1 B | Llama 2 community | parity | 3.0e-06 | transformers 5 | 2026-01-01 |" in table


def test_the_packaged_ledger_knows_every_system() -> None:
    """`make parity` writes it anew."""
    assert [row.name for row in ledger.rows()] == list(registry.SYSTEMS)
    assert ledger.row("llava-1.5-7b") and ledger.row("nothing") is None


def test_it_is_read_without_torch() -> None:
    code = "import sys, anyvlm.ledger as l; assert l.rows(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
