"""Parameters by what they do, in the same few kinds for every system, so that systems can be laid side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from anyvlm.anatomy.parameters import Branch

# The first pattern that fits a parameter's name says its label and its kind, a colour of `svg.PARTS`.
_RULES = (
    ("encoder.*.adapter.*", "adapters of both towers", "fusion"),
    ("encoders.*", "vision encoder", "vision"),
    ("encoder.*", "vision encoder", "vision"),
    ("towers.text.encoder.embed", "word embeddings", "words"),
    ("towers.text.encoder.words.*", "word embeddings", "words"),
    ("towers.text.encoder.*", "text encoder", "language"),
    ("towers.image.encoder.*", "vision encoder", "vision"),
    ("towers.*.encoder.*", "encoders of other senses", "painter"),
    ("towers.*", "pools and maps", "connector"),
    ("contrasts.*", "pools and maps", "connector"),
    ("connectors.*", "connector", "connector"),
    ("joins.*", "connector", "connector"),
    ("to_shared.*", "pools and maps", "connector"),
    ("judge*", "pools and maps", "connector"),
    ("temperature", "pools and maps", "connector"),
    ("soft.*", "learned prompt", "connector"),
    ("pyramid.*", "maps and steps on them", "connector"),
    ("layers.head.*", "maps and steps on them", "connector"),
    ("layers.fusion.*", "picture and text reading each other", "fusion"),
    ("layers.text.*", "text encoder", "language"),
    ("align.*", "pools and maps", "connector"),
    ("painter.*", "picture maker", "painter"),
    ("lm.inserts.*", "inserted layers", "fusion"),
    ("lm.*.image.*", "weights for pictures", "fusion"),
    ("lm.*.image", "weights for pictures", "fusion"),
    ("lm.embed*", "words in and out", "words"),
    ("lm.head*", "words in and out", "words"),
    ("lm.pos*", "words in and out", "words"),
    ("text.embed*", "word embeddings", "words"),
    ("text.words.*", "word embeddings", "words"),
    ("text.*cross*", "cross-attention to the picture", "fusion"),
    ("text.*", "text encoder", "language"),
    ("lm.*experts*", "experts", "language"),
    ("lm.*attn*", "attention", "language"),
    ("lm.*mixer*", "attention", "language"),
    ("lm.*cross*", "attention", "language"),
    ("lm.*ffn*", "feed-forward", "language"),
    ("lm.*", "norms and the like", "language"),
    ("*", "vision encoder", "vision"),
)


@dataclass(frozen=True)
class Kind:
    """So many parameters of a kind."""

    label: str
    kind: str
    count: int


def kinds(tree: Branch) -> tuple[Kind, ...]:
    """What the parameters of a system are for; they add up to `tree.count`."""
    sums: dict[tuple[str, str], int] = {}
    for name, count in _leaves(tree, "", 1):
        key = next((label, kind) for pattern, label, kind in _RULES if fnmatchcase(name, pattern))
        sums[key] = sums.get(key, 0) + count
    return tuple(Kind(label, kind, count) for (label, kind), count in sums.items() if count)


def _leaves(branch: Branch, path: str, times: int) -> Iterator[tuple[str, int]]:
    """Names and counts of all parameters, repetitions together; a count below a repeated branch is that of one repetition."""
    for each in branch.branches:
        name = f"{path}.{each.name}".lstrip(".")
        if each.branches:
            yield from _leaves(each, name, times * each.times)
        else:
            yield name, times * each.count
