"""Pictures from anywhere, as upright RGB, with limits that are checked before a pixel is decoded.

One rule for colour, whatever the source: transparency is composited on white, as browsers show it and as transformers
5 does. (A bare ``convert("RGB")`` drops the alpha channel and uncovers the colour stored under transparent pixels,
usually black: black text on a black page.) 16-bit grey is scaled to 8 bits, where ``convert("RGB")`` clips it to white.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, Union

import numpy as np
import numpy.typing as npt
from PIL import Image

from anyvlm.errors import InputError

if TYPE_CHECKING:
    import torch

ImageSource: TypeAlias = Union[str, Path, bytes, Image.Image, npt.NDArray[np.generic], "torch.Tensor"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The only decoders ever reached; the other forty of Pillow have a history of security holes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused before decoding. Pixels of one image, bytes of its file, long side over short side."""

    pixels: int = 40_000_000
    encoded: int = 20_000_000
    ratio: int = 200


LIMITS = Limits()


def read_image(source: ImageSource, *, remote: bool = False, limits: Limits = LIMITS) -> Image.Image:
    """The picture as upright RGB.

    `source`: a path, a ``data:`` URL with base64, encoded bytes, a PIL image, a numpy array (H, W) or (H, W, 1|3|4) of
    uint8, uint16 or floats in 0..1, a torch tensor (1|3|4, H, W) of the same types, or, only with `remote=True`, an
    http(s) URL that leads to a public address. Of an animation the first frame is taken.
    Raises InputError (NetworkError for a failed download) with one sentence.
    """
    with _opened(source, remote, limits) as image:
        try:
            return _upright(_rgb(image), _orientation(image))
        except InputError:
            raise
        except Exception:  # Pillow raises over a dozen types; their texts may leak addresses, so none is shown
            raise InputError(
                f"{name_of(source)} is damaged, cut off or in an unknown colour space; save it again as PNG or JPEG."
            ) from None


def image_size(source: ImageSource, *, remote: bool = False, limits: Limits = LIMITS) -> tuple[int, int]:
    """(width, height) of the upright picture, from its header alone. Same sources and errors as `read_image`."""
    with _opened(source, remote, limits) as image:
        width, height = image.size
        return (height, width) if _orientation(image) >= 5 else (width, height)


# Opening --------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(source: ImageSource, remote: bool, limits: Limits) -> Iterator[Image.Image]:
    """The image with its header read and its limits checked, pixels not yet decoded."""
    if isinstance(source, Image.Image):
        _check(source.size, name_of(source), limits)
        yield source
    elif isinstance(source, np.ndarray):
        yield _from_array(source, limits)
    elif (torch := sys.modules.get("torch")) is not None and isinstance(source, torch.Tensor):
        yield _from_tensor(source, limits)
    elif isinstance(source, (str, Path, bytes)):
        data = _encoded(source, remote, limits)
        if not data:
            raise InputError(f"{name_of(source)} is empty (0 bytes).")
        if len(data) > limits.encoded:
            raise InputError(f"{name_of(source)} has more than the allowed {limits.encoded / 1e6:g} MB; make it smaller.")
        yield _from_bytes(data, name_of(source), limits)
    else:
        raise InputError(
            f"A {type(source).__name__} is not an image; give a path, bytes, data URL, PIL image, array or tensor."
        )


def _encoded(source: str | Path | bytes, remote: bool, limits: Limits) -> bytes:
    if isinstance(source, bytes):
        return source
    if (data := fetched(source, remote, limits)) is not None:
        return data
    with local_file(Path(source)) as file:
        return file.read(limits.encoded + 1)


def fetched(source: str | Path, remote: bool, limits: Limits, what: str = "image") -> bytes | None:
    """The bytes behind an address: ``data:``, or http(s) if `remote`. None for a path. `what` it is shows in errors."""
    if isinstance(source, Path):
        return None
    scheme = source[:10].lower()
    if scheme.startswith("data:"):
        return _from_data_url(source, limits, what)
    if scheme.startswith(("http://", "https://")):
        if not remote:
            raise InputError(f"{name_of(source)} is a web address and fetching is off; allow it or give a file.")
        from anyvlm.inputs.remote import fetch  # the http client is not loaded for local pictures

        return fetch(source, limit=limits.encoded)
    if "://" in source:
        raise InputError(f"{name_of(source)} is not understood: only paths, data: and http(s): addresses are {what}s.")
    return None


