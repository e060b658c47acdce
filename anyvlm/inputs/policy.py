"""From an upright RGB picture to the pixel array an encoder was trained on.

The arithmetic is that of the Pillow image processors of transformers (5.23), bit for bit: Pillow's resize on 8-bit
pixels, floor for the longer edge, the same crop offsets, float64 rescale rounded to float32 before the float32
normalisation. Readers and writers of ``preprocessor_config.json`` stand at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from anyvlm.errors import SpecError
from anyvlm.parts.cut import Cut
from anyvlm.spec import Json, JsonValue, Spec

Resample: TypeAlias = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom in pixels
Rounds: TypeAlias = Literal["two", "last"]
Triple: TypeAlias = tuple[float, float, float]
Array: TypeAlias = npt.NDArray[np.float32]  # (3, height, width), as an encoder reads it

CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)
CLIP_FILL = (122, 116, 104)
"""The mean colour as LLaVA pads with it: int(255 * mean), rounded down (``process_images`` in llava/mm_utils.py)."""
HALF: Triple = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)

_RESAMPLE: tuple[Resample, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # by Pillow's number
_LARGE = 64_000_000  # pixels of a resized picture beyond which only what a crop keeps is made; one of 200:1 at 512 has 52
_ROWS = 128  # of a padded square held at a time


@dataclass(frozen=True)
class Levels:
    """An array before its values, a quarter of their size: bytes (3, h, w), and (3, 256) what a channel's byte stands for."""

    bytes_3hw: npt.NDArray[np.uint8]
    table: npt.NDArray[np.float32]

    def values(self) -> Array:
        """The array (3, h, w)."""
        out = np.empty(self.bytes_3hw.shape, np.float32)
        for channel, levels in enumerate(self.bytes_3hw):
            np.take(self.table[channel], levels, out=out[channel], mode="clip")  # other modes check places and copy
        return out


class Policy(Spec):
    """Contract of policies: a picture -> the pixel arrays that the encoder reads, and their sizes without the picture."""

    def cut(self, width: int, height: int) -> Cut:
        """What a picture of this size in pixels becomes."""
        raise NotImplementedError

    def arrays(self, image: Image.Image) -> list[Array]:
        """The arrays of an upright RGB picture (`read_image`), of the sizes and in the order that `cut` tells."""
        raise NotImplementedError

    def parts(self, image: Image.Image) -> Sequence[Array | Levels]:
        """The same arrays as small as they can be said, for another process to send: `whole` makes arrays of them."""
        return self.arrays(image)

    def of_frames(self, count: int) -> Policy:
        """The policy for each of so many frames of a video."""
        return self


