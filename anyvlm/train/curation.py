"""Pairs that are chosen while training, by the text tower as it is at that moment (CiT, 2301.02241).

Two loops: draw raw samples until enough are near the names of the task, train on them, draw again. The text tower, which
chooses, is what is trained. Source: facebookresearch/CiT 5caecad `engine.py`.
Shape letters: B texts, D width of the text tower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F

from anyvlm.data.curate import Floats, curated
from anyvlm.dual import Dual, TextTower, WordTower
from anyvlm.errors import SpecError
from anyvlm.inputs.tokenizer import Tokenizer

T = TypeVar("T")


@torch.no_grad()
def unmapped(dual: Dual, tokenizer: Tokenizer, texts: Sequence[str]) -> Floats:
    """(B, D), of length 1: texts before the map into the shared space. The module is as it was afterwards."""
    spec, tower = dual.spec.towers["text"], dual.towers["text"]
    assert isinstance(spec, TextTower) and isinstance(tower, WordTower)
    training, device = tower.training, next(tower.parameters()).device
    tower.eval()
    words = spec.policy.collate(tokenizer, [spec.policy.encode(tokenizer, text) for text in texts])
    ids_BT, seen_BT = words.ids_BT.to(device), None if words.seen_BT is None else words.seen_BT.to(device)
    x_BD = F.normalize(tower.pool(tower.encoder(ids_BT, seen_BT), seen_BT).float(), dim=-1)
    tower.train(training)
    out: Floats = x_BD.cpu().numpy()
    return out


def curated_batches(
    dual: Dual, tokenizer: Tokenizer, raw: Iterator[Sequence[T]], caption: Callable[[T], str], names: Sequence[str], *,
    size: int, every: int = 100, threshold: float = 0.55, least: float = 0.003,
) -> Iterator[list[T]]:  # fmt: skip
    """Batches of `size` samples; before each `every` of them the names and the raw samples are read anew by the text tower.

    `raw`: batches of samples as they come; `caption`: the text of one; `names`: what the model shall know, such as classes.
    Take a batch, train on it, take the next. Ends with the stream, the rest in batches that may be smaller. Raises SpecError
    where nothing was chosen.
    """
    done = False
    while True:
        classes = unmapped(dual, tokenizer, names)
        kept = curated(
            raw, lambda batch: unmapped(dual, tokenizer, [caption(sample) for sample in batch]), classes,
            count=size * every, threshold=threshold, least=least,
        )  # fmt: skip
        if not kept and not done:
            raise SpecError("No sample was chosen; give a stream that is not empty, or keep a larger share (`least`).")
        yield from (kept[start : start + size] for start in range(0, min(len(kept), size * every), size))
        if len(kept) < size * every:
            return
        done = True
