"""Pixels equal to transformers' Pillow processors, at any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from transformers import BaseImageProcessor
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from anyvlm.errors import SpecError
from anyvlm.inputs.policy import (
    CLIP_FILL,
    CLIP_MEAN,
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImagePolicy,
    policy_from_preprocessor,
    preprocessor_from_policy,
)
from anyvlm.spec import from_json, to_json

PAIRS = {
    "clip": (CLIPImageProcessorPil(), ImagePolicy(size=(224, 224), fit="crop")),
    "clip-odd": (
        CLIPImageProcessorPil(size={"shortest_edge": 61}, crop_size={"height": 50, "width": 47}),
        ImagePolicy(size=(50, 47), fit="crop", short=61),
    ),
    "crop larger than the image": (
        CLIPImageProcessorPil(size={"shortest_edge": 20}, crop_size={"height": 33, "width": 48}),
        ImagePolicy(size=(33, 48), fit="crop", short=20),
    ),
    "dinov2": (
        BitImageProcessorPil(
            size={"shortest_edge": 256},
            crop_size={"height": 224, "width": 224},
            image_mean=list(IMAGENET_MEAN),
            image_std=list(IMAGENET_STD),
        ),
        ImagePolicy(size=(224, 224), fit="crop", short=256, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    ),
    "siglip": (SiglipImageProcessorPil(), ImagePolicy(size=(224, 224), fit="stretch", mean=HALF, std=HALF)),
    "siglip-bilinear": (
        SiglipImageProcessorPil(size={"height": 40, "width": 70}, resample=2),
        ImagePolicy(size=(40, 70), fit="stretch", resample="bilinear", mean=HALF, std=HALF),
    ),
    "llava-pad": (
        LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}),
        ImagePolicy(size=(336, 336), fit="pad", fill=CLIP_FILL),
    ),
    "llava-pad-crop": (
        LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": 60}, crop_size={"height": 50, "width": 41}),
        ImagePolicy(size=(50, 41), fit="pad", short=60, fill=CLIP_FILL),
    ),
    "pixtral": (
        PixtralImageProcessorPil(size={"longest_edge": 128}, patch_size={"height": 16, "width": 16}),
        ImagePolicy(size=(128, 128), fit="keep", multiple=16),
    ),
}
sides = st.one_of(st.integers(1, 12), st.integers(1, 400))


def noise(width: int, height: int, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def reference(processor: BaseImageProcessor, image: Image.Image) -> np.ndarray:
    return np.asarray(processor(image, return_tensors="np", input_data_format=None)["pixel_values"][0])


@pytest.mark.parametrize("name", PAIRS)
@given(width=sides, height=sides, seed=st.integers(0, 99))
def test_pixels_equal_transformers(name: str, width: int, height: int, seed: int) -> None:
    processor, policy = PAIRS[name]
    assume(name != "pixtral" or max(width, height) <= 128 * min(width, height))  # the reference asks for 0 pixels
    image = noise(width, height, seed)
    ours, theirs = policy.apply(image), reference(processor, image)
    assert ours.dtype == np.float32
    assert ours.shape[1:] == policy.plan(width, height)
    assert np.array_equal(ours, theirs)


EXTREMES = [
    (name, size)
    for name in PAIRS
    for size in [(1, 1), (1, 200), (200, 1), (2000, 10), (3, 597), (224, 224), (336, 335)]
    if name != "pixtral" or max(size) <= 128 * min(size)  # beyond, the reference asks for a side of 0 pixels
]


@pytest.mark.parametrize(("name", "size"), EXTREMES)
def test_pixels_equal_transformers_at_extremes(name: str, size: tuple[int, int]) -> None:
    processor, policy = PAIRS[name]
    image = noise(*size, seed=1)
    assert np.array_equal(policy.apply(image), reference(processor, image))


def test_keep_never_reaches_zero() -> None:
    policy = ImagePolicy(size=(128, 128), fit="keep", multiple=16)
    assert policy.plan(1000, 1) == (16, 128)
    assert policy.apply(noise(1000, 1, 0)).shape == (3, 16, 128)


@given(width=st.integers(1, 100_000), height=st.integers(1, 100_000), multiple=st.integers(1, 32), n=st.integers(1, 40))
def test_keep_fits_and_is_made_of_multiples(width: int, height: int, multiple: int, n: int) -> None:
    planned = ImagePolicy(size=(n * multiple, 2 * n * multiple), fit="keep", multiple=multiple).plan(width, height)
    assert multiple <= planned[0] <= n * multiple and multiple <= planned[1] <= 2 * n * multiple
    assert planned[0] % multiple == planned[1] % multiple == 0


CORNER = ImagePolicy(size=(90, 120), fit="corner", multiple=30, fill=(1, 2, 3))


@given(width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_corner_fits_and_is_made_of_multiples(width: int, height: int) -> None:
    planned = CORNER.plan(width, height)
    assert 30 <= planned[0] <= 90 and 30 <= planned[1] <= 120 and planned[0] % 30 == planned[1] % 30 == 0
    if width <= 120 and height <= 90:
        assert planned == (-(-height // 30) * 30, -(-width // 30) * 30)


def test_corner_keeps_small_pictures_and_fills_up() -> None:
    image = noise(61, 30, 0)
    values = CORNER.apply(image)
    assert values.shape == (3, 30, 90)
    assert np.array_equal(values[:, :, :61], CORNER.values(np.asarray(image)))
    assert np.array_equal(values[:, :, 61:], CORNER.values(np.full((30, 29, 3), (1, 2, 3), np.uint8)))


@pytest.mark.parametrize("size", [(40, 10), (10, 40), (11, 40), (1, 7)])
def test_pad_is_llavas_expand2square(size: tuple[int, int]) -> None:
    """haotian-liu/LLaVA pads with Pillow's paste, before its CLIP processor."""
    image = noise(*size, seed=2)
    square = Image.new("RGB", (max(size), max(size)), (122, 116, 104))
    square.paste(image, ((max(size) - size[0]) // 2, (max(size) - size[1]) // 2))
    crop = ImagePolicy(size=(28, 28), fit="crop")
    assert np.array_equal(crop.but(fit="pad", fill=CLIP_FILL).apply(image), crop.apply(square))


def test_wide_pad_needs_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panorama of 40 megapixels would need a square of 4,000 megapixels."""
    made: list[int] = []
    new = Image.new

    def counted(mode: str, size: tuple[int, int], color: object = 0) -> Image.Image:
        made.append(size[0] * size[1])
        return new(mode, size, color)

    monkeypatch.setattr(Image, "new", counted)
    ImagePolicy(size=(56, 56), fit="pad", fill=CLIP_FILL).apply(new("RGB", (20_000, 200)))
    assert max(made) <= 20_000 * 128


@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 1), (3, 20_000)])
def test_crop_of_a_long_strip_needs_no_long_picture(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """1 x 30,000 pixels with the shorter edge made 224 would be 4.5 GB."""
    sizes, resize = [], Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda *words: sizes.append(words[1]) or resize(*words))
    strip = Image.new("RGB", size, (10, 20, 30))
    strip.paste((200, 100, 50), (size[0] // 2, size[1] // 2, size[0], size[1]))
    policy = ImagePolicy(size=(224, 224), fit="crop", mean=(0, 0, 0), std=(1, 1, 1))
    pixels = policy.apply(strip)
    assert sizes == [(224, 224)] and pixels.shape == (3, 224, 224)
    assert pixels[:, 0, 0] * 255 == pytest.approx([10, 20, 30], abs=60)
    assert pixels[:, -1, -1] * 255 == pytest.approx([200, 100, 50], abs=60)


@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_the_middle_of_a_long_strip_is_that_of_the_whole(width: int, height: int) -> None:
    """But for a byte's rounding: Pillow may take lines and columns in another order."""
    shade = np.add.outer(np.linspace(20, 120, height), np.linspace(0, 100, width))
    image = Image.fromarray(np.stack([shade, shade + 10, 240 - shade], -1).astype(np.uint8))
    policy = ImagePolicy(size=(40, 30), fit="crop", short=35, mean=(0, 0, 0), std=(1, 1, 1))
    whole = policy.apply(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anyvlm.inputs.policy._LARGE", 0)
        middle = policy.apply(image)
    assert np.abs(whole - middle).max() * 255 <= 2.01


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "pixtral"])
def test_reads_the_files_transformers_writes(name: str, tmp_path: Path) -> None:
    processor, policy = PAIRS[name]
    processor.save_pretrained(tmp_path)
    (file,) = tmp_path.glob("*.json")
    config = json.loads(file.read_text())
    assert policy_from_preprocessor(config) == policy
    assert policy_from_preprocessor({"processor_class": "LlavaProcessor", "image_processor": config}) == policy


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "pixtral"])
def test_written_files_give_the_same_pixels(name: str) -> None:
    _, policy = PAIRS[name]
    config = preprocessor_from_policy(policy)
    assert policy_from_preprocessor(config) == policy
    classes = {"CLIP": CLIPImageProcessorPil, "Siglip": SiglipImageProcessorPil, "Llava": LlavaImageProcessorPil}
    processor = classes[str(config["image_processor_type"]).removesuffix("ImageProcessor")].from_dict(config)
    image = noise(90, 41, seed=3)
    assert np.array_equal(policy.apply(image), reference(processor, image))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (  # openai/clip-vit-large-patch14-336, old style
            {
                "crop_size": 336,
                "do_center_crop": True,
                "do_normalize": True,
                "do_resize": True,
                "feature_extractor_type": "CLIPFeatureExtractor",
                "image_mean": list(CLIP_MEAN),
                "image_std": [0.26862954, 0.26130258, 0.27577711],
                "resample": 3,
                "size": 336,
            },
            ImagePolicy(size=(336, 336), fit="crop"),
        ),
        (  # HuggingFaceTB and Maya: SigLIP 256
            {"image_processor_type": "SiglipImageProcessor", "size": {"height": 256, "width": 256}, "do_convert_rgb": None},
            ImagePolicy(size=(256, 256), fit="stretch", mean=HALF, std=HALF),
        ),
        (
            {"image_processor_type": "CLIPImageProcessorFast", "do_normalize": False, "do_rescale": False},
            ImagePolicy(size=(224, 224), fit="crop", rescale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        ),
    ],
)
def test_published_files(config: dict[str, object], expected: ImagePolicy) -> None:
    assert policy_from_preprocessor(config) == expected


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({}, "image_processor_type"),
        ({"image_processor_type": "Qwen2VLImageProcessor"}, "Qwen2VLImageProcessor"),
        ({"image_processor_type": "CLIPImageProcessor", "min_pixels": 3}, "min_pixels"),
        ({"image_processor_type": "CLIPImageProcessor", "do_resize": False}, "do_resize"),
        ({"image_processor_type": "CLIPImageProcessor", "do_center_crop": False}, "do_center_crop"),
        ({"image_processor_type": "CLIPImageProcessor", "size": {"longest_edge": 3}}, "size"),
        ({"image_processor_type": "CLIPImageProcessor", "size": "big"}, "size"),
        ({"image_processor_type": "CLIPImageProcessor", "image_mean": [0.5]}, "image_mean"),
        ({"image_processor_type": "CLIPImageProcessor", "resample": 9}, "resample"),
        ({"image_processor_type": "CLIPImageProcessor", "size": {"height": 20, "width": 30}}, "crop_size"),
    ],
)
def test_files_that_cannot_be_honoured(config: dict[str, object], word: str) -> None:
    with pytest.raises(SpecError, match=word):
        policy_from_preprocessor(config)


def test_specs_that_make_no_sense() -> None:
    for wrong in ({"fit": "pad"}, {"fit": "keep", "multiple": 100}, {"fit": "crop", "std": (0.0, 1.0, 1.0)}):
        with pytest.raises(SpecError):
            ImagePolicy(**{"size": (224, 224), **wrong})
    with pytest.raises(SpecError, match="any size"):
        preprocessor_from_policy(ImagePolicy(size=(32, 32), fit="keep"))


def test_json_round_trip() -> None:
    for _, policy in PAIRS.values():
        assert from_json(json.loads(json.dumps(to_json(policy)))) == policy