@dataclass(frozen=True, kw_only=True)
class ImagePolicy(Policy):
    """How a picture of any size becomes pixels of the encoder's size.

    fit: "stretch"  resize to `size`, aspect ratio lost (SigLIP)
         "crop"     shorter edge to `short`, then the centre of `size`; black where the centre is larger (CLIP, DINOv2)
         "pad"      on a square of colour `fill` first, then as "crop" (LLaVA-1.5)
         "keep"     shrink to fit into `size`, never enlarge; both sides rounded up to multiples of `multiple` (Pixtral)
         "corner"   shrink to fit into `size`, never enlarge; in the top left corner of a canvas of colour `fill`, whose sides
                    are multiples of `multiple` (Fuyu)
    size: (height, width) of the result; the largest result for "keep" and "corner".
    short: target of the shorter edge before the crop; None is the shorter side of `size`.
    middle: how half a pixel is rounded where the crop begins: "floor" (transformers), or "even" (torchvision).
    nearest: the longer edge is then rounded to the nearest pixel (Chameleon's authors), not down (transformers).
    rounds: a resize makes bytes after each of its "two" passes, as Pillow does, or after the "last" alone (torchvision).
    value = (pixel * rescale - mean) / std
    """

    size: tuple[int, int]
    fit: Literal["stretch", "crop", "pad", "keep", "corner"]
    short: int | None = None
    resample: Resample = "bicubic"
    rounds: Rounds = "two"
    fill: tuple[int, int, int] | None = None
    middle: Literal["floor", "even"] = "floor"
    multiple: int = 1
    nearest: bool = False
    rescale: float = 1 / 255
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.multiple < 1 or (self.short is not None and self.short < 1):
            raise SpecError(f"ImagePolicy: size {self.size}, short and multiple must be at least 1.")
        if self.fit in ("pad", "corner") and self.fill is None:
            raise SpecError(f"ImagePolicy: fit '{self.fit}' needs the colour `fill`, such as (122, 116, 104).")
        if self.fit in ("keep", "corner") and any(side % self.multiple for side in self.size):
            raise SpecError(f"ImagePolicy: size {self.size} is not made of multiples of {self.multiple}.")
        if 0 in self.std:
            raise SpecError("ImagePolicy: std must not be 0.")

    def plan(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of the pixel array for a picture of that size, without the picture."""
        if self.fit in ("keep", "corner"):
            height, width = self._resized(width, height)
            return _up(height, self.multiple), _up(width, self.multiple)
        return self.size

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return Cut((width, height), (self.plan(width, height),))

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        return [self.apply(image)]

    def parts(self, image: Image.Image) -> Sequence[Array | Levels]:
        """One array's levels."""
        return [self.levels(image)]

    def apply(self, image: Image.Image) -> Array:
        """Pixels (3, height, width), float32, of an upright RGB picture (`read_image`)."""
        return self.levels(image).values()

    def levels(self, image: Image.Image) -> Levels:
        """The same before a channel's 256 values are filled in."""
        height, width = self._resized(*image.size)
        if self.fit == "pad":
            image = self._squeezed(image, width)
        if self.fit == "crop" and width * height > _LARGE:
            pixels = np.asarray(self._middle(image, width, height))
        else:
            pixels = np.asarray(self.resized(image, width, height))
        if self.fit in ("crop", "pad"):
            pixels = _centre(pixels, self.size, self.middle)
        if self.fit == "corner":
            pixels = self._cornered(pixels)
        return self._levels(pixels)

    def values(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """(h, w, 3) bytes -> (3, h, w), rescaled and normalised. A channel has only 256 values: each is computed once."""
        return self._levels(pixels).values()

    def _levels(self, pixels: npt.NDArray[np.uint8]) -> Levels:
        return Levels(np.ascontiguousarray(pixels.transpose(2, 0, 1)), self._table())

    def resized(self, image: Image.Image, width: int, height: int, box: Box | None = None) -> Image.Image:
        """The picture, or what lies in a box of it, at another size, with the policy's filter."""
        method = _RESAMPLE.index(self.resample)
        if self.rounds == "two":
            return image.resize((width, height), method, box)
        planes = [np.asarray(plane.convert("F").resize((width, height), method, box)) for plane in image.split()]
        return Image.fromarray(np.rint(np.stack(planes, -1).clip(0, 255)).astype(np.uint8))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) after the resize."""
        if self.fit == "stretch":
            return self.size
        if self.fit == "keep":
            ratio = max(1, height / self.size[0], width / self.size[1])
            sides = (max(1, floor(height / ratio)), max(1, floor(width / ratio)))
            return _up(sides[0], self.multiple), _up(sides[1], self.multiple)
        if self.fit == "corner":
            scale = 1.0
            if height > self.size[0] or width > self.size[1]:
                scale = min(self.size[0] / height, self.size[1] / width)
            return max(1, int(height * scale)), max(1, int(width * scale))
        short = self.short or min(self.size)
        if self.fit == "pad":
            return short, short
        sides = max(width, height), min(width, height)
        long = round(short / sides[1] * sides[0]) if self.nearest else int(short * sides[0] / sides[1])
        return (long, short) if width <= height else (short, long)

    def _middle(self, image: Image.Image, width: int, height: int) -> Image.Image:
        """Resized to this size as far as the crop will keep it. (A picture of 1 x 30,000 pixels would need 4.5 GB.)"""
        down, across = image.height / height, image.width / width
        high, wide = min(height, self.size[0]), min(width, self.size[1])
        top, left = (height - high) // 2, (width - wide) // 2
        return self.resized(image, wide, high, (left * across, top * down, (left + wide) * across, (top + high) * down))

    def _squeezed(self, image: Image.Image, width: int) -> Image.Image:
        """In the middle of a square (``expand2square`` in llava/mm_utils.py), and the square's width already resized.

        Pillow resizes rows first, then columns, so the square (0.8 GB for a 40-megapixel panorama of 10:1) is made a
        few rows at a time; the pixels are the same.
        """
        side = max(image.size)
        left, top = (side - image.width) // 2, (side - image.height) // 2
        result = Image.new("RGB", (width, side), self.fill)
        for start in range(0, image.height, _ROWS):
            rows = min(_ROWS, image.height - start)
            strip = Image.new("RGB", (side, rows), self.fill)
            strip.paste(image.crop((0, start, image.width, start + rows)), (left, 0))
            result.paste(strip.resize((width, rows), _RESAMPLE.index(self.resample)), (0, top + start))
        return result

    def _cornered(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """(h, w, 3) filled up on the right and below."""
        height, width = pixels.shape[:2]
        canvas = np.full((_up(height, self.multiple), _up(width, self.multiple), 3), self.fill, np.uint8)
        canvas[:height, :width] = pixels
        return canvas

    def _table(self) -> npt.NDArray[np.float32]:
        """(3, 256)."""
        values = (np.arange(256, dtype=np.float64) * self.rescale).astype(np.float32)
        mean, std = (np.array(triple, dtype=np.float32)[:, None] for triple in (self.mean, self.std))
        return (values - mean) / std


def whole(part: Array | Levels) -> Array:
    """The array."""
    return part.values() if isinstance(part, Levels) else part


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _centre(pixels: npt.NDArray[np.uint8], size: tuple[int, int], middle: str) -> npt.NDArray[np.uint8]:
    """The centre (h, w, 3) of pixels (H, W, 3), on black where it is larger; offsets as transformers' center_crop."""
    for axis, side in enumerate(size):
        have = pixels.shape[axis]
        if have < side:
            before = ceil((side - have) / 2)
            gap = [(0, 0)] * 3
            gap[axis] = (before, side - have - before)
            pixels = np.pad(pixels, gap)
        left = pixels.shape[axis] - side
        start = left // 2 if middle == "floor" else round(left / 2)  # Python, too, rounds a half to the even side
        pixels = pixels[:, start : start + side] if axis else pixels[start : start + side]
    return pixels


# Hugging Face's preprocessor_config.json ------------------------------------------------------------------------------

_CLIP: Json = {  # what published files leave out is the default of the class
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_pad": False,
    "do_center_crop": True,
    "crop_size": 224,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": list(CLIP_MEAN),
    "image_std": list(CLIP_STD),
}
_SIGLIP: Json = {
    "size": {"height": 224, "width": 224},
    "do_center_crop": False,
    "image_mean": list(HALF),
    "image_std": list(HALF),
}
_CHAMELEON: Json = {
    "size": {"shortest_edge": 512},
    "resample": 1,
    "crop_size": {"height": 512, "width": 512},
    "rescale_factor": 0.0078,
    "image_mean": [1.0, 1.0, 1.0],
    "image_std": [1.0, 1.0, 1.0],
}
_PROCESSORS: dict[str, Json] = {
    "ChameleonImageProcessor": _CLIP | _CHAMELEON,
    "CLIPImageProcessor": _CLIP,
    "BitImageProcessor": _CLIP,
    "LlavaImageProcessor": _CLIP,
    "ChineseCLIPImageProcessor": _CLIP,
    "SiglipImageProcessor": _CLIP | _SIGLIP,
    "BlipImageProcessor": _CLIP | {"size": {"height": 384, "width": 384}, "do_center_crop": False, "size_divisor": None},
}
_IGNORED = {  # no effect on the pixels of one RGB picture
    "auto_map",
    "data_format",
    "default_to_square",
    "device",
    "disable_grouping",
    "do_convert_rgb",
    "feature_extractor_type",
    "image_processor_type",
    "input_data_format",
    "pad_size",
    "processor_class",
    "return_tensors",
}


def policy_from_preprocessor(config: Mapping[str, object]) -> ImagePolicy:
    """The policy that a ``preprocessor_config.json``, or the one nested in a v5 ``processor_config.json``, describes.

    Processors: CLIP, SigLIP, Bit (DINOv2), Llava, BLIP, Chameleon, Chinese-CLIP. Raises SpecError naming a field that cannot
    be honoured.
    """
    nested = config.get("image_processor")
    if isinstance(nested, Mapping):
        config = nested
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "missing")
    name = kind.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    if name not in _PROCESSORS:
        raise SpecError(f"preprocessor: image_processor_type '{kind}' is not one of {', '.join(_PROCESSORS)}.")
    known = _PROCESSORS[name]
    if unknown := sorted(
        key for key, value in config.items() if key not in known.keys() | _IGNORED and value is not None
    ):
        raise SpecError(f"preprocessor: the field '{unknown[0]}' of {kind} is not understood.")
    given = {key: value for key, value in config.items() if value is not None}
    return _policy({**known, **given})


