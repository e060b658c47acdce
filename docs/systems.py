"""Writes docs/systems.md from the specs, so that the tables cannot disagree with the code: `make docs`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

from anyvlm import registry
from anyvlm.anatomy.parameters import parameters
from anyvlm.cli._words import by, link, short
from anyvlm.dual import DualSystem, TextTower, Tower
from anyvlm.ground import GroundSystem
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.features import Encoder
from anyvlm.parts.lm import Decoder
from anyvlm.system import System, VisionSystem

HEADER = """# Systems

Every name of the registry, read off its spec by `make docs`. Encoders are class/patch with the width of the rows they return,
language models depth × width; tokens are those of a picture of 1024 × 768 in the prompt.
What tests have shown of each is in the ledger.
"""
Row = dict[str, str]


def page() -> str:
    """The document."""
    systems = [registry.system(name) for name in registry.SYSTEMS]
    whole = [system for system in systems if isinstance(system, System)]
    lines = (
        *table("Systems that see", (seeing(system) for system in whole if system.streams)),
        *table("Systems that score", (scoring(system) for system in systems if isinstance(system, MatchSystem))),
        *table("Systems that ground", (grounding(system) for system in systems if isinstance(system, GroundSystem))),
        *table("Systems of towers", (pairing(system) for system in systems if isinstance(system, DualSystem))),
        *table("Language models", (speaking(system) for system in whole if not system.streams)),
        *table("Vision encoders", (looking(system) for system in systems if isinstance(system, VisionSystem))),
    )
    return "\n".join((HEADER, *lines))


def table(title: str, rows: Iterable[Row]) -> Iterator[str]:
    """A section with one table, and an empty line after it."""
    listed = list(rows)
    yield from (f"## {title}", "", line(listed[0]), line(["---"] * len(listed[0])))
    yield from (line(row.values()) for row in listed)
    yield ""


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def seeing(system: System) -> Row:
    stream = next(iter(system.streams.values()))
    cut = stream.policy.cut(1024, 768)
    (height, width), several = cut.sizes[0], len(cut.sizes)
    own = {
        "picture": f"{several} of {by((width, height))}" if several > 1 else by((width, height)),
        "tokens": str(sum(1 if isinstance(cell, str) else prod(cell) for cell in stream.cells(cut))),
        "encoder": eye(stream.encoder),
        "connector": type(stream.connector).__name__,
        "language model": mouth(system.lm),
    }
    return facts(system, own)


def speaking(system: System) -> Row:
    return facts(system, {"size": mouth(system.lm), "vocab": str(system.lm.vocab), "context": str(system.lm.context)})


def scoring(system: MatchSystem) -> Row:
    height, width = system.policy.size
    text = f"{system.text.depth} × {system.text.width}"
    return facts(system, {"picture": by((width, height)), "encoder": eye(system.encoder), "text": text})


def grounding(system: GroundSystem) -> Row:
    size = system.policy.cut(1024, 768).sizes[0]
    text, places = f"{system.text.depth} × {system.text.width}", f"{sum(map(prod, system.maps(size))):,}"
    own = {"picture": by(size[::-1]), "places": places, "encoder": eye(system.encoder), "text": text}
    return facts(system, own | {"layers": str(system.depth)})


def pairing(system: DualSystem) -> Row:
    (sense, image), text = next(iter(system.towers.items())), system.towers["text"]
    assert not isinstance(image, TextTower) and isinstance(text, TextTower)
    seen = by(image.policy.cut(1024, 768).sizes[0][::-1]) if isinstance(image, Tower) else sense
    contrast, words = type(system.contrasts[0]).__name__.lower(), f"{text.policy.context} tokens, {text.encoder.width}"
    own = {"picture": seen, "encoder": eye(image.encoder), "text": words, "shared": str(system.shared)}
    return facts(system, own | {"contrast": contrast})


def looking(system: VisionSystem) -> Row:
    height, width = system.policy.size
    return facts(system, {"picture": by((width, height)), "encoder": eye(system.encoder)})


def eye(encoder: Encoder) -> str:
    return f"{type(encoder).__name__}/{encoder.patch}, {encoder.out}"


def mouth(lm: Decoder) -> str:
    return f"{lm.depth} × {lm.width}"


def facts(system: AnySystem, own: Row) -> Row:
    """What every table says, around what only this one says."""
    paper = f"[{system.meta.year}]({link(system.meta.paper)})" if system.meta.paper else str(system.meta.year)
    count = short(parameters(system).count)
    return {"system": f"`{system.name}`", "parameters": count, **own, "licence": system.meta.license, "paper": paper}


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
