"""`list` tells how far every row of the catalogue has come, from what the ledger says and every name it does not have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from anyvlm import ledger
from anyvlm.catalogue import PARTS, entries
from anyvlm.registry import SYSTEMS
from tests.commands import run

ROWS = (
    ledger.Row(
        name="llava-1.5-7b", family="llava", parameters=7_063_427_072, license="Llama 2 community", paper="2310.03744",
        summary="Two layers between CLIP and Vicuna.", rings=("laws", "manifest", "parity"), difference=3.2e-6,
        reference="transformers 5.23.0", date="2026-11-21", row="llava-1.5",
    ),
    ledger.Row(
        name="anyvlm-pocket", family="llava", parameters=150_687_168, license="Apache-2.0", paper="2304.08485", summary="",
        rings=(), difference=None, reference="", date="", row="llava",
    ),
    ledger.Row(
        name="openflamingo-3b-vitl-mpt1b", family="flamingo", parameters=2_560_000_000, license="MIT", paper="2308.01390",
        summary="", rings=("laws", "golden"), difference=1e-6, reference="tests", date="2026-11-21", row="openflamingo",
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "ledger.json").write_text(json.dumps({"systems": [asdict(row) for row in ROWS]}))
    monkeypatch.setattr(ledger, "_HERE", tmp_path / "ledger.json")
    ledger.rows.cache_clear()
    yield
    ledger.rows.cache_clear()


def rows(*words: str) -> dict[str, str]:
    """The lines of the table by the first word of each."""
    lines = run("list", *words).out.splitlines()[2:]
    return {line.split()[0]: line for line in lines[: lines.index("")]}


def test_one_line_per_row() -> None:
    """Also where no terminal says how wide it is, so that grep finds whole rows."""
    head, _, *_, told = run("list").out.splitlines()
    assert head.split() == ["row", "title", "family", "year", "status", "systems", "size"]
    lines = rows()
    assert sorted(lines) == sorted([PARTS, *(entry.name for entry in entries())])
    assert lines["llava-1.5"].split()[1:] == ["LLaVA-1.5", "prefix", "2023", "built,", "parity", "1", "7.06", "B"]
    assert lines["llava"].split()[1:] == ["LLaVA", "prefix", "2023", "built", "1", "150.7", "M"]
    assert lines["video-llama"].split()[1:] == ["Video-LLaMA", "prefix", "2023", "planned", "7B"]
    assert "not a model" in lines["clip-retrieval"] and "anyvlm index" in lines["clip-retrieval"]
    assert told.startswith("180 rows: 3 built, ") and f"{len(SYSTEMS)} names to load" in told


def test_names_that_the_ledger_does_not_have_are_parts_until_it_does() -> None:
    assert str(len(SYSTEMS) - len(ROWS)) in rows()[PARTS].split()


def test_one_line_per_system() -> None:
    head, _, *rest = run("list", "--systems").out.splitlines()
    assert head.split() == ["system", "row", "family", "parameters", "licence", "ring"]
    lines = {line.split()[0]: line.split()[1:] for line in rest}
    assert list(lines) == sorted(SYSTEMS)
    assert lines["llava-1.5-7b"] == ["llava-1.5", "prefix", "7.06", "B", "Llama", "2", "community", "parity"]
    assert lines["anyvlm-pocket"] == ["llava", "prefix", "150.7", "M", "Apache-2.0"]
    assert lines["maya"] == []


FILTERS = {
    "--status built": {"llava", "llava-1.5", "openflamingo", PARTS},
    "--family cross-attention --ring parity --max-params 3B": {"openflamingo"},
    "--max-params 200M": {"llava"},
    "--ring golden": {"openflamingo"},
    "--ring parity --systems": {"llava-1.5-7b", "openflamingo-3b-vitl-mpt1b"},
    "--family prefix --systems": {"llava-1.5-7b", "anyvlm-pocket"},
    "--kind evaluation": {"clip-benchmark", "open-object-detection-leaderboard"},
    "--input depth --output embedding": {"imagebind"},
    "set-of-mark": {"som"},
    "between VICUNA": {"llava-1.5"},
    "2308.01390": {"openflamingo"},
    "no-such-thing-anywhere": set(),
}


@pytest.mark.parametrize("asked", FILTERS)
def test_filters(asked: str) -> None:
    found = json.loads(run("list", *asked.split(), "--json").out)
    assert {each["name"] for each in found} == FILTERS[asked]


@pytest.mark.parametrize(
    "asked, sentence",
    [
        ("--status done", "No status is called 'done'; there are built, planned, not a model."),
        ("--family llava", "No family is called 'llava'; there are dual-encoder, "),
        ("--max-params many", "'many' is no number of parameters; write it as 350M or 3B."),
    ],
)
def test_a_wrong_filter_is_told(asked: str, sentence: str) -> None:
    assert run("list", *asked.split()).sentence.startswith(sentence)


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_narrow_terminal_loses_no_name(columns: str) -> None:
    env = {"FORCE_COLOR": "1", "COLUMNS": columns, "NO_COLOR": "1", "TERM": "xterm"}
    first = [re.sub(r"\x1b\[\d*m", "", line).split(" ")[0] for line in run("list", env=env).out.splitlines()]
    assert {entry.name for entry in entries()} <= set(first)
    out = run("list", "--systems", env=env).out
    assert all(name in out for name in SYSTEMS)


def test_json_of_rows() -> None:
    listed = {entry["name"]: entry for entry in json.loads(run("list", "--json").out)}
    assert len(listed) == 181 and listed[PARTS]["kind"] == "part"
    llava = listed["llava-1.5"]
    assert (llava["paper"], llava["status"], llava["ring"]) == ("https://arxiv.org/abs/2310.03744", "built", "parity")
    assert [one["name"] for one in llava["systems"]] == ["llava-1.5-7b"]
    assert listed["gpt-4v"]["instead"] and listed["gpt-4v"]["status"] == "not a model"


def test_json_of_systems() -> None:
    listed = {entry.pop("name"): entry for entry in json.loads(run("list", "--systems", "--json").out)}
    assert sorted(listed) == sorted(SYSTEMS)
    llava = listed["llava-1.5-7b"]
    assert (llava["family"], llava["lineage"], llava["row"]) == ("prefix", "llava", "llava-1.5")
    assert (llava["parameters"], llava["licence"]) == (7_063_427_072, "Llama 2 community")
    assert (llava["ring"], llava["rings"]) == ("parity", ["laws", "manifest", "parity"])
    assert listed["anyvlm-pocket"]["ring"] is None and listed["maya"] == {}


def test_show_tells_the_rings() -> None:
    text = " ".join(run("show", "llava-1.5-7b").out.split())
    assert "tests laws, manifest, parity; at most 3.2e-06 from transformers 5.23.0 (2026-11-21)" in text
    assert "tests none recorded" in " ".join(run("show", "maya").out.split())
    assert json.loads(run("show", "llava-1.5-7b", "--json").out)["rings"] == ["laws", "manifest", "parity"]