@contextmanager
def local_file(path: Path, what: str = "image") -> Iterator[BinaryIO]:
    """The opened file. Raises InputError for what is no readable regular file."""
    try:
        if path.is_dir():
            raise InputError(f"'{path}' is a directory; give {_an(what)} file.")
        if not path.exists():
            raise InputError(f"There is no file '{path}'.")
        if not path.is_file():  # a pipe or device could block for ever or never end
            raise InputError(f"'{path}' is not a regular file; give {_an(what)} file.")
        with path.open("rb") as file:
            yield file
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a valid file name"
        raise InputError(f"{name_of(path)} cannot be read: {reason}.") from None


def _an(what: str) -> str:
    return f"an {what}" if what == "image" else f"a {what}"


def _from_data_url(url: str, limits: Limits, what: str) -> bytes:
    head, comma, payload = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        form = "image/png" if what == "image" else "video/mp4"
        raise InputError(f"The data URL is not of the form 'data:{form};base64,...'.")
    if len(payload) > limits.encoded * 3 // 2:  # base64 needs 4/3, line breaks a little
        raise InputError(f"The data URL has more than the allowed {limits.encoded / 1e6:g} MB; make the {what} smaller.")
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InputError("The data URL is not valid base64.") from None


def _from_bytes(data: bytes, name: str, limits: Limits) -> Image.Image:
    unreadable = f"{name} is not an image that can be read; it is damaged, or not one of {', '.join(FORMATS)}."
    import imagesize  # it brings the http client and an XML parser

    try:
        size = imagesize.get(BytesIO(data))
    except Exception:  # a damaged header can raise anything
        raise InputError(unreadable) from None
    if size != (-1, -1):  # unknown to imagesize; else checked before Pillow, which would print a warning of its own
        _check(size, name, limits)
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception:
        raise InputError(unreadable) from None
    _check(image.size, name, limits)
    return image


def _from_tensor(tensor: torch.Tensor, limits: Limits) -> Image.Image:
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise InputError(f"A tensor of shape {tuple(tensor.shape)} is not an image; it must be (3, height, width).")
    if tensor.is_floating_point():
        tensor = tensor.float()  # numpy has no bfloat16
    return _from_array(tensor.detach().cpu().permute(1, 2, 0).numpy(), limits)


def _from_array(array: npt.NDArray[np.generic], limits: Limits) -> Image.Image:
    shape = array.shape
    if len(shape) == 3 and shape[2] == 1:
        array = array[:, :, 0]
    elif len(shape) != 2 and not (len(shape) == 3 and shape[2] in (3, 4)):
        raise InputError(
            f"An array of shape {shape} is not an image; it must be (height, width) or (height, width, 3 or 4)."
        )
    _check((shape[1], shape[0]), "The array", limits)
    if array.dtype == np.uint16:
        array = _eight_bits(array)
    elif array.dtype in (np.float16, np.float32, np.float64):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise InputError("An array of floats is an image only with every value between 0 and 1.")
        array = np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise InputError(
            f"An array of {array.dtype} is not an image; it must be uint8, uint16 or floats between 0 and 1."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _check(size: tuple[int, int], name: str, limits: Limits) -> None:
    width, height = size
    if min(size) < 1:
        raise InputError(f"{name} has no pixels ({width} x {height}).")
    if width * height > limits.pixels:
        raise InputError(
            f"{name} has {width} x {height} pixels; at most {limits.pixels / 1e6:g} megapixels are allowed."
        )
    if max(size) > limits.ratio * min(size):
        raise InputError(f"{name} is {width} x {height}, more than {limits.ratio} times as long as wide; cut it up.")


def name_of(source: ImageSource, what: str = "image") -> str:
    """How an error calls the source; never its content."""
    if isinstance(source, bytes):
        return f"The {what}"
    if isinstance(source, (str, Path)):
        text = str(source)
        if text[:5].lower() == "data:":
            return f"The {what} in the data URL"
        return f"'{text if len(text) <= 200 else text[:200] + '...'}'"
    return f"The {type(source).__name__}"


# Pixels ---------------------------------------------------------------------------------------------------------------


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB on white; the first frame; a new image even when nothing changes."""
    image.load()
    if image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(
            f"Pixels of 32 bits (mode {image.mode}) have no agreed white; convert to 8 bits, or give an array in 0..1."
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(grey: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """0..65535 to 0..255, rounded: 65535 / 257 = 255."""
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8, as far as it is known without decoding.

    Pillow turns a TIFF itself. A PNG that carries its EXIF after the pixels is taken as upright: to look there, every
    header would have to be read to the end of the file.
    """
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata does not make the picture unreadable
        return 1
    return value if value in _UPRIGHT else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
