"""The same samples out of every container, and one sentence for what is wrong with it."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from anyvlm.data.pairs import Columns, Pair, expand, read_pairs
from anyvlm.errors import InputError


def png(n: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 40), (n, n, 0)).save(out, "PNG")
    return out.getvalue()


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def shard(path: Path, start: int = 0, count: int = 4) -> Path:
    members = dict[str, bytes]()
    for n in range(start, start + count):
        members |= {f"d/{n:04}.jpg": png(n), f"d/{n:04}.txt": f"picture {n}\nnumber {n}".encode(), f"d/{n:04}.cls": b"1"}
    return tar(path, members)


def test_webdataset(tmp_path: Path) -> None:
    for n in range(12):
        shard(tmp_path / f"x-{n:03}.tar", 4 * n)
    (tmp_path / "classnames.txt").write_text("cat\ndog\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\n")
    data = read_pairs(str(tmp_path / "x-{000..011}.tar"))
    pairs = list(data)
    assert len(pairs) == 48 and pairs == list(data)  # once more from the start
    assert pairs[5].image == png(5) and pairs[5].captions == ("picture 5", "number 5") and pairs[5].labels == (1,)
    assert data.classes == ("cat", "dog") and data.templates == ("a photo of a {}.",)
    assert list(read_pairs(tmp_path)) == pairs  # a folder of shards
    packed = tmp_path / "one.tar.gz"
    packed.write_bytes(gzip.compress((tmp_path / "x-000.tar").read_bytes()))
    assert [pair.image for pair in read_pairs(packed)] == [pair.image for pair in pairs[:4]]


def test_captions_in_json(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", {"1.png": png(1), "1.json": json.dumps({"caption": "one"}).encode(), "notes.md": b"x"})
    (pair,) = read_pairs(tmp_path / "a.tar")
    assert pair.captions == ("one",) and pair.labels is None


@pytest.mark.parametrize("packed", [False, True])
def test_a_shard_cut_anywhere_gives_whole_samples_then_one_error(tmp_path: Path, packed: bool) -> None:
    whole = shard(tmp_path / "x.tar").read_bytes()
    whole = gzip.compress(whole, 0) if packed else whole
    file = tmp_path / ("cut.tar.gz" if packed else "cut.tar")
    last = 0
    ends = 10_240  # at most: zeros up to a full record, which one may lose
    for length in range(0, len(whole) - 1 - ends, 509):
        file.write_bytes(whole[:length])
        pairs = list[Pair]()
        with pytest.raises(InputError) as error:
            for pair in read_pairs(file):
                pairs.append(pair)
        assert f"The shard '{file}' is cut off or damaged after {len(pairs)} whole samples" in str(error.value)
        assert all(pair.image == png(n) and pair.captions[1] == f"number {n}" for n, pair in enumerate(pairs))
        assert last <= len(pairs) <= 4
        last = len(pairs)
    assert last >= 3


def test_tables(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.png").write_bytes(png(n))
    (tmp_path / "a.csv").write_text('filepath,title\n0.png,"a cat, asleep"\n1.png,"two\nlines"\n')
    (tmp_path / "a.tsv").write_text("bild\ttext\tclass\n0.png\tx\tdog\n1.png\ty\tcat\n")
    first, second = read_pairs(tmp_path / "a.csv")
    assert first == Pair("0.png", tmp_path / "0.png", ("a cat, asleep",)) and second.captions == ("two\nlines",)
    data = read_pairs(tmp_path / "a.tsv", Columns(image="bild"))
    assert data.classes == ("cat", "dog") and [pair.labels for pair in data] == [(1,), (0,)]
    with pytest.raises(InputError, match=r"No column of .* hold pictures \(bild, text, class\); name it"):
        list(read_pairs(tmp_path / "a.tsv"))
    with pytest.raises(InputError, match="no column 'foto'; it has filepath, title"):
        list(read_pairs(tmp_path / "a.csv", Columns(image="foto")))
    (tmp_path / "short.csv").write_text("image,caption\n0.png,x\n1.png\n")
    with pytest.raises(InputError, match=r"Line 3 of .* fewer fields"):
        list(read_pairs(tmp_path / "short.csv"))
    (tmp_path / "latin.csv").write_bytes("image,caption\n0.png,é\n".encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read at line"):
        list(read_pairs(tmp_path / "latin.csv"))


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}}
    images, texts = [{"bytes": png(n), "path": None} for n in range(3)], [["a", "b"], ["c"], []]
    table = pa.table({"image": images, "label": [0, 1, 0], "text": texts})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), tmp_path / "a.parquet")
    data = read_pairs(tmp_path / "a.parquet")
    pairs = list(data)
    assert data.classes == ("cat", "dog") and [pair.labels for pair in pairs] == [(0,), (1,), (0,)]
    assert pairs[1].image == png(1) and pairs[0].captions == ("a", "b") and pairs[2].captions == ()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="not a Parquet file"):
        read_pairs(tmp_path / "bad.parquet")


def test_folders(tmp_path: Path) -> None:
    for name in ("tabby_cat/1.png", "tabby_cat/deep/2.png", "dog/3.png", "stray.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(1))
    (tmp_path / "empty").mkdir()
    data = read_pairs(tmp_path)
    assert data.classes == ("dog", "tabby cat")
    labels = {pair.key: pair.labels for pair in data}
    assert labels == {"dog/3.png": (0,), "tabby_cat/1.png": (1,), "tabby_cat/deep/2.png": (1,)}
    (tmp_path / "dog" / "3.txt").write_text("a dog\nan animal\n")
    data = read_pairs(tmp_path)
    assert data.classes == () and [pair.captions for pair in data if pair.key == "dog/3.png"] == [("a dog", "an animal")]
    with pytest.raises(InputError, match="There are no pictures"):
        list(read_pairs(tmp_path / "empty"))


def test_what_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("x")
    wrong = {"a.doc": "not a data set", "b.tar": "There is no data set", "x-{7..2}.tar": "counts from 7 to 2"}
    for name, said in wrong.items():
        with pytest.raises(InputError, match=said):
            read_pairs(tmp_path / name)
    (tmp_path / "y-09.tar").touch()
    (tmp_path / "y-10.tar").touch()
    assert [path.name for path in expand(str(tmp_path / "y-{09..10}.tar"))] == ["y-09.tar", "y-10.tar"]


def test_reading_needs_no_torch() -> None:
    code = "import sys, anyvlm.data.pairs, anyvlm.data.tars, anyvlm.data.tables, anyvlm.data.folders, anyvlm.data.curate\n"
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)
