"""`chat` keeps the conversation, whatever happens to a turn."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from anyvlm.cli._session import Leave, Session
from anyvlm.errors import InputError
from anyvlm.generate.model import load
from anyvlm.inputs.messages import Message
from tests.commands import run
from tests.saved import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def png(tmp_path: Path) -> Path:
    Image.effect_noise((60, 40), 80).convert("RGB").save(tmp_path / "a.png")
    return tmp_path / "a.png"


class Echo:
    """Says how many turns and pictures it was shown; "fail" fails, at once or after a word."""

    def __init__(self) -> None:
        self.closed = 0

    def __call__(self, messages: list[Message]) -> Echo:
        *_, last = messages
        if last.text == "fail":
            raise InputError("No.")
        self.pieces = self._say(last.text, f"{len(messages)} turns, {sum(len(m.pictures) for m in messages)} pictures")
        return self

    def _say(self, text: str, answer: str) -> Iterator[str]:
        yield answer
        if text == "wait":
            raise KeyboardInterrupt
        yield "."

    def __iter__(self) -> Iterator[str]:
        return self.pieces

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def session() -> Session:
    return Session(Echo(), lambda path: Image.open(path), None)


def say(session: Session, line: str) -> str:
    return "".join(session.say(line))


def test_turns_and_pictures_add_up(session: Session, png: Path) -> None:
    assert say(session, "hello") == "1 turns, 0 pictures.\n"
    say(session, f"/image {png}")
    assert "2 waiting" in say(session, f'/image "{png}"')
    assert say(session, "and now?") == "3 turns, 2 pictures.\n"
    assert say(session, "and then?") == "5 turns, 2 pictures.\n"
    assert say(session, "/reset") == "" and say(session, "again") == "1 turns, 0 pictures.\n"
    assert session.reply.closed == 4


def test_an_error_takes_the_turn_back(session: Session, png: Path) -> None:
    say(session, "hello")
    say(session, f"/image {png}")
    with pytest.raises(InputError):
        say(session, "fail")
    assert say(session, "better") == "3 turns, 1 pictures.\n"


def test_an_interrupted_answer_stays_as_far_as_it_was_read(session: Session) -> None:
    with pytest.raises(KeyboardInterrupt):
        say(session, "wait")
    assert [turn.text for turn in session.turns] == ["wait", "1 turns, 0 pictures"]
    assert say(session, "go on") == "3 turns, 0 pictures.\n"


def test_commands(session: Session) -> None:
    assert "/image PATH" in say(session, "/help") and say(session, "   ") == ""
    for line in ("/imagine", "/image", "/reset now"):
        with pytest.raises(InputError, match="/help"):
            say(session, line)
    with pytest.raises(Leave):
        say(session, "/exit")


def test_system_text_comes_first() -> None:
    session = Session(Echo(), Image.open, "Be brief.")
    assert say(session, "hello") == "2 turns, 0 pictures.\n" and say(session, "hello") == "4 turns, 0 pictures.\n"


def test_piped(tiny: Path, png: Path) -> None:
    """Only answers on stdout; a bad turn is one sentence, is forgotten, and makes the exit code 1."""
    words = ("-m", tiny, "--max-tokens", 4, "--device", "cpu", "--dtype", "fp32")
    model = load(tiny, device="cpu", dtype="fp32")
    first = model.ask(png, "a", max_tokens=4).text
    turns = [{"role": "user", "content": [{"type": "image", "image": png}, "a"]}, {"role": "assistant", "content": first}]
    second = model.chat([*turns, {"role": "user", "content": "b"}], max_tokens=4).text
    done = run("chat", png, *words, stdin=b"a\nb\n")
    assert (done.code, done.out, done.err) == (0, f"{first}\n{second}\n", "")
    done = run("chat", png, *words, stdin=b"a\n/image nowhere.png\n/dance\n" + b"x" * 600 + b"\nb\n/exit\nc\n")
    assert (done.code, done.out) == (1, f"{first}\n{second}\n")
    lines = done.err.splitlines()
    assert len(lines) == 3 and "nowhere.png" in lines[0] and "/dance" in lines[1] and "512" in lines[2]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_in_a_terminal(tiny: Path) -> None:
    """There is a prompt; Ctrl-C stops the answer and not the session; Ctrl-D leaves with 0."""
    command = [sys.executable, "-m", "anyvlm", "chat", "-m", str(tiny), "--max-tokens", "380"]
    command += ["--temperature", "2", "--seed", "1", "--dtype", "fp32"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        until(ours, rb"> $")
        os.write(ours, b"hello\n")
        until(ours, rb"hello\r\n.")
        process.send_signal(signal.SIGINT)
        until(ours, rb"\n> $")
        os.write(ours, b"/help\n")
        until(ours, rb"/reset.*> $")
        os.write(ours, b"\x04")
        assert process.wait(timeout=30) == 0
    os.close(ours)


def until(terminal: int, pattern: bytes, seconds: float = 60) -> None:
    """Read until what came matches, ignoring the terminal's control sequences."""
    seen, end = b"", time.monotonic() + seconds
    while not re.search(pattern, re.sub(rb"\x1b\[[?\d;]*\w", b"", seen), re.DOTALL):
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], seen
        seen += os.read(terminal, 4096)
