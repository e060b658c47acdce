"""Which tokens see a picture whose rows lie in a memory beside the sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

Reach: TypeAlias = Literal["last", "group", "all"]


def reaches(kind: Reach, places: Sequence[int], length: int) -> list[tuple[int, int]]:
    """For pictures at `places` of a prompt of `length` tokens, the tokens [start, stop) that see each, their place included.

    "last": a token sees the nearest picture before it (2204.14198). "group": pictures right behind one another are seen by
    the same text (Llama 3.2: transformers `processing_mllama.py`, `get_cross_attention_token_mask`). "all": the whole prompt
    sees every picture, which takes no place in it (BLIP).
    """
    assert kind in get_args(Reach)
    if kind == "all":
        return [(0, length)] * len(places)
    stops = [*places[1:], length]
    if kind == "group":
        for n in range(len(places) - 2, -1, -1):
            if stops[n] == places[n] + 1:
                stops[n] = stops[n + 1]
    return list(zip(places, stops, strict=False))
