"""Errors as one sentence on stderr and an exit code. With ANYVLM_DEBUG=1 they keep their traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from anyvlm.cli._light import with_torch
from anyvlm.errors import AnyVLMError


@contextmanager
def sentences() -> Iterator[None]:
    """Ends the process with 1 after a failure, 130 after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        with_torch(error)
        if os.environ.get("ANYVLM_DEBUG") == "1":
            raise
        complain(error)
        sys.exit(1)


def complain(error: Exception) -> None:
    """Print what went wrong on stderr, on one line."""
    print(f"anyvlm: {' '.join(_sentence(error).split())}", file=sys.stderr)


def _sentence(error: Exception) -> str:
    if isinstance(error, AnyVLMError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; try a smaller model or smaller pictures."
    said = f"{type(error).__name__}: {error}"[:300]
    return f"Something failed that anyvlm did not foresee ({said}); please report it with the output of ANYVLM_DEBUG=1."
