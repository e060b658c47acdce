"""Videos of any container: times before pictures, the right frames, upright; whatever is broken is one sentence."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anyvlm.errors import InputError
from anyvlm.inputs.film import evenly
from anyvlm.inputs.video import Reel, read_footage, read_frames, within_reach
from tests.clips import clip

KINDS = [
    ("mp4", "mpeg4"), ("mp4", "libx264"), ("webm", "libvpx"), ("webm", "libvpx-vp9"), ("matroska", "libx264"),
    ("matroska", "ffv1"), ("avi", "mpeg4"), ("mov", "mjpeg"), ("mpegts", "libx264"), ("flv", "libx264"), ("gif", "gif"),
]  # fmt: skip
PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p"}


def grey(image: Image.Image) -> int:
    """Of the lower right quarter."""
    return int(np.asarray(image)[-10:, -10:].mean())


@pytest.mark.parametrize(("kind", "codec"), KINDS)
def test_frames_at_their_times(kind: str, codec: str) -> None:
    data, slack = clip(kind, codec, pixels=PIXELS.get(codec, "yuv420p")), 40 if codec == "gif" else 4
    footage = read_footage(data)
    assert (footage.width, footage.height, footage.count) == (64, 48, 30)
    assert footage.rate == 10 and footage.duration == 3
    assert [footage.time(n) for n in (0, 7, 29)] == pytest.approx([0, 0.7, 2.9], abs=2e-3)
    wanted = [0, 3, 3, 9, 17, 28, 29, 2]
    images = read_frames(data, wanted)
    assert [image.size for image in images] == [(64, 48)] * len(wanted) and {image.mode for image in images} == {"RGB"}
    assert [grey(image) for image in images] == pytest.approx([8 * n for n in wanted], abs=slack)
    assert np.asarray(images[3])[5, 5, 0] > 200


@pytest.mark.parametrize("kind", ["mp4", "matroska", "mpegts"])
def test_leaps_lead_to_the_same_frames(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With places to begin decoding at, or all from the start; frames that refer to later ones too."""
    data = clip(kind, "libx264", frames=90, gap=12, options=(("bf", "3"),))
    footage, wanted = read_footage(data), [1, 25, 26, 50, 88]
    assert 6 < len(footage.keys) < 30
    leaping = read_frames(data, wanted)
    monkeypatch.setattr("anyvlm.inputs.video.bisect_right", lambda keys, tick: 0)
    walking = read_frames(data, wanted)
    for a, b, n in zip(leaping, walking, wanted, strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b))
        assert grey(a) == pytest.approx(8 * n % 256, abs=4)


@pytest.mark.parametrize(("turn", "corner"), [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (270, (0, -1))])
def test_upright(turn: int, corner: tuple[int, int]) -> None:
    """The mark in the upper left corner goes where a phone's note on its position takes it."""
    data = clip("mp4", "libx264", turn=turn)
    size = (64, 48) if turn % 180 == 0 else (48, 64)
    assert (read_footage(data).width, read_footage(data).height) == size
    (image,) = read_frames(data, [4])
    assert image.size == size and tuple(np.asarray(image)[corner])[0] > 200


def test_sound_beside_it() -> None:
    assert read_footage(clip("mp4", "mpeg4", sound=True)).duration == 3
    with pytest.raises(InputError, match="no moving pictures"):
        read_footage(only_sound())


def only_sound() -> bytes:
    import io

    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    return out.getvalue()


def test_sources(tmp_path: Path) -> None:
    data = clip()
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    url = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
    for source in (path, str(path), data, url):
        assert read_footage(source) == read_footage(data)
        assert grey(read_frames(source, [5])[0]) == pytest.approx(40, abs=4)
    assert within_reach(url) == data and within_reach(path) == path


def test_reel() -> None:
    frames = [Image.new("RGB", (30, 20), (n, n, n)) for n in range(10)]
    footage = read_footage(Reel(frames, 4.0))
    assert (footage.count, footage.rate, footage.duration, footage.time(3)) == (10, 4.0, 2.5, 0.75)
    assert [grey(image) for image in read_frames(Reel(frames, 4.0), [1, 9])] == [1, 9]
    mixed = Reel([frames[0], Image.new("RGB", (60, 40))], 1.0)
    assert read_frames(mixed, [1])[0].size == (30, 20)
    for wrong in (Reel([], 4.0), Reel(frames, 0.0), Reel(frames, float("nan"))):
        with pytest.raises(InputError):
            read_footage(wrong)


