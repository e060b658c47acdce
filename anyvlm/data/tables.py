"""Tables of pictures and captions or labels: CSV and TSV with a header, Parquet (pyarrow, an extra).

The picture is a path relative to the table, or, in Parquet, bytes, or a {bytes, path} as the `datasets` library writes it.
A label is a number, or a name; names are numbered in the order of the alphabet.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anyvlm.data.pairs import Columns, Pair
from anyvlm.errors import InputError

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

USUAL = {
    "image": ("image", "image_path", "filepath", "file_name", "filename", "path", "file"),
    "caption": ("caption", "title", "text", "captions", "sentence"),
    "label": ("label", "class", "labels", "cls"),
}


def classes(paths: Sequence[Path], columns: Columns) -> tuple[str, ...]:
    """The names of labels: those a Parquet file names itself, or all that occur; () where no column holds labels."""
    if found := next((names for path in paths if (names := _own_names(path, columns))), ()):
        return found
    named = set[str]()
    for path in paths:
        for row, (_, _, label) in _rows(path, columns, pictures=False):
            if label is None:
                return ()
            named.add(str(row[label]))
    if named and all(name.isdecimal() for name in named):
        return tuple(str(n) for n in range(max(map(int, named)) + 1))
    return tuple(sorted(named))


def read(path: Path, columns: Columns, names: Sequence[str]) -> Iterator[Pair]:
    """A pair for every row. Raises InputError for columns that are not there and rows that are too short."""
    numbers = {name: n for n, name in enumerate(names)}
    for n, (row, (image, caption, label)) in enumerate(_rows(path, columns)):
        labels = None
        if label is not None:
            value = row[label]
            labels = (value if isinstance(value, int) else numbers[str(value)],)
        key, source = _image(row[image], path, n)
        yield Pair(key, source, () if caption is None else _captions(row[caption]), labels)


_Row = Mapping[str, object]
_Chosen = tuple[str, str | None, str | None]


def _rows(path: Path, columns: Columns, *, pictures: bool = True) -> Iterator[tuple[_Row, _Chosen]]:
    """Every row with the columns that hold its picture, caption and label. Without `pictures` their bytes are not read."""
    if path.suffix.lower() == ".parquet":
        file = _parquet(path)
        chosen = _choose(path, file.schema_arrow.names, columns)
        wanted = [name for name in (chosen if pictures else chosen[1:]) if name is not None]
        for batch in file.iter_batches(256, columns=wanted):
            yield from ((row, chosen) for row in batch.to_pylist())
        return
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(newline="", encoding="utf-8-sig") as text:
        reader = csv.DictReader(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        try:
            chosen = _choose(path, list(reader.fieldnames or ()), columns)
            for row in reader:
                if None in row.values():
                    raise InputError(f"Line {reader.line_num} of '{path}' has fewer fields than the header.")
                yield row, chosen
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"'{path}' cannot be read at line {reader.line_num}: {error}.") from None


def _choose(path: Path, there: Sequence[str], columns: Columns) -> _Chosen:
    chosen = list[str | None]()
    for what, asked in (("image", columns.image), ("caption", columns.caption), ("label", columns.label)):
        if asked is not None and asked not in there:
            raise InputError(f"'{path}' has no column '{asked}'; it has {', '.join(there)}.")
        chosen.append(asked or next((name for name in USUAL[what] if name in there), None))
    image, caption, label = chosen
    if image is None:
        raise InputError(f"No column of '{path}' is known to hold pictures ({', '.join(there)}); name it.")
    return image, caption, label


def _image(value: object, path: Path, n: int) -> tuple[str, Path | bytes]:
    if isinstance(value, dict):  # a picture of the `datasets` library
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return f"{path}:{n}", value
    if isinstance(value, str) and value:
        return value, path.parent / value
    raise InputError(f"Row {n + 1} of '{path}' holds no picture.")


def _captions(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(one) for one in value)
    return () if value is None or value == "" else (str(value),)


def _own_names(path: Path, columns: Columns) -> tuple[str, ...]:
    """The names of a `datasets` ClassLabel, which stand in the file's metadata."""
    if path.suffix.lower() != ".parquet":
        return ()
    schema = _parquet(path).schema_arrow
    label = _choose(path, schema.names, columns)[2]
    info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = info.get("info", {}).get("features", {}).get(label, {})
    return tuple(feature.get("names", ())) if isinstance(feature, dict) else ()


def _parquet(path: Path) -> ParquetFile:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InputError("Parquet is read by the package pyarrow: pip install 'anyvlm[search]'.") from None
    try:
        return ParquetFile(path)
    except (ArrowInvalid, OSError) as error:
        raise InputError(f"'{path}' is not a Parquet file that can be read: {error}.") from None
