"""`list` prints what the ledger says, and every name whether it says anything or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from anyvlm import ledger
from anyvlm.registry import SYSTEMS
from tests.commands import run

ROWS = (
    ledger.Row(
        name="llava-1.5-7b", family="llava", parameters=7_063_427_072, license="Llama 2 community", paper="2310.03744",
        summary="", rings=("laws", "manifest", "parity"), difference=3.2e-6, reference="transformers 5.23.0",
        date="2026-11-21",
    ),
    ledger.Row(
        name="anyvlm-pocket", family="llava", parameters=150_687_168, license="Apache-2.0", paper="2304.08485", summary="",
        rings=(), difference=None, reference="", date="",
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "ledger.json").write_text(json.dumps({"systems": [asdict(row) for row in ROWS]}))
    monkeypatch.setattr(ledger, "_HERE", tmp_path / "ledger.json")
    ledger.rows.cache_clear()
    yield
    ledger.rows.cache_clear()


def test_one_line_per_system() -> None:
    """Also where no terminal says how wide it is, so that grep finds whole rows."""
    head, _, *rows = run("list").out.splitlines()
    assert head.split() == ["system", "family", "parameters", "licence", "ring"]
    lines = {line.split()[0]: line.split()[1:] for line in rows}
    assert list(lines) == list(SYSTEMS)
    assert lines["llava-1.5-7b"] == ["llava", "7.06", "B", "Llama", "2", "community", "parity"]
    assert lines["anyvlm-pocket"] == ["llava", "150.7", "M", "Apache-2.0"]
    assert lines["maya"] == []


def test_a_narrow_terminal_loses_no_name() -> None:
    env = {"FORCE_COLOR": "1", "COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm"}
    out = run("list", env=env).out
    assert all(name in out for name in SYSTEMS)


def test_json() -> None:
    listed = {entry.pop("name"): entry for entry in json.loads(run("list", "--json").out)}
    assert list(listed) == list(SYSTEMS)
    llava = listed["llava-1.5-7b"]
    assert (llava["family"], llava["parameters"], llava["licence"]) == ("llava", 7_063_427_072, "Llama 2 community")
    assert (llava["ring"], llava["rings"]) == ("parity", ["laws", "manifest", "parity"])
    assert listed["anyvlm-pocket"]["ring"] is None and listed["maya"] == {}


def test_show_tells_the_rings() -> None:
    text = " ".join(run("show", "llava-1.5-7b").out.split())
    assert "tests laws, manifest, parity; at most 3.2e-06 from transformers 5.23.0 (2026-11-21)" in text
    assert "tests none recorded" in " ".join(run("show", "maya").out.split())
    assert json.loads(run("show", "llava-1.5-7b", "--json").out)["rings"] == ["laws", "manifest", "parity"]
