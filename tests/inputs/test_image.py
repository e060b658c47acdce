"""Pictures from every source, upright and on white; bad ones refused in one sentence, before decoding."""

from __future__ import annotations

import base64
import os
import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers.image_transforms import convert_to_rgb

from anyvlm.errors import InputError
from anyvlm.inputs.image import LIMITS, Limits, image_size, read_image


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 2000)) + chunk(b"IEND", b"")


RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)


def test_every_source_gives_the_same_picture(tmp_path: Path) -> None:
    data = encoded(RGB)
    (tmp_path / "a.png").write_bytes(data)
    sources = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        data,
        "data:image/png;base64," + base64.b64encode(data).decode(),
        RGB,
        PIXELS,
        PIXELS.astype(np.float32) / 255,
        PIXELS.astype(np.uint16) * 257,
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        torch.from_numpy(PIXELS).permute(2, 0, 1) / 255,
        (torch.from_numpy(PIXELS).permute(2, 0, 1) / 255).double().requires_grad_(),
    ]
    for source in sources:
        image = read_image(source)
        assert image.mode == "RGB" and np.array_equal(np.asarray(image), PIXELS), type(source)
        assert image_size(source) == (7, 5)


def test_grey_arrays() -> None:
    grey = PIXELS[:, :, 0]
    for source in (grey, grey[:, :, None], torch.from_numpy(grey)[None]):
        assert np.array_equal(np.asarray(read_image(source)), np.stack([grey] * 3, -1))


