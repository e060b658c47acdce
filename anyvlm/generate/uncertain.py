"""What systems of distributions and of conditioned points are asked: how sure they are, what lies in what, fine likeness.

Shape letters: I pictures, J texts, E width of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anyvlm.contrasts import ConditionedModule, ProbabilisticModule, included, uncertainty
from anyvlm.dual import Look, TextTower, Tower
from anyvlm.errors import InputError
from anyvlm.generate.dual import DualModel, Fit
from anyvlm.inputs.image import ImageSource, read_image
from anyvlm.inputs.text import WordsBatch
from anyvlm.system import Pixels

Items = Sequence[ImageSource] | Sequence[str]


@torch.inference_mode()
def look_images(model: DualModel, images: Sequence[ImageSource]) -> Look:
    """All that the image tower says of pictures, at once. Raises InputError."""
    tower = model.system.towers.get("image")
    if not isinstance(tower, Tower) or not images:
        raise InputError("There are no pictures, or no tower for them; give at least one picture.")
    arrays = [torch.from_numpy(tower.policy.arrays(read_image(image, remote=model.remote))[0]) for image in images]
    x_NC = torch.cat([tower.encoder.cut(array) for array in arrays]).to(model.place.device)
    return model.module.look("image", Pixels(x_NC, tuple(tower.encoder.grid(*array.shape[1:]) for array in arrays)))


@torch.inference_mode()
def look_texts(model: DualModel, texts: Sequence[str]) -> Look:
    """The same of texts."""
    tower = model.system.towers.get("text")
    if not isinstance(tower, TextTower) or model.tokenizer is None or not texts:
        raise InputError("There are no texts, or no tower or tokenizer for them; give at least one text.")
    words = tower.policy.collate(model.tokenizer, [tower.policy.encode(model.tokenizer, text) for text in texts])
    seen_BT = None if words.seen_BT is None else words.seen_BT.to(model.place.device)
    return model.module.look("text", WordsBatch(words.ids_BT.to(model.place.device), seen_BT))


@torch.inference_mode()
def uncertainties(model: DualModel, look: Look) -> Tensor:
    """Of each item the sum of its variances. Raises InputError where points say nothing of that."""
    if look.spread_BE is None:
        raise InputError(f"'{model.system.name}' gives points without variances; use a ProLIP system.")
    return uncertainty(look).float()


@torch.inference_mode()
def inclusions(model: DualModel, a: Look, b: Look) -> Tensor:
    """Of each pair (a, b): above 0 where `a` lies in `b` rather than `b` in `a`; the mean over all values."""
    contrast = model.module.contrast()
    if not isinstance(contrast, ProbabilisticModule):
        raise InputError(f"'{model.system.name}' gives points without variances; use a ProLIP system.")
    eps = contrast.spec.eps
    return (included(a, b, eps) - included(b, a, eps)).mean(-1).float()


@torch.inference_mode()
def fine_scores(model: DualModel, images: Sequence[ImageSource], texts: Sequence[str]) -> Fit:
    """How well every text fits every picture as that text sees it. Raises InputError."""
    contrast = model.module.contrast()
    if not isinstance(contrast, ConditionedModule):
        raise InputError(f"'{model.system.name}' compares points only; use a FLAIR system for fine likeness.")
    cosine = contrast.fine(look_images(model, images), look_texts(model, texts))
    return Fit(cosine.float(), contrast.probabilities(contrast.fine_logits(cosine).float()))
