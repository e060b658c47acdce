"""Writes the site below docs/site/ from the specs, the catalogue, the ledger and the documents: `make docs`.

    python -m docs.site [FOLDER]
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from anyvlm.catalogue import PARTS, standings
from docs import pages
from docs.mechanisms import mechanisms

OUT = Path(__file__).with_name("site")


def build(only: Collection[str] | None = None) -> dict[str, str]:
    """Pages by address. `only`: names of rows that get pages, with the first two mechanisms; None: everything."""
    rows = tuple(row for row in standings() if only is None or row.entry.name in (*only, PARTS))
    library = pages.Library(rows, mechanisms() if only is None else mechanisms()[:2])
    made = {
        "index.html": pages.index_page(library),
        "ledger.html": pages.ledger_page(library),
        "mechanisms.html": pages.mechanisms_page(library),
    }
    made |= {f"rows/{row.entry.name}.html": pages.row_page(row, library) for row in library.rows}
    made |= {f"mechanisms/{each.slug}.html": pages.mechanism_page(each, library) for each in library.mechanisms}
    return made | {address: pages.guide_page(source) for source, (address, _) in pages.GUIDES.items()}


def broken(made: Mapping[str, str]) -> list[str]:
    """Links that lead nowhere, and anything a page would fetch from elsewhere."""
    wrong = []
    for address, html in made.items():
        for tag, target in re.findall(r"<(\w+)[^>]*?\s(?:href|src)=\"([^\"]*)\"", html):
            if not target.startswith(("http://", "https://")):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(address), target.partition("#")[0]))
                if target.partition("#")[0] and path not in made:
                    wrong.append(f"{address}: {target}")
            elif tag != "a":
                wrong.append(f"{address}: <{tag}> fetches {target}")
        wrong += [f"{address}: {found}" for found in re.findall(r"@import|url\([^)]*\)|<script[^>]+src", html)]
    return wrong


def write(out: Path) -> int:
    """The whole site in a folder, in place of what was there. Returns the number of pages."""
    made = build()
    if wrong := broken(made):
        raise SystemExit("\n".join(wrong))
    shutil.rmtree(out, ignore_errors=True)
    for address, html in made.items():
        path = out / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    return len(made)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    print(f"{write(folder)} pages: {folder / 'index.html'}")
