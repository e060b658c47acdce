"""Icon sets of several drawing styles, rasterised once to memory-mapped arrays.

Pictures are joined across sets by Unicode code point where a set lists them, else by the names the other sets give
that code point. The style `HELD_OUT` is never in a training atlas. `python -m anyvlm.data.icons [JOBS]` builds all.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anyvlm.data.fetch import Tarball
from anyvlm.data.names import VARIANT, Name, name, written
from anyvlm.errors import InputError, WeightsError
from anyvlm.weights.atomic import atomic_file
from anyvlm.weights.sources import cache_directory

Icon = NDArray[np.uint8]
SIZE = 112  # pixels: half the side of a 224 px picture; larger icons are enlarged from this
VERSION = 1  # of the cache's layout: raise it when names, sets or SIZE change
MIN_STYLES = 3  # training styles a name must have

HELD_OUT = "twemoji"
_SETS = {
    "twemoji": ("1.2.5", "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw=="),
    "noto": ("1.2.9", "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw=="),
    "noto-v1": ("1.2.5", "/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA=="),
    "fluent-emoji-flat": (
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
    ),
    "fluent-emoji": (
        "1.2.7",
        "D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==",
    ),
    "openmoji": ("1.2.29", "vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ=="),
    "emojione": ("1.2.3", "T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg=="),
    "emojione-v1": (
        "1.2.3",
        "UjI2VQEXVtGlPBvQuxEizro7QCgBcJDOYwKUupquvvZ8UV4xOlvm45IU82JYWegiAWLerY79gFLMZ26U6Ms+ww==",
    ),
    "fxemoji": ("1.2.2", "UAasRaxzFUKfIGSmLwnoarsssA4LX0VLLuEmplIqM6ZNQqIQRtav8tZ4H1neTlBreXuMQyAifr5jP4kn78DpiQ=="),
    "streamline-emojis": (
        "1.2.4",
        "iNr9T9XuZVTyQPJO8ZlLxBzPkpi7qMl+z1l0C31vpEMqhPMelth3n7CeWQYtixdetDPdI81yeG4ROqjWpYJE6A==",
    ),
}
STYLES = tuple(_SETS)
TRAINING_STYLES = tuple(style for style in STYLES if style != HELD_OUT)


class _Drawing(TypedDict, total=False):
    body: str
    parent: str
    width: float
    height: float
    left: float
    top: float


class _IconSet(TypedDict, total=False):
    icons: dict[str, _Drawing]
    aliases: dict[str, _Drawing]
    width: float
    height: float


def _package(style: str) -> Tarball:
    version, sha512 = _SETS[style]
    return Tarball(f"@iconify-json/{style}", version, sha512)


def _icon_set(style: str) -> _IconSet:
    data = _package(style).read("icons.json")
    if data is None:
        raise WeightsError(f"The icon set {style} has no icons.json; its package is not what was expected.")
    return cast(_IconSet, json.loads(data))


def _code_points(style: str) -> dict[str, str]:
    """Code points ("1f34e") to the set's own icon name; empty for a set that does not list them."""
    data = _package(style).read("chars.json")
    listed = cast(dict[str, str], json.loads(data)) if data else {}
    return {"-".join(p for p in code.lower().split("-") if p != VARIANT): slug for code, slug in listed.items()}


def _squeeze(slug: str) -> str:
    """ "flag-for-france", "FLAG FOR FRANCE" -> "flagforfrance": fxemoji writes its names without spaces."""
    return "".join(c for c in slug.lower() if c.isalnum())


def _slugs(icons: _IconSet) -> dict[str, str]:
    """Squeezed names and aliases of a set to its icon names; "astronaut-1" also counts as "astronaut"."""
    table: dict[str, str] = {}
    for slug in icons["icons"]:
        if slug.endswith("-1"):
            table[_squeeze(slug[:-2])] = slug
    table.update({_squeeze(alias): a["parent"] for alias, a in icons.get("aliases", {}).items() if "parent" in a})
    table.update({_squeeze(slug): slug for slug in icons["icons"]})
    return {squeezed: slug for squeezed, slug in table.items() if slug in icons["icons"]}


def _known() -> dict[str, tuple[str, str]]:
    """Code points of every named emoji to (natural name, squeezed Unicode name)."""
    import emoji

    known: dict[str, tuple[str, str]] = {}
    for character, data in emoji.EMOJI_DATA.items():
        code = "-".join(f"{ord(c):x}" for c in character if f"{ord(c):x}" != VARIANT)
        text = written(code, data["en"])
        if text:
            bare = character.replace("\ufe0f", "")
            known.setdefault(code, (text, _squeeze(unicodedata.name(bare, "")) if len(bare) == 1 else ""))
    return known


