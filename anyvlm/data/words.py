"""Common English words to read, and the typefaces to set them in, from PyPI packages of the extra `train`.

Words: the 2,048 of BIP-39 (`mnemonic`, MIT) and the EFF's long list (`xkcdpass`, BSD-3-Clause). One word in ten, chosen
by hash, is only ever used for evaluation.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from numpy.random import Generator
from PIL import ImageFont

from anyvlm.errors import InputError

_LISTS = (("mnemonic", "wordlist/english.txt"), ("xkcdpass", "static/eff-long"))
_FACES = (
    ("font_roboto", "Roboto-Regular.ttf"),
    ("font_roboto", "Roboto-Bold.ttf"),
    ("font_roboto", "Roboto-Italic.ttf"),
    ("font_lato", "Lato-Regular.ttf"),
    ("font_lato", "Lato-Black.ttf"),
    ("font_source_serif_pro", "SourceSerifPro-Regular.ttf"),
    ("font_source_serif_pro", "SourceSerifPro-Bold.ttf"),
    ("font_source_serif_pro", "SourceSerifPro-It.ttf"),
    ("font_source_sans_pro", "SourceSansPro-Semibold.ttf"),
    ("font_caladea", "Caladea-Regular.ttf"),
    ("font_caladea", "Caladea-Bold.ttf"),
    ("font_fredoka_one", "FredokaOne-Regular.ttf"),
    ("font_hanken_grotesk", "HankenGrotesk-Medium.otf"),
    ("font_amatic_sc", "AmaticSC-Bold.ttf"),
)
PACKAGES = tuple(dict.fromkeys(package for package, _ in (*_LISTS, *_FACES)))
"""Where words and typefaces come from."""


def _file(package: str, *inside: str) -> Path:
    """A data file of an installed package, without importing it."""
    spec = find_spec(package)
    found = Path(spec.origin).parent.joinpath(*inside) if spec and spec.origin else None
    if found is None or not found.exists():
        raise InputError(
            f"The package {package} with {inside[-1]} is needed to draw text; install it with "
            "`pip install 'anyvlm[train]'`."
        )
    return found


def kept_for_evaluation(word: str) -> bool:
    """Whether a word belongs to the tenth that training never shows."""
    return hashlib.sha256(word.lower().encode()).digest()[0] % 10 == 0


@cache
def words(evaluation: bool) -> tuple[str, ...]:
    """The words for training, or those kept for evaluation: lower-case, 3 to 10 letters, in alphabetical order."""
    found: set[str] = set()
    for package, inside in _LISTS:
        found |= {line.split()[-1].lower() for line in _file(package, inside).read_text().splitlines() if line.strip()}
    plain = sorted(word for word in found if word.isascii() and word.isalpha() and 3 <= len(word) <= 10)
    return tuple(word for word in plain if kept_for_evaluation(word) == evaluation)


def faces() -> int:
    """The number of typefaces."""
    return len(_FACES)


@cache
def font(face: int, size: int) -> ImageFont.FreeTypeFont:
    """Typeface number `face` at `size` pixels."""
    package, file = _FACES[face]
    return ImageFont.truetype(str(_file(package, "files", file)), size)


def invent(rng: Generator) -> str:
    """A word that does not exist: the beginning of one and the end of another; never one kept for evaluation."""
    while True:
        first, last = (words(False)[int(n)] for n in rng.integers(0, len(words(False)), 2))
        word = first[: int(rng.integers(1, len(first)))] + last[int(rng.integers(1, len(last))) :]
        if 3 <= len(word) <= 10 and word not in words(False) and word not in words(True):
            return word
