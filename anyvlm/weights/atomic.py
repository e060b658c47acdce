"""Files and directories that appear whole or not at all, whatever kills the process or fills the disk.

The content is written to a sibling with a temporary name, forced to disk, and renamed over the target.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyvlm.errors import WeightsError

_DAY = 24 * 60 * 60.0

@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target``, to be written by the caller; it becomes ``target`` when the block ends well.

    Otherwise it is removed and an older ``target`` stays as it was. An OSError is raised as WeightsError.
    """
    target = Path(os.path.realpath(target))
    partial: Path | None = None
    with _explained(target):
        partial = _beside(target)
        try:
            yield partial / target.name
            _sync(partial / target.name)
            os.replace(partial / target.name, target)
            _sync(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def atomic_directory(target: Path, *, marker: str) -> Iterator[Path]:
    """A temporary directory beside ``target``, for the caller to fill; it becomes ``target`` when the block ends well.

    Otherwise it is removed and an older ``target`` stays as it was. ``marker`` is a file that every complete directory
    of this kind holds: an existing ``target`` that is not empty is replaced only if it has it, so that a slip in a path
    never deletes a user's files. An OSError is raised as WeightsError.
    """
    target = Path(os.path.realpath(target))
    with _explained(target):
        if target.exists() and not (target / marker).is_file() and not (target.is_dir() and not any(target.iterdir())):
            raise WeightsError(
                f"{target} exists and was not written by anyvlm (no {marker} in it); choose a new directory, or empty "
                "it first."
            )
        partial = _beside(target)
        try:
            yield partial
            for folder, _, files in os.walk(partial, topdown=False):
                for name in files:
                    _sync(Path(folder, name))
                _sync(Path(folder))
            partial.chmod(0o777 & ~_umask())
            if not target.exists():
                os.rename(partial, target)
            elif not _exchange(partial, target):
                _replace(partial, target)
            _sync(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _beside(target: Path) -> Path:
    """A new temporary directory beside ``target``; what killed writers left there, a day old or older, is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        with suppress(OSError):  # another writer has just removed it
            if time.time() - left.stat().st_mtime > _DAY:
                shutil.rmtree(left)
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WeightsError(
            f"Could not write {target}: {reason.lower()}. What was there before is untouched; free some space or "
            "choose another place and try again."
        ) from error


def _sync(path: Path) -> None:
    """Force a file or a directory entry to disk (directories cannot be opened on Windows, and need not be)."""
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _exchange(a: Path, b: Path) -> bool:
    """Swap two directories in one step where the kernel can (Linux renameat2); False where it cannot."""
    if sys.platform != "linux":
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fcntl.h and linux/fs.h
    try:
        rename = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    return bool(rename(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0)


def _replace(new: Path, target: Path) -> None:
    """Two renames: for the moment between them the old directory exists only as its ``.old`` sibling."""
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent)) / target.name
    os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(old, target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(old.parent, ignore_errors=True)
