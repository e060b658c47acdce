"""The catalogue is whole, says what exists where there is no model, and every registered system names a row of it."""

from __future__ import annotations

import re

import pytest

from anyvlm import registry
from anyvlm.catalogue import PARTS, Entry, entries, entry, standings
from anyvlm.cli._words import number
from anyvlm.errors import InputError

KINDS = {"model", "training-method", "method", "closed-model", "toolkit", "dataset", "evaluation"}
FAMILIES = {
    "agent", "any-to-any", "cross-attention", "data", "deep-expert", "detector", "dual-encoder", "dual-stream",
    "encoder-decoder", "encoder-free", "evaluation", "prefix", "remote", "segmenter", "self-supervised", "single-stream",
    "token-fusion",
}  # fmt: skip
TAKES = {
    "image", "images", "video", "audio", "text", "region", "points", "depth", "thermal", "imu", "signal", "state",
    "embedding", "models", "data",
}  # fmt: skip
GIVES = {"text", "embedding", "boxes", "masks", "points", "image", "images", "video", "audio", "actions", "data"}


def test_every_row_once() -> None:
    names = [row.name for row in entries()]
    assert len(names) == len(set(names)) == 180 and PARTS not in names
    assert entry("flamingo") == next(row for row in entries() if row.name == "flamingo") and entry("nothing") is None


@pytest.mark.parametrize("row", entries(), ids=lambda row: row.name)
def test_a_row_is_said_in_our_words(row: Entry) -> None:
    assert row.title and 2019 <= row.year <= 2026
    assert re.fullmatch(r"\d{4}\.\d{4,5}|https://\S+", row.paper), row.paper
    assert row.kind in KINDS and row.family in FAMILIES
    assert row.inputs and set(row.inputs) <= TAKES and row.outputs and set(row.outputs) <= GIVES
    assert re.fullmatch(r"[\w.-]+/[\w.-]+|", row.repo), row.repo
    if row.kind in ("closed-model", "dataset", "evaluation"):
        assert row.instead
    if row.kind == "model":
        assert not row.instead


def test_systems_belong_to_rows() -> None:
    """`list` reads this off the ledger, which `make parity` writes; here it is read off the specs."""
    rows = {name: registry.system(name).meta.row for name in registry.SYSTEMS}
    known = {row.name for row in entries()}
    assert {name: row for name, row in rows.items() if row and row not in known} == {}
    found = {one.name: "" if row.entry.name == PARTS else row.entry.name for row in standings() for one in row.systems}
    assert found == rows


@pytest.mark.parametrize("text, value", [("3B", 3 * 10**9), ("350 m", 350 * 10**6), ("1e9", 10**9), ("12", 12)])
def test_numbers_of_parameters(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "B", "3X", "1.2.3", "three"])
def test_no_number(text: str) -> None:
    with pytest.raises(InputError):
        number(text)