def test_the_source_stays_as_it_was() -> None:
    image = RGB.copy()
    read_image(image).putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(format: str, orientation: int) -> None:
    corner = Image.new("RGB", (32, 16), "blue")
    corner.paste("red", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(corner, format, exif=exif)
    image = read_image(data)
    assert image.size == image_size(data) == ((32, 16) if orientation < 5 else (16, 32))
    right, bottom = image.width - 3, image.height - 3
    place = {1: (2, 2), 2: (right, 2), 3: (right, bottom), 4: (2, bottom)}
    place |= {5: (2, 2), 6: (right, 2), 7: (right, bottom), 8: (2, bottom)}
    red, _, blue = image.getpixel(place[orientation])
    assert red > 150 > blue


def test_orientation_of_an_open_image_and_of_damaged_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(Image.open(BytesIO(encoded(RGB, "JPEG", exif=exif)))).size == (5, 7)
    assert read_image(encoded(RGB, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")).size == (7, 5)


def transparent() -> list[Image.Image]:
    rgba = Image.fromarray(RNG.integers(0, 256, (6, 4, 4), dtype=np.uint8))
    palette = rgba.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    palette.info["transparency"] = 3
    partly = palette.copy()
    partly.info["transparency"] = bytes(range(0, 240, 30))
    return [rgba, rgba.convert("LA"), palette, partly]


@pytest.mark.parametrize("n", range(4))
def test_transparency_is_composited_on_white_as_in_transformers(n: int) -> None:
    image = transparent()[n]
    expected = convert_to_rgb(image, return_numpy=True)
    assert np.array_equal(np.asarray(read_image(image)), expected)
    assert np.array_equal(np.asarray(read_image(encoded(image))), expected)


def test_black_text_on_a_transparent_page_stays_readable() -> None:
    page = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    page.putpixel((1, 1), (0, 0, 0, 255))
    assert np.asarray(read_image(page)).sum() == 255 * 3 * 15
    assert np.asarray(read_image(np.asarray(page))).sum() == 255 * 3 * 15


def test_sixteen_bits_are_scaled() -> None:
    values = np.array([[0, 128, 257, 32768, 65535]], dtype=np.uint16)
    image = read_image(encoded(Image.fromarray(values)))
    assert [pixel[0] for pixel in np.asarray(image)[0]] == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "RGBX"])
def test_other_modes(mode: str) -> None:
    image = RGB.convert(mode)
    assert np.array_equal(np.asarray(read_image(image)), np.asarray(image.convert("RGB")))


def test_cmyk_jpeg() -> None:
    white = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert read_image(encoded(white, "JPEG")).getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(format: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if format == "WEBP" else {}
    image = read_image(encoded(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert image.getpixel((1, 1)) == (255, 0, 0)


# Refusals -------------------------------------------------------------------------------------------------------------


def refused(source: object, word: str, limits: Limits = LIMITS) -> None:
    for reader in (read_image, image_size):
        with pytest.raises(InputError, match=word) as caught:
            reader(source, limits=limits)
        text = str(caught.value)
        assert text.endswith(".") and "\n" not in text and len(text) < 500


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (b"", "empty"),
        (b"hello, this is no image", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (png_header(13_000, 13_000), "megapixels"),
        (png_header(65_535, 65_535), "megapixels"),
        (png_header(2**31 - 1, 2**31 - 1), "megapixels|damaged"),
        (png_header(300, 1), "200 times"),
        (png_header(0, 9), "no pixels|damaged"),
        ("data:image/png;base64,@@@", "base64"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png,abc", "base64"),
        ("file:///etc/passwd", "only paths"),
        ("https://example.org/cat.png", "fetching is off"),
        ("HTTP://example.org/cat.png", "fetching is off"),
        ("/nowhere/cat.png", "no file"),
        ("a\0b", "cannot be read|no file"),
        ("x" * 5000, "cannot be read"),
        ("/dev/zero", "regular file"),
        (".", "directory"),
        (7, "int is not an image"),
        (None, "NoneType is not an image"),
        (np.zeros((3, 5, 7), np.uint8), "shape"),
        (np.zeros((5,), np.uint8), "shape"),
        (np.zeros((0, 5), np.uint8), "no pixels"),
        (np.zeros((5, 7), np.int64), "int64"),
        (np.full((5, 7), 2.0), "between 0 and 1"),
        (np.full((5, 7), np.nan), "between 0 and 1"),
        (torch.zeros(5, 7, 3), "tensor of shape"),
        (torch.zeros(1, 3, 5, 7), "tensor of shape"),
    ],
)
def test_refused(source: object, word: str) -> None:
    refused(source, word)


@pytest.mark.filterwarnings("error")
def test_a_bomb_costs_nothing_and_prints_nothing() -> None:
    tracemalloc.start()
    refused(png_header(13_000, 13_000), "169|megapixels")
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_limits() -> None:
    data = encoded(RGB)
    refused(data, "MB", Limits(encoded=len(data) - 1))
    refused(data, "megapixels", Limits(pixels=34))
    refused(RGB, "megapixels", Limits(pixels=34))
    refused(PIXELS, "megapixels", Limits(pixels=34))
    refused("data:image/png;base64," + "A" * 400, "MB", Limits(encoded=200))
    assert read_image(data, limits=Limits(encoded=len(data), pixels=35)).size == (7, 5)


def test_limit_of_a_file(tmp_path: Path) -> None:
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(10**10)
    refused(tmp_path / "sparse.png", "20 MB")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "regular file")


def test_pixels_of_unknown_range() -> None:
    for mode in ("I", "F"):
        with pytest.raises(InputError, match="no agreed white"):
            read_image(RGB.convert("L").convert(mode))


def test_tiny_images() -> None:
    assert read_image(png_header(1, 1)).size == (1, 1)
    assert read_image(encoded(Image.new("RGB", (1, 200)))).size == (1, 200)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_cut_off_files(format: str) -> None:
    data = encoded(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), format)
    for length in range(0, len(data) - 2, max(1, len(data) // 40)):
        try:
            read_image(data[:length])
        except InputError:
            continue
        # Pillow fills what is missing at the end of some streams only if it is metadata
        assert length > len(data) * 0.9, f"{length} of {len(data)} bytes were taken for a whole image"


@given(
    format=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_files_are_read_or_refused(format: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(encoded(RGB, format))
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        size = image_size(bytes(data))
        assert read_image(bytes(data)).size == size
    except InputError as error:
        assert "0x" not in str(error)
