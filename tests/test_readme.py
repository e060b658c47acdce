"""Documents that cannot lie: every command and every Python block of README.md, CONTRIBUTING.md and docs/ is run.

A ```bash fence holds one command a line. A ```console fence holds `$ command` lines, each followed by what it prints,
where `...` is anything. The fences of one document run in order in one temporary directory with examples/ in it.
A command that sets up an environment is not repeated inside this one: it must be one of the two that .ci/run relies on.
"""

from __future__ import annotations

import doctest
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SETUPS = ("pip install -e .", "pip install -e '.[dev]'")


@dataclass(frozen=True)
class Block:
    """One fence: its language, its text, and the line it opens on."""

    language: str
    text: str
    line: int


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text()
    for fence in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield Block(fence[1], fence[2], text.count("\n", 0, fence.start()) + 1)


def commands(block: Block) -> Iterator[tuple[str, str | None]]:
    """The (command, expected output) pairs of a bash or console block; a bash block promises no output."""
    if block.language == "bash":
        yield from ((line, None) for line in block.text.splitlines() if line.strip())
    elif block.language == "console":
        for chunk in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, output = chunk.partition("\n")
            yield command, output


def without_setup(command: str) -> str:
    """`pip install -e . && anyvlm ask ...` -> `anyvlm ask ...`, once the set-up is known to be one of SETUPS."""
    if not command.startswith("pip install"):
        return command
    setup, _, rest = command.partition(" && ")
    assert setup in SETUPS, f"{setup!r} is not one of the set-ups that are tested: {SETUPS}"
    return rest


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An empty directory with examples/ in it, where a reader would type."""
    if (ROOT / "examples").is_dir():
        (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.mark.network
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_runs(document: Path, desk: Path) -> None:
    # The scripts of this environment first, and the package of this checkout; fetching the default weights is allowed.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "0"}
    for block in blocks(document):
        where = f"{document.name}:{block.line}"
        if block.language == "python":
            run([sys.executable, "-c", block.text], where, desk, environment)
        for command, expected in commands(block):
            if (command := without_setup(command)) in ("", "pytest"):
                continue
            printed = run(["bash", "-euo", "pipefail", "-c", command], where, desk, environment)
            if expected is not None:
                same = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
                assert same, f"{where}: `{command}` promises\n{expected}\nand prints\n{printed}"


def run(command: list[str], where: str, desk: Path, environment: dict[str, str]) -> str:
    """What a command prints; it must end with 0 within five minutes."""
    done = subprocess.run(
        command, cwd=desk, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{where}: {command[-1]}\nends with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def test_readme_opens_with_two_commands() -> None:
    """One sets up and asks, the other sets up and tests; .ci/run takes the second as it stands there."""
    lines = [line for block in blocks(ROOT / "README.md") for line, _ in commands(block)]
    first, second = (line for line in lines if line.startswith("pip install"))
    assert first.startswith(f"{SETUPS[0]} && anyvlm ask examples/")
    assert second == f"{SETUPS[1]} && pytest"
    ci = (ROOT / ".ci" / "run").read_text()
    assert re.fullmatch(re.search(r'grep -x "(.*)" README.md', ci)[1], second)


def test_paths_in_documents_exist() -> None:
    """Every path of this repository that a document names in code or links to is there."""
    missing = []
    for document in DOCUMENTS:
        text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
        named = re.findall(r"`((?:anyvlm|tests|docs|examples|benchmarks)/[\w./-]+)`", text)
        linked = [str(Path(document.parent, link).resolve()) for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)]
        missing += [f"{document.name}: {path}" for path in [*named, *linked] if not (ROOT / path).exists()]
    assert not missing, "\n".join(missing)


def test_systems_page_is_current() -> None:
    assert (ROOT / "docs" / "systems.md").read_text() == runpy.run_path(str(ROOT / "docs" / "systems.py"))["page"](), (
        "a system has changed: run `make docs`"
    )