def _policy(config: Mapping[str, object]) -> ImagePolicy:
    if not config["do_resize"]:
        raise SpecError("preprocessor: do_resize false is not supported: every encoder here has a size.")
    size = _sides(config, "size")
    pad = bool(config["do_pad"])
    if isinstance(size, int):
        if not config["do_center_crop"]:
            raise SpecError("preprocessor: size.shortest_edge without do_center_crop gives pictures of no fixed size.")
        crop = _sides(config, "crop_size")
        target = (crop, crop) if isinstance(crop, int) else crop
        short = None if size == min(target) else size
    else:
        if pad or (config["do_center_crop"] and _sides(config, "crop_size") not in (size, size[0])):
            raise SpecError(
                "preprocessor: size.height and size.width with do_pad or another crop_size are not supported."
            )
        target, short = size, None
    mean = _triple(config, "image_mean") if config["do_normalize"] else (0.0, 0.0, 0.0)
    return ImagePolicy(
        size=target,
        fit="pad" if pad else "crop" if isinstance(size, int) else "stretch",
        short=short,
        resample=_resample(config["resample"]),
        fill=_fill(mean) if pad else None,
        rescale=_number(config, "rescale_factor") if config["do_rescale"] else 1.0,
        mean=mean,
        std=_triple(config, "image_std") if config["do_normalize"] else (1.0, 1.0, 1.0),
    )


