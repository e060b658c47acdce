"""Pictures with captions as batches for towers, made in worker processes of the common loop (`train.loop`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from anyvlm.data.pairs import Pair
from anyvlm.data.views import crop, view
from anyvlm.dual import Dual, DualSystem, TextTower, Tower
from anyvlm.errors import InputError
from anyvlm.inputs.image import read_image
from anyvlm.inputs.text import WordsBatch
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.parts.features import still
from anyvlm.system import Pixels, Stage
from anyvlm.train.cached import in_parts
from anyvlm.train.dual import Side, contrast
from anyvlm.train.loop import Task


@dataclass(frozen=True)
class Matched:
    """A batch in parts, each with all sides, and the numbers of its items where pairs have labels."""

    parts: tuple[Side, ...]
    alike_B: Tensor | None = None


def pairs_task(
    system: DualSystem, tokenizer: Tokenizer, pairs: Sequence[Pair], stage: Stage, *, part: int | None = None,
    crops: tuple[float, float] | None = None, seed: int = 0,
) -> Task[Matched]:  # fmt: skip
    """The task of a stage over pictures with captions, for `train.loop.run_stage`.

    A batch has `stage.batch` pairs, or all if they are fewer, and follows from the number of its step; an epoch meets every
    pair once, with one of its captions. `part`: so many pairs are embedded at a time (`train.cached`); None: all at once.
    `crops`: the least and largest share of a picture that is cut out at random; None: the policy of inference. Systems that
    contrast two views of a picture (SLIP) get them. A picture that cannot be read raises InputError, which names it.
    """
    if not pairs:
        raise InputError("There are no pairs to train on; give at least two.")
    size = min(stage.batch or len(pairs), len(pairs))
    rounds = len(pairs) // size
    steps = stage.steps or round((stage.epochs or 1) * rounds)
    views = sorted({side for each in system.contrasts for side in each.sides} - system.towers.keys())

    def batch(step: int) -> Matched:
        order = np.random.default_rng([seed, step // rounds]).permutation(len(pairs))
        some = [pairs[int(n)] for n in order[step % rounds * size :][:size]]
        rng = np.random.default_rng([seed, 1, step])
        cuts = range(0, size, part or size)
        parts = [_sides(system, tokenizer, some[start : start + (part or size)], views, crops, rng) for start in cuts]
        labels = [pair.labels[0] for pair in some if pair.labels]
        return Matched(tuple(parts), torch.tensor(labels) if len(labels) == size else None)

    def losses(model: nn.Module, batch: Matched) -> dict[str, Tensor]:
        assert isinstance(model, Dual)
        drawn = int(torch.randint(1 << 30, ()))  # follows from the step, as all that is drawn in it
        if len(batch.parts) > 1:
            return in_parts(model, batch.parts, stage, drawn, batch.alike_B)
        return contrast(model, batch.parts[0], stage, torch.Generator().manual_seed(drawn), batch.alike_B)

    return Task(batch, losses, steps)


def _sides(
    system: DualSystem, tokenizer: Tokenizer, pairs: Sequence[Pair], views: Sequence[str], crops: tuple[float, float] | None,
    rng: np.random.Generator,
) -> Side:  # fmt: skip
    eye, words = system.towers["image"], system.towers["text"]
    assert isinstance(eye, Tower) and isinstance(words, TextTower)
    images, lines = [], []
    for pair in pairs:
        try:
            images.append(read_image(pair.image))
        except InputError as error:
            raise InputError(f"The picture of '{pair.key}' cannot be trained on: {error}") from None
        if not pair.captions:
            raise InputError(f"'{pair.key}' has no caption; training needs one for every picture.")
        lines.append(pair.captions[int(rng.integers(len(pair.captions)))])
    seen = images if crops is None else [crop(image, rng, crops) for image in images]
    out: dict[str, Pixels | WordsBatch] = {"image": _pixels(eye, seen)}
    out["text"] = words.policy.collate(tokenizer, [words.policy.encode(tokenizer, line) for line in lines])
    return out | {name: _pixels(eye, [view(image, rng) for image in images]) for name in views}


def _pixels(tower: Tower, images: Sequence[Image.Image]) -> Pixels:
    arrays = [torch.from_numpy(tower.policy.arrays(image)[0]) for image in images]
    x_NC = torch.cat([still(x, tower.encoder) for x in arrays])
    return Pixels(x_NC, tuple(tower.encoder.grid(*x.shape[1:]) for x in arrays))
