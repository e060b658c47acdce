"""Names, articles and plurals; the table of icon sets; the checks of a fetched package."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from anyvlm.data.fetch import Tarball
from anyvlm.data.grammar import listed, plural
from anyvlm.data.icons import HELD_OUT, TRAINING_STYLES, atlas_dir, match
from anyvlm.data.names import name, written
from anyvlm.errors import NetworkError, WeightsError


@pytest.mark.parametrize(
    ("text", "noun", "many"),
    [
        ("red apple", "a red apple", "red apples"),
        ("owl", "an owl", "owls"),
        ("unicorn", "a unicorn", "unicorns"),
        ("X-ray", "an X-ray", "X-rays"),
        ("grapes", "grapes", "grapes"),
        ("bacon", "bacon", "bacons"),
        ("flag of France", "the flag of France", "flags of France"),
        ("Santa Claus", "Santa Claus", "Santa Clauses"),
        ("face with tears of joy", "a face with tears of joy", "faces with tears of joy"),
        ("octopus", "an octopus", "octopuses"),
        ("maple leaf", "a maple leaf", "maple leaves"),
        ("person lifting weights", "a person lifting weights", "people lifting weights"),
        ("globe showing Americas", "a globe showing Americas", "globes showing Americas"),
        ("strawberry", "a strawberry", "strawberries"),
        ("monkey", "a monkey", "monkeys"),
        ("bus", "a bus", "buses"),
    ],
)
def test_grammar(text: str, noun: str, many: str) -> None:
    assert (name(text).noun, plural(name(text))) == (noun, many)


@pytest.mark.parametrize(
    ("code", "cldr", "text"),
    [
        ("1f34e", ":red_apple:", "red apple"),
        ("1f1eb-1f1f7", ":France:", "flag of France"),
        ("1f1fa-1f1f8", ":United_States:", "flag of the United States"),
        ("1f44b-1f3fb", ":waving_hand_light_skin_tone:", None),
        ("31-20e3", ":keycap_1:", None),
        ("1f468-200d-1f373", ":man_cook:", None),
        ("1f559", ":ten_o’clock:", None),
        ("1f468", ":man:", "man"),
        ("2650", ":Sagittarius:", "Sagittarius sign"),
    ],
)
def test_written(code: str, cldr: str, text: str | None) -> None:
    assert written(code, cldr) == text


def test_listed() -> None:
    assert [listed(list("abc"[:n])) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_match_needs_the_held_out_style_and_three_others() -> None:
    """A name drawn in too few styles, or not in the held-out one, is left out; names are joined by code point."""
    drawn = {"body": ""}
    sets = {style: {"icons": {"red-apple": drawn, "owl": drawn}} for style in (HELD_OUT, *TRAINING_STYLES[:3])}
    sets[TRAINING_STYLES[0]] = {"icons": {"pomme": drawn}}
    codes = {style: {"1f34e": "red-apple", "1f989": "owl"} for style in sets}
    codes[TRAINING_STYLES[0]] = {"1f34e": "pomme"}
    table = match(sets, codes)  # type: ignore[arg-type]
    assert list(table) == ["red apple"] and table["red apple"][TRAINING_STYLES[0]] == "pomme"


def test_a_package_with_the_wrong_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYVLM_CACHE", str(tmp_path))
    monkeypatch.setattr(Tarball, "_download", lambda self: b"something else")
    with pytest.raises(WeightsError, match="SHA-512"):
        Tarball("@iconify-json/none", "1.0.0", "x").fetch()
    assert not list(tmp_path.rglob("*.tgz"))


def test_nothing_is_fetched_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYVLM_CACHE", str(tmp_path))
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        Tarball("@iconify-json/none", "1.0.0", "x").fetch()
    assert list(tmp_path.rglob("*")) == []


def test_files_lie_in_the_one_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an earlier version put them, so that icons are not drawn twice."""
    monkeypatch.setenv("ANYVLM_CACHE", str(tmp_path))
    assert atlas_dir() == tmp_path / "icons" / "v1"
    data = b"a tarball"
    monkeypatch.setattr(Tarball, "_download", lambda self: data)
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    assert Tarball("@iconify-json/some", "1.0.0", digest).fetch() == tmp_path / "npm" / "some-1.0.0.tgz"
