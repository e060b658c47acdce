"""A contact sheet: one HTML file with small copies of the pictures inside, that opens without a network and runs no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from anyvlm.errors import InputError
from anyvlm.inputs.image import read_image
from anyvlm.weights.atomic import atomic_file

_SIDE = 480  # pixels of the longer side of a small copy: sharp at 240 on a dense screen


@dataclass(frozen=True)
class Card:
    """A picture of the sheet: its file, the name under it, a number or word at its side, and further names."""

    file: Path
    name: str
    note: str = ""
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Cards under a heading; "" has none."""

    title: str
    cards: Sequence[Card]


def write_sheet(target: Path, title: str, about: str, groups: Sequence[Group]) -> None:
    """Write the page, whole or not at all. A picture that cannot be read leaves a card that says so."""
    parts = [_group(group) for group in groups if group.cards] or ['<p class="none">Nothing was found.</p>']
    page = _PAGE.format(title=escape(title), about=escape(about), style=_STYLE, body="\n".join(parts))
    with atomic_file(target) as partial:
        partial.write_text(page, encoding="utf-8")


def _group(group: Group) -> str:
    head = f"<h2>{escape(group.title)}</h2>\n" if group.title else ""
    return f'{head}<ul class="sheet">\n' + "\n".join(map(_card, group.cards)) + "\n</ul>"


def _card(card: Card) -> str:
    more = f'<span class="more" title="{escape(chr(10).join(card.more))}">and {len(card.more)} more</span>' if card.more else ""
    note = f'<span class="note">{escape(card.note)}</span>' if card.note else ""
    return (
        f'<li><a href="{escape(_address(card.file))}">{_thumbnail(card)}</a>'
        f'<p><span class="name" title="{escape(card.name)}">{escape(card.name.rpartition("/")[2])}</span>{more}{note}</p></li>'
    )


def _address(file: Path) -> str:
    return "file://" + quote(file.absolute().as_posix())


def _thumbnail(card: Card) -> str:
    try:
        image = read_image(card.file)
    except InputError:
        return '<span class="gone">not there any more</span>'
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=82, optimize=True)
    text = base64.b64encode(data.getvalue()).decode("ascii")
    width, height = image.size
    return f'<img src="data:image/jpeg;base64,{text}" alt="{escape(card.name)}" width="{width}" height="{height}">'


_STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --text: #1d1d1b; --soft: #6b6b66; --line: #e2e2dd; }
@media (prefers-color-scheme: dark) {
  :root { --page: #161615; --card: #21211f; --text: #ecece7; --soft: #9c9c95; --line: #34342f; }
}
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--text); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif;
  padding: clamp(1rem, 3vw, 2.5rem); }
main { max-width: 90rem; margin: 0 auto; }
h1 { font-size: clamp(1.25rem, 2.5vw, 1.75rem); font-weight: 650; line-height: 1.25; overflow-wrap: anywhere; }
header p, .none { color: var(--soft); margin: .35rem 0 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; font-weight: 600; margin: 2rem 0 .75rem; }
.sheet { list-style: none; padding: 0; display: grid; gap: clamp(.6rem, 1.5vw, 1.1rem);
  grid-template-columns: repeat(auto-fill, minmax(min(13rem, calc(50% - .3rem)), 1fr)); }
li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; min-width: 0; }
li a { display: block; text-decoration: none; aspect-ratio: 1; background: var(--line); }
li a:focus-visible { outline: 3px solid #2f6fde; outline-offset: -3px; }
img, .gone { display: block; width: 100%; height: 100%; object-fit: contain; }
.gone { display: grid; place-items: center; color: var(--soft); padding: 1rem; text-align: center; }
li p { display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline; padding: .5rem .7rem .6rem; font-size: .85rem; }
.name { flex: 1 1 4rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.more, .note { color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums; }
@media print { body { background: none; padding: 0; } li { break-inside: avoid; } }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p>{about}</p>
</header>
{body}
</main>
</body>
</html>
"""
