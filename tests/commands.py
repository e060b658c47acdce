"""Run `anyvlm ...` in this process and see what it printed."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from anyvlm.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code and what stands on stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on stderr of a command that failed as it should: with 1, nothing on stdout, no traceback."""
        lines = self.err.splitlines()
        assert self.code == 1 and self.out == "", self
        assert len(lines) == 1 and lines[0].startswith("anyvlm: ") and lines[0].endswith((".", "all.")), self.err
        assert "did not foresee" not in self.err, self.err
        return lines[0].removeprefix("anyvlm: ")


def run(*words: object, stdin: bytes = b"", env: dict[str, str] | None = None) -> Done:
    """The command line with these words; `env` is added to the environment."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["anyvlm", *map(str, words)]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        patch.dict(os.environ, env or {}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())
