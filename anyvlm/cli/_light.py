"""Verbs that only look start without torch, by a stand-in for it; where that does not do, they begin again with torch."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

from anyvlm.errors import AnyVLMError

_AGAIN = "ANYVLM_TORCH"
_whole = False


def whole_process() -> None:
    """Say that this process is the command line's own, so that no one else's code in it will ask for torch."""
    global _whole
    _whole = True


def without_torch() -> None:
    """To be called first of all by a verb that needs no tensors. Does nothing in a process that has other code in it."""
    if _whole and os.environ.get(_AGAIN) != "1" and "torch" not in sys.modules:
        from anyvlm.anatomy import light

        light.install()
        gc.disable()  # nothing here grows, and looking for garbage among imports is a seventh of the time


def with_torch(error: Exception) -> None:
    """After an error of which the stand-in may be the cause: run this command again with torch, and end as it ends."""
    light = sys.modules.get("anyvlm.anatomy.light")
    if light is None or not light.installed() or not _may_be(error):
        return
    from anyvlm.cli._pictures import swallowed

    command = [sys.executable, *sys.orig_argv[1:]]
    sys.exit(subprocess.run(command, env=os.environ | {_AGAIN: "1"}, input=swallowed()).returncode)


def _may_be(error: BaseException | None) -> bool:
    """Our own errors are what they say, unless another one is behind them."""
    while isinstance(error, AnyVLMError):
        error = error.__cause__ or error.__context__
    return error is not None