def _fill(mean: Triple) -> tuple[int, int, int]:
    red, green, blue = (int(value * 255) for value in mean)
    return red, green, blue


def _sides(config: Mapping[str, object], field: str) -> int | tuple[int, int]:
    """A length (shortest edge, or a square) or (height, width); files have a number or an object."""
    value = config[field]
    if isinstance(value, Mapping):
        match {key: side for key, side in value.items() if side is not None}:
            case {"shortest_edge": int(edge), **rest} if not rest:
                return edge
            case {"height": int(height), "width": int(width), **rest} if not rest:
                return height, width
    elif isinstance(value, int):
        return value
    raise SpecError(
        f"preprocessor: the field '{field}' is {value!r}; expected a number, shortest_edge, or height and width."
    )


def _triple(config: Mapping[str, object], field: str) -> Triple:
    match config[field]:
        case [int() | float() as red, int() | float() as green, int() | float() as blue]:
            return float(red), float(green), float(blue)
    raise SpecError(f"preprocessor: the field '{field}' is {config[field]!r}; expected three numbers.")


def _number(config: Mapping[str, object], field: str) -> float:
    value = config[field]
    if not isinstance(value, (int, float)):
        raise SpecError(f"preprocessor: the field '{field}' is {value!r}; expected a number.")
    return float(value)


def _resample(value: object) -> Resample:
    if isinstance(value, int) and 0 <= value < len(_RESAMPLE):
        return _RESAMPLE[value]
    raise SpecError(f"preprocessor: the field 'resample' is {value!r}; expected one of Pillow's numbers 0 to 5.")


def preprocessor_from_policy(policy: Policy) -> Json:
    """The ``preprocessor_config.json`` of a policy; SpecError for what none of the four processors can say."""
    if not isinstance(policy, ImagePolicy) or policy.fit in ("keep", "corner") or policy.nearest:
        raise SpecError("preprocessor: the CLIP, SigLIP, Bit and Llava processors know neither tiles nor pictures of any size.")
    if policy.fit != "stretch" and policy.middle != "floor":
        raise SpecError("preprocessor: the processors of transformers begin a crop at half a pixel rounded down, not to even.")
    height, width = policy.size
    sides: JsonValue = {"height": height, "width": width}
    config: Json = {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": _RESAMPLE.index(policy.resample),
        "do_rescale": True,
        "rescale_factor": policy.rescale,
        "do_normalize": True,
        "image_mean": list(policy.mean),
        "image_std": list(policy.std),
    }
    if policy.fit == "stretch":
        return config | {"image_processor_type": "SiglipImageProcessor", "size": sides}
    config |= {"size": {"shortest_edge": policy.short or min(policy.size)}, "do_center_crop": True, "crop_size": sides}
    if policy.fit == "crop":
        return config | {"image_processor_type": "CLIPImageProcessor"}
    if policy.fill != _fill(policy.mean):
        raise SpecError(
            f"preprocessor: LlavaImageProcessor pads with the mean colour; it cannot pad with {policy.fill}."
        )
    return config | {"image_processor_type": "LlavaImageProcessor", "do_pad": True}
