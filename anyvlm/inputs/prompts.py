"""Sentences around the name of a class, whose points are averaged: OpenAI's eighty for ImageNet (2103.00020), ViLD's
fourteen for what lies in scenes (2104.13921, as in bytedance/fc-clip 2b0bbe2).
"""

from __future__ import annotations

_BOTH = (  # with "a" and with "the"
    "a bad photo of {}", "a sculpture of {}", "a low resolution photo of {}", "a rendering of {}", "graffiti of {}",
    "a cropped photo of {}", "a tattoo of {}", "a bright photo of {}", "a dark photo of {}", "a drawing of {}",
    "a close-up photo of {}", "a black and white photo of {}", "a painting of {}", "a pixelated photo of {}",
    "a jpeg corrupted photo of {}", "a blurry photo of {}", "a photo of {}", "a good photo of {}", "a doodle of {}",
    "a sketch of {}", "a rendition of {}", "art of {}", "itap of {}",
)  # fmt: skip
_KINDS = ("hard to see", "clean", "dirty", "cool", "large", "nice", "weird", "small")
_STUFF = ("embroidered", "plastic", "origami", "toy", "cartoon", "plushie")
_ONCE = ("a photo of many {}.", "a photo of my {}.", "a photo of one {}.", "itap of my {}.")

IMAGENET: tuple[str, ...] = (
    *(f"{sentence.format(f'{word} {{}}')}." for sentence in _BOTH for word in ("a", "the")),
    *(f"a photo of {word} {kind} {{}}." for kind in _KINDS for word in ("a", "the")),
    *(f"{word} {stuff} {{}}." for stuff in _STUFF for word in ("a", "the")),
    *(f"{word} {{}} in a video game." for word in ("a", "the")),
    *_ONCE,
)
"""Eighty; "a" whatever follows, as theirs."""

_SIZES = ("small", "medium", "large")
SCENES: tuple[str, ...] = (
    "a photo of a {}.", "This is a photo of a {}", "There is a {} in the scene", "There is the {} in the scene",
    "a photo of a {} in the scene", *(f"a photo of a {size} {{}}." for size in _SIZES),
    *(f"This is a photo of a {size} {{}}." for size in _SIZES), *(f"There is a {size} {{}} in the scene." for size in _SIZES),
)  # fmt: skip
"""Fourteen, with and without a full stop, as theirs."""