GOOD = clip("mp4", "libx264")
BROKEN = {
    "zero": (b"", "empty"),
    "text": (b"This is no video at all.\n" * 20, "no video that can be read"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "no video that can be read"),
    "cut": (GOOD[: len(GOOD) // 2], "cut off"),
    "cut webm": (clip("webm", "libvpx-vp9")[:1500], "cut off"),
    "cut mkv": (clip("matroska", "ffv1")[: len(clip("matroska", "ffv1")) // 2], "cut off"),
    "cut mp4": (clip("mp4", "libx264", options=(("x", "y"),))[:40], "cut off"),
    "cut avi": (clip("avi", "mpeg4")[: len(clip("avi", "mpeg4")) * 3 // 4], "cut off"),
    "no decoder": (GOOD.replace(b"avc1", b"zzz1"), "no decoder"),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", "no video that can be read"),
    "concat": (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "no video that can be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str, tmp_path: Path) -> None:
    data, words = BROKEN[name]
    (tmp_path / "broken.mp4").write_bytes(data)
    for source in (data, tmp_path / "broken.mp4"):
        with pytest.raises(InputError, match=words) as caught:
            read_frames(source, [0])
        sentence = str(caught.value)
        assert sentence.endswith(".") and "\n" not in sentence
        assert ("broken.mp4" in sentence) == isinstance(source, Path)


def test_what_is_no_file(tmp_path: Path) -> None:
    for source, words in ((tmp_path / "no.mp4", "no file"), (tmp_path, "directory"), ("ftp://a/b.mp4", "not understood")):
        with pytest.raises(InputError, match=words):
            read_footage(source)
    with pytest.raises(InputError, match="fetching is off"):
        read_footage("https://example.com/a.mp4")


def test_frames_too_large() -> None:
    with pytest.raises(InputError, match="200 times"):
        read_footage(clip("matroska", "rawvideo", frames=2, size=(2020, 10)))


@pytest.mark.parametrize(("kind", "codec"), [KINDS[n] for n in (1, 3, 6, 8)])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes(kind: str, codec: str, data: st.DataObject) -> None:
    """Any bytes changed, and perhaps the end missing: the frames that the plan counted, or one sentence."""
    good = clip(kind, codec)
    spoiled = bytearray(good)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=30)):
        spoiled[at] = value
    spoiled = spoiled[: data.draw(st.one_of(st.just(len(good)), st.integers(0, len(good))))]
    try:
        footage = read_footage(bytes(spoiled))
        wanted = sorted({0, footage.count // 2, footage.count - 1})
        images = read_frames(bytes(spoiled), wanted)
    except InputError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
    else:
        assert [image.size for image in images] == [(footage.width, footage.height)] * len(wanted)
        assert 0 < footage.duration < float("inf") and 0 < footage.rate < float("inf")


def test_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"pip install 'anyvlm\[video\]'"):
        read_footage(GOOD)


def test_pyav_is_loaded_for_videos_alone() -> None:
    code = "import sys, anyvlm.generate.model, anyvlm.cli.ask; assert 'av' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_nothing_is_said_aside(tmp_path: Path) -> None:
    """FFmpeg's own remarks about a damaged file do not reach the user."""
    (tmp_path / "cut.mp4").write_bytes(clip("mpegts", "libx264")[:5000])
    code = (
        "import sys\nfrom anyvlm.errors import InputError\nfrom anyvlm.inputs.video import read_footage, read_frames\n"
        "try:\n    read_frames(sys.argv[1], [read_footage(sys.argv[1]).count - 1])\nexcept InputError:\n    pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cut.mp4")], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")


@given(st.integers(1, 100_000), st.integers(1, 768))
def test_frames_at_equal_distances_are_those_of_torch(count: int, places: int) -> None:
    import torch

    places = min(places, count)
    assert evenly(count, places) == torch.linspace(0, count - 1, places).round().long().tolist()