def match(sets: Mapping[str, _IconSet], codes: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Names to {style: icon name in that set}: those drawn in the held-out style and in >= MIN_STYLES others."""
    slugs = {style: _slugs(icons) for style, icons in sets.items()}
    listed = {style: frozenset(codes[style].values()) for style in sets}
    matched: dict[str, dict[str, str]] = {}
    for code, (text, unicode_name) in _known().items():
        theirs = {style: codes[style][code] for style in sets if codes[style].get(code) in sets[style]["icons"]}
        candidates = {_squeeze(slug) for slug in theirs.values()} | {_squeeze(text), unicode_name}
        if text.startswith("flag of "):
            country = _squeeze(text.removeprefix("flag of "))
            candidates |= {f"flag{country}", f"flagfor{country}", f"flagforflag{country}"}
        for style, table in slugs.items():
            # A set that lists code points may still hold old names (flags) outside its list, but no other's picture.
            found = next((table[c] for c in sorted(candidates) if c in table), None)
            if style not in theirs and found is not None and found not in listed[style]:
                theirs[style] = found
        if HELD_OUT in theirs and len(theirs) > MIN_STYLES and text not in matched:
            matched[text] = theirs
    return dict(sorted(matched.items(), key=lambda item: item[0].lower()))


def draw(icons: _IconSet, slug: str) -> Icon:
    """Rasterise one icon to (SIZE, SIZE, 4) uint8 RGBA, straight alpha."""
    import resvg_py

    drawing = icons["icons"][slug]
    side = icons.get("width", icons.get("height", 16)), icons.get("height", icons.get("width", 16))
    width, height = drawing.get("width", side[0]), drawing.get("height", side[1])
    box = f"{drawing.get('left', 0)} {drawing.get('top', 0)} {width} {height}"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{SIZE}" '
        f'height="{SIZE}" viewBox="{box}">{drawing["body"]}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE, skip_system_fonts=True))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def atlas_dir() -> Path:
    return cache_directory() / "icons" / f"v{VERSION}"


def _table() -> dict[str, dict[str, str]]:
    path = atlas_dir() / "names.json"
    if not path.exists():
        sets = {style: _icon_set(style) for style in STYLES}
        table = match(sets, {style: _code_points(style) for style in STYLES})
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(table, indent=0), encoding="utf-8")
    return cast(dict[str, dict[str, str]], json.loads(path.read_bytes()))


def _build_style(style: str) -> None:
    """Draw one style's sheet, (names, SIZE, SIZE, 4) uint8 in the order of the table; skipped if already there."""
    path = atlas_dir() / f"{style}.npy"
    if path.exists():
        return
    icons = _icon_set(style)
    sheet = np.stack([draw(icons, theirs[style]) for theirs in _table().values() if style in theirs])
    with atomic_file(path) as partial:
        np.save(partial, sheet)


def build(jobs: int = 1) -> Path:
    """Fetch, match and draw everything that the cache lacks, `jobs` styles at a time; returns the atlas folder."""
    _table()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        pool.map(_build_style, STYLES, chunksize=1)
    return atlas_dir()


@dataclass(frozen=True)
class Atlas:
    """Drawn icons of some styles. `names` are all names that can be asked for, in a fixed order."""

    names: tuple[Name, ...]
    sheets: Mapping[str, Icon]
    rows: Mapping[str, Mapping[str, int]]

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(self.sheets)

    def styles_of(self, thing: Name) -> tuple[str, ...]:
        return tuple(style for style in self.sheets if thing.text in self.rows[style])

    def icon(self, style: str, thing: Name) -> Icon:
        """(SIZE, SIZE, 4) uint8 RGBA."""
        picture: Icon = self.sheets[style][self.rows[style][thing.text]]
        return picture


@cache
def open_atlas(styles: tuple[str, ...] = TRAINING_STYLES) -> Atlas:
    """Memory-map the sheets of some styles (default: those of training), building what is missing."""
    unknown = set(styles) - set(STYLES)
    if unknown:
        raise InputError(f"There is no icon style {sorted(unknown)[0]!r}; the styles are {', '.join(STYLES)}.")
    table = _table()
    for style in styles:
        _build_style(style)
    sheets = {style: np.load(atlas_dir() / f"{style}.npy", mmap_mode="r") for style in styles}
    rows = {style: {text: i for i, text in enumerate(t for t in table if style in table[t])} for style in styles}
    return Atlas(tuple(name(text) for text in table), sheets, rows)


if __name__ == "__main__":
    os.nice(10)
    print(build(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
    for style_, rows_ in open_atlas(STYLES).rows.items():
        print(f"{style_:20} {len(rows_):5} icons")
