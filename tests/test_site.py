"""The site: links lead somewhere, nothing is fetched from elsewhere, commands are ones the command line takes."""

from __future__ import annotations

import re
import shlex
from html import unescape

import pytest
import typer

from anyvlm import registry
from anyvlm.cli import app
from docs.mechanisms import mechanisms
from docs.pages import commands
from docs.site import broken, build

GROUP = typer.main.get_command(app)
ROWS = ("flamingo", "llava-1.5", "clip", "videomae", "blip", "glip", "glamm", "gpt-4v")


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    return build(ROWS)


def test_links(site: dict[str, str]) -> None:
    assert {f"rows/{row}.html" for row in ROWS} | {"index.html", "ledger.html", "start.html"} <= site.keys()
    assert broken(site) == []


def test_what_is_broken_is_seen() -> None:
    pages = {"rows/a.html": '<a href="../b.html">b</a><img src="https://x.org/y.png"><style>@import "z"</style>'}
    assert broken(pages) == ["rows/a.html: ../b.html", "rows/a.html: <img> fetches https://x.org/y.png", "rows/a.html: @import"]


def test_a_built_row(site: dict[str, str]) -> None:
    page = site["rows/flamingo.html"]
    for words in ("gated cross-attention", "<svg", "2204.14198", "Beside its nearest relative", "Stages", "flamingo-80b"):
        assert words in page
    assert "built, laws" in page and page.count("<html") == 1


def test_rows_that_are_not_built(site: dict[str, str]) -> None:
    assert "planned, and not built yet" in site["rows/glamm.html"]
    assert "It is not a model. Instead: a client for the service" in site["rows/gpt-4v.html"]


def test_the_index_has_every_row(site: dict[str, str]) -> None:
    assert site["index.html"].count("<tr data-t=") == len(ROWS) + 1
    assert site["ledger.html"].count("<tr data-t=") == len(registry.SYSTEMS)


def test_pages_name_only_commands_there_are(site: dict[str, str]) -> None:
    line = re.compile(r"(?:^|<pre><code[^>]*>)(anyvlm \w[^<\n]*)", re.MULTILINE)
    shown = [found for page in site.values() for found in line.findall(page)]
    assert len(shown) > 25
    for found in shown:
        parse(unescape(found))


@pytest.mark.parametrize("name", registry.SYSTEMS)
def test_commands(name: str) -> None:
    for line in commands(registry.system(name)):
        parse(line)


def test_a_wrong_command_is_seen() -> None:
    for line in ("anyvlm fly kite", "anyvlm ask a.png --wings", "anyvlm diagram"):
        with pytest.raises(Exception, match="(?i)no such|missing|wings"):
            parse(line)


def parse(line: str) -> None:
    """Raises where the command line does not take it."""
    _, verb, *words = shlex.split(line, comments=True)
    found = GROUP.get_command(typer.Context(GROUP), verb)  # type: ignore[attr-defined]
    assert found is not None, f"no such verb: {line}"
    found.make_context(verb, words)


def test_mechanisms_have_systems() -> None:
    systems = [registry.system(name) for name in registry.SYSTEMS]
    found = {each.title: {system.meta.row for system in each.found(systems)} for each in mechanisms()}
    assert len(found) > 25 and all(found.values())
    assert len({each.slug for each in mechanisms()}) == len(found)
    assert found["weights by kind of token"] == {"cogvlm", "evev2", "mixture-of-transformers"}
    assert {"qwen2-vl", "qwen2.5-vl"} <= found["videos by the parts of pictures"]
    assert "siglip" in found["towers in one space, any number of modalities"]
