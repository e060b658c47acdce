"""webdataset shards: members that share a name up to its first dot are one sample (key.jpg, key.txt, key.json, key.cls).

A shard that is cut off gives its whole samples first and then one error that names it: who measures stops there, and who
trains may catch the error and go on with the next shard. A tar ends with blocks of zeros, so a cut between two members is seen.
"""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from anyvlm.data.pairs import Pair
from anyvlm.errors import InputError

PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, OSError)


def read(path: Path) -> Iterator[Pair]:
    """The samples of a shard that hold a picture, in order. Raises InputError for one that is cut off or damaged."""
    whole, key, fields = 0, "", dict[str, bytes]()
    try:
        for name, content in _members(path):
            stem, _, ending = name.rpartition("/")[2].partition(".")
            here = f"{name.rpartition('/')[0]}/{stem}"
            if here != key:
                if fields and (pair := _pair(key, fields, path)):
                    yield pair
                    whole += 1
                key, fields = here, {}
            fields[ending.lower()] = content
    except _DAMAGE:
        raise InputError(
            f"The shard '{path}' is cut off or damaged after {whole} whole samples; fetch it again, or leave it out."
        ) from None
    if fields and (pair := _pair(key, fields, path)):
        yield pair


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    opened = gzip.open if path.name.lower().endswith("gz") else open
    with opened(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # else every header is kept
            if member.isfile() and not member.name.rpartition("/")[2].startswith("."):
                content = tar.extractfile(member)
                assert content is not None
                yield member.name, content.read()
        file.seek(tar.offset)
        if file.read(512) != bytes(512):
            raise EOFError


def _pair(key: str, fields: dict[str, bytes], path: Path) -> Pair | None:
    image = next((fields[ending] for ending in PICTURES if ending in fields), None)
    if image is None:
        return None
    captions, labels = tuple(_lines(fields.get("txt", b""))), None
    try:
        if "cls" in fields:
            labels = (int(fields["cls"]),)
        if not captions and "json" in fields and isinstance(said := json.loads(fields["json"]).get("caption"), str):
            captions = (said,)
    except (ValueError, AttributeError):
        raise InputError(f"The sample {key.lstrip('/')} of '{path}' has a .cls or .json that cannot be read.") from None
    return Pair(f"{path}:{key.lstrip('/')}", image, captions, labels)


def _lines(data: bytes) -> Iterator[str]:
    """The captions of a .txt, one a line."""
    return (line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip())


def names(folder: Path, file: str) -> tuple[str, ...]:
    """The lines of a text file of CLIP_benchmark's web data sets, beside the shards or one folder above; () without one."""
    for at in (folder / file, folder.parent / file):
        if at.is_file():
            return tuple(_lines(at.read_bytes()))
    return ()


def templates(folder: Path) -> tuple[str, ...]:
    """The sentences that come with the data, with {} for the class (CLIP_benchmark writes {c})."""
    return tuple(line.replace("{c}", "{}") for line in names(folder, "zeroshot_classification_templates.txt"))
