"""Many pictures decoded and made into pixels by worker processes, in order, while the one that asked computes.

Nothing here imports torch, so that a worker is up in a moment.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from anyvlm.errors import InputError
from anyvlm.inputs.image import LIMITS, read_image
from anyvlm.inputs.policy import Array, Policy

AHEAD = 8
"""Pictures in work for every worker."""
FEW = 64
"""Pictures below which no worker process pays: each takes half a second to start."""


@dataclass(frozen=True)
class Item:
    """A picture's path ("image"), a text ("text"), or a file for another tower, by its name: a sound ("audio"), or an array."""

    kind: str
    content: str


@dataclass(frozen=True)
class Held:
    """A picture whose file is in memory, and what it is called."""

    path: str
    data: bytes


@dataclass(frozen=True)
class Decoded:
    """A picture's arrays and the digest of its file; or why there are none. Arrays of a picture whose digest was known: ()."""

    path: str
    digest: str = ""
    arrays: tuple[Array, ...] = ()
    error: str = ""


def decode(source: str | Held, policy: Policy, known: frozenset[str] = frozenset()) -> Decoded:
    """One picture. What is wrong with it is said, not raised."""
    path = source.path if isinstance(source, Held) else source
    try:
        data = source.data if isinstance(source, Held) else _read(path)
        digest = hashlib.sha256(data).hexdigest()
        if digest in known:
            return Decoded(path, digest)
        return Decoded(path, digest, tuple(policy.arrays(read_image(data))))
    except InputError as error:
        return Decoded(path, error=str(error).replace("The image ", f"'{path}' ", 1))


def _read(path: str) -> bytes:
    file = Path(path)
    if not file.is_file():
        raise InputError(f"There is no file '{path}'.")
    try:
        with file.open("rb") as stream:
            data = stream.read(LIMITS.encoded + 1)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from None
    if not data:
        raise InputError(f"'{path}' is empty (0 bytes).")
    if len(data) > LIMITS.encoded:
        raise InputError(f"'{path}' has more than the allowed {LIMITS.encoded / 1e6:g} MB; make it smaller.")
    return data


def decoded(
    sources: Iterable[str | Held], policy: Policy, *, workers: int = 0, known: frozenset[str] = frozenset()
) -> Iterator[Decoded]:
    """All pictures in order. `workers`: processes; 0 decodes here. `known`: digests of files that need not be decoded."""
    if workers <= 0:
        yield from (decode(source, policy, known) for source in sources)
        return
    waiting: deque[Future[Decoded]] = deque()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_yielding) as pool:
        try:
            for source in sources:
                waiting.append(pool.submit(decode, source, policy, known))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _yielding() -> None:
    """Workers give way to the process that computes: where cores are few, its threads wait for each other at every layer."""
    if hasattr(os, "nice"):
        os.nice(19)


def workers_for(pictures: int) -> int:
    """As many processes as pay: none for a few pictures."""
    return 0 if pictures < FEW else min(8, os.cpu_count() or 1)
