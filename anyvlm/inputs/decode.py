"""Many pictures decoded and made into pixels by worker processes, in order, while the one that asked computes.

Nothing here imports torch, so that a worker is up in a moment.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from anyvlm.errors import InputError
from anyvlm.inputs.image import LIMITS, read_image
from anyvlm.inputs.policy import Array, Levels, Policy, whole

GROUP = 4
"""Pictures that go to a worker at once: one message costs as much as a tenth of a picture."""
AHEAD = 8
"""Pictures in work for every worker, at most."""
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
    """What a picture's arrays are made of and the digest of its file; or why there is none. Of a picture whose digest was
    known: ().
    """

    path: str
    digest: str = ""
    parts: tuple[Array | Levels, ...] = ()
    error: str = ""

    @property
    def array(self) -> Array:
        """The first one, which is all that encoders alone read."""
        return whole(self.parts[0])


def decode(source: str | Held, policy: Policy, known: frozenset[str] = frozenset()) -> Decoded:
    """One picture. What is wrong with it is said, not raised."""
    path = source.path if isinstance(source, Held) else source
    try:
        data = source.data if isinstance(source, Held) else _read(path)
        digest = hashlib.sha256(data).hexdigest()
        if digest in known:
            return Decoded(path, digest)
        return Decoded(path, digest, tuple(policy.parts(read_image(data))))
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
    waiting: deque[Future[list[Decoded]]] = deque()
    rest = iter(sources)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin) as pool:
        try:
            while some := tuple(islice(rest, GROUP)):
                waiting.append(pool.submit(_decode_some, some, policy, known))
                if len(waiting) >= AHEAD * workers // GROUP:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _decode_some(sources: tuple[str | Held, ...], policy: Policy, known: frozenset[str]) -> list[Decoded]:
    return [decode(source, policy, known) for source in sources]


def _begin() -> None:
    """Workers give way to the process that computes, whose threads wait for each other at every layer; a little, as on a busy
    machine it waits for them. They keep the memory of a picture for the next one: new pages cost a fifth of the time.
    """
    if hasattr(os, "nice"):
        os.nice(5)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD: smaller blocks are kept
        libc.mallopt(-1, 128 << 20)  # M_TRIM_THRESHOLD: as long as they are no more than this


def workers_for(pictures: int) -> int:
    """As many processes as pay: none for a few pictures."""
    return 0 if pictures < FEW else min(8, os.cpu_count() or 1)
