"""`DualModel`: a loaded system of towers. Pictures and texts in; points, likeness and probabilities out.

Shape letters: I pictures, J texts or labels, B items, C values per patch, E width of the shared space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anyvlm.contrasts import uncertainty
from anyvlm.dual import Dual, DualSystem, Look, Softmax, TextTower, Tower
from anyvlm.errors import InputError
from anyvlm.generate.device import Place, place
from anyvlm.generate.prepack import prepack
from anyvlm.inputs.image import ImageSource, read_image
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.text import WordsBatch
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.parts.features import still
from anyvlm.system import Pixels, System
from anyvlm.weights.load import find, load_module, load_tokenizer

Images = ImageSource | list[ImageSource] | tuple[ImageSource, ...]
Array = npt.NDArray[np.float32]
BATCH = 32


@dataclass(frozen=True)
class Points:
    """Points (I, E) of pictures and (J, E) of texts, of length 1 unless the system says otherwise. `cut`: number of a text ->
    tokens that did not fit.
    """

    images: Tensor | None = None
    texts: Tensor | None = None
    cut: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """Of every picture and every text (I, J): cosine of their points, and the probability that they belong together.

    Where the system was trained with a softmax, each line of `probability` is a choice among the texts and sums to 1; where
    with a sigmoid, each pair stands alone. `cut`: as in `Points`.
    """

    cosine: Tensor
    probability: Tensor
    cut: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Classes(Fit):
    """The same for labels (I, J): `best` is the likeliest label of every picture. `cut`: number of a label.

    `unsure`: of every picture the sum of its variances, where the system gives them (ProLIP).
    """

    labels: tuple[str, ...] = ()
    unsure: Tensor | None = None

    @property
    def best(self) -> tuple[str, ...]:
        """One label for each picture."""
        return tuple(self.labels[place] for place in self.probability.argmax(1).tolist())


def load(
    name: str | Path, *, device: str | None = None, dtype: str | torch.dtype | None = None, remote: bool = False
) -> DualModel:
    """`anyvlm.load` for those who compare: any other system is refused, before its weights are fetched."""
    from anyvlm.generate.embedding import EmbeddingModel

    where, found = place(device, dtype), find(name)
    if isinstance(found, System) and found.embedding is not None:
        return EmbeddingModel.of(found, where, remote=remote)
    if not isinstance(found, DualSystem):
        raise InputError(
            f"'{found.name}' has no towers to compare and does not put pictures and texts into one space; take one that does, "
            "such as clip-vit-b-32."
        )
    return DualModel.load(found, where, remote=remote)


class DualModel:
    """A system of towers with its weights, preprocessing and tokenizer. `module` is an ordinary nn.Module."""

    def __init__(
        self, system: DualSystem, module: Dual, tokenizer: Tokenizer | None, where: Place, *, remote: bool = False
    ) -> None:
        self.system, self.module, self.tokenizer, self.place, self.remote = system, module.eval(), tokenizer, where, remote

    @classmethod
    def load(cls, system: DualSystem, where: Place, *, remote: bool = False) -> Self:
        """With the weights of the system's checkpoints and its tokenizer, fetched if need be."""
        module = load_module(system, device=where.device, dtype=where.dtype)
        assert isinstance(module, Dual)
        prepack(module)
        return cls(system, module, load_tokenizer(system), where, remote=remote)

    # Jobs -------------------------------------------------------------------------------------------------------------

    def embed(
        self, images: Images | None = None, texts: str | Sequence[str] | None = None, *, batch: int = BATCH
    ) -> Points:
        """Points of pictures, of texts or of both, `batch` at a time. Raises InputError."""
        if images is None and texts is None:
            raise InputError("There is nothing to embed; give pictures, texts or both.")
        seen = None if images is None else self.point_images(images, batch=batch)
        read, cut = (None, dict[int, int]()) if texts is None else self._point_texts(_lines(texts), batch)
        return Points(seen, read, cut)

    def scores(self, images: Images, texts: str | Sequence[str], *, batch: int = BATCH) -> Fit:
        """How well every picture fits every text. Raises InputError."""
        points = self.embed(images, texts, batch=batch)
        assert points.images is not None and points.texts is not None
        return Fit(*self._compared(points.images, points.texts), points.cut)

    def classify(
        self, images: Images, labels: Sequence[str], *, templates: Sequence[str] | None = None, batch: int = BATCH
    ) -> Classes:
        """Which label each picture has.

        `templates`: sentences with {} for the label, whose points are averaged; the system's own if None. Raises InputError
        for no labels, for one where the system chooses among them, and for a label given twice.
        """
        self.check_labels(labels)
        look = self.look_images(images, batch=batch)
        found = self.classify_points(look.point_BE, labels, templates=templates, batch=batch)
        return found if look.spread_BE is None else replace(found, unsure=uncertainty(look))

    def classify_points(
        self, points_IE: Tensor, labels: Sequence[str], *, templates: Sequence[str] | None = None, batch: int = BATCH
    ) -> Classes:
        """The same for points of pictures, or of regions (`anyvlm.generate.regions`) or sounds (`anyvlm.generate.signals`)."""
        names = self.check_labels(labels)
        texts_JE, cut = self.point_labels(names, templates, batch=batch)
        return Classes(*self._compared(points_IE, texts_JE), cut, names)

    # Steps ------------------------------------------------------------------------------------------------------------

    def sized(self, x_BE: Tensor) -> Tensor:
        """Vectors as points: of length 1, or as they are where the system compares them so."""
        return self.module.sized(x_BE)

    def check_labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The labels as they are. Raises InputError as `classify` does."""
        names = (labels,) if isinstance(labels, str) else tuple(labels)
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError("There are no labels, or one is empty; give at least two, none of them empty.")
        if twice := next((name for n, name in enumerate(names) if name in names[:n]), None):
            raise InputError(f"The label '{twice}' is given twice; leave one out.")
        if len(names) == 1 and self.chooses:
            raise InputError(
                f"'{self.system.name}' chooses among labels, so that one alone always has probability 1; give at least two."
            )
        return names

    def point_labels(
        self, labels: Sequence[str], templates: Sequence[str] | None = None, *, batch: int = BATCH
    ) -> tuple[Tensor, dict[int, int]]:
        """Points (J, E) of labels, each the mean over the templates; and which labels lost tokens."""
        around = (self.prompt,) if templates is None else tuple(templates)
        if not around or any("{}" not in one for one in around):
            raise InputError("A template must hold {} where the label goes, such as 'a photo of a {}.'; give at least one.")
        lines = [one.replace("{}", label) for label in labels for one in around]
        points, cut = self._point_texts(lines, batch)
        mean_JE = self.sized(points.unflatten(0, (-1, len(around))).mean(1))
        lost = dict[int, int]()
        for line, tokens in cut.items():
            lost[line // len(around)] = max(tokens, lost.get(line // len(around), 0))
        return mean_JE, lost

    def point_images(self, images: Images, *, batch: int = BATCH) -> Tensor:
        """Points (I, E) of pictures."""
        return self.look_images(images, batch=batch).point_BE

    def look_images(self, images: Images, *, batch: int = BATCH) -> Look:
        """Vectors of pictures, and how sure the tower is of each, where it says."""
        several = images if isinstance(images, (list, tuple)) else (images,)
        if not several:
            raise InputError("There are no pictures; give at least one.")
        policy, parts = self.image_policy, []
        for start in range(0, len(several), batch):
            some = [read_image(image, remote=self.remote) for image in several[start : start + batch]]
            parts.append(self.look_arrays([policy.arrays(image)[0] for image in some]))
        spreads = [part.spread_BE for part in parts if part.spread_BE is not None]
        return Look(torch.cat([part.vector_BE for part in parts]), spread_BE=torch.cat(spreads) if spreads else None)

    def point_arrays(self, arrays: Sequence[Array], modality: str = "image") -> Tensor:
        """Points (B, E) of arrays (3, h, w) that the policy of that tower made, all at once."""
        return self.look_arrays(arrays, modality).point_BE

    @torch.inference_mode()
    def look_arrays(self, arrays: Sequence[Array], modality: str = "image") -> Look:
        """Vectors of such arrays, and how sure the tower is of each, where it says."""
        tower = self._tower(modality)
        encoder = tower.encoder
        grids = [encoder.grid(*array.shape[1:]) for array in arrays]
        order = sorted(range(len(arrays)), key=grids.__getitem__)  # those of one size are computed together
        pixels = (torch.from_numpy(arrays[n]).to(self.place.dtype) for n in order)
        x_NC = torch.cat([still(one, encoder) for one in pixels]).to(self.place.device)
        x = Pixels(x_NC, tuple(grids[n] for n in order))
        # rows are not asked for: without a spread, which reads them, they need not be computed
        look = Look(self.module.towers[modality](x)) if tower.spread is None else self.module.look(modality, x)
        back = torch.tensor(order, device=look.vector_BE.device).argsort()
        return Look(look.vector_BE[back], spread_BE=None if look.spread_BE is None else look.spread_BE[back])

    @torch.inference_mode()
    def _point_texts(self, lines: Sequence[str], batch: int) -> tuple[Tensor, dict[int, int]]:
        if self.tokenizer is None:
            raise InputError(f"'{self.system.name}' has no tokenizer; give a directory that holds one.")
        policy, tokenizer = self._text_tower().policy, self.tokenizer
        ids = [policy.encode(tokenizer, line) for line in lines]
        parts = []
        for start in range(0, len(ids), batch):
            words = policy.collate(tokenizer, ids[start : start + batch])
            seen_BT = None if words.seen_BT is None else words.seen_BT.to(self.place.device)
            parts.append(self.module.points("text", WordsBatch(words.ids_BT.to(self.place.device), seen_BT)).float())
        return torch.cat(parts), {n: each.lost for n, each in enumerate(ids) if each.lost}

    @torch.inference_mode()
    def _compared(self, images_IE: Tensor, texts_JE: Tensor) -> tuple[Tensor, Tensor]:
        contrast = self.module.contrast()
        return images_IE @ texts_JE.T, contrast.probabilities(contrast.logits(images_IE, texts_JE).float())

    @property
    def chooses(self) -> bool:
        """A picture has one of the labels, so that one label alone means nothing."""
        return isinstance(self.system.contrasts[0], Softmax)

    @property
    def prompt(self) -> str:
        """The sentence around a label."""
        return self._text_tower().policy.prompt

    @property
    def width(self) -> int:
        """Of a point."""
        return self.system.shared

    @property
    def image_policy(self) -> Policy:
        """How pictures become pixels."""
        return self._tower("image").policy

    def _tower(self, modality: str) -> Tower:
        tower = self.system.towers.get(modality)
        if not isinstance(tower, Tower):
            raise InputError(f"'{self.system.name}' has no tower for {modality}; it has {', '.join(self.system.towers)}.")
        return tower

    def _text_tower(self) -> TextTower:
        tower = self.system.towers.get("text")
        if not isinstance(tower, TextTower):
            raise InputError(f"'{self.system.name}' reads no texts; it has towers for {', '.join(self.system.towers)}.")
        return tower


def _lines(texts: str | Sequence[str]) -> list[str]:
    lines = [texts] if isinstance(texts, str) else list(texts)
    if not lines:
        raise InputError("There are no texts; give at least one.")
    return lines
