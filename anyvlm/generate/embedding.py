"""`EmbeddingModel`: a language model that sees, asked for one word about a picture or a text; its state there is the point.

Sources: E5-V (2407.12580), VladVA (2412.04378).
Shape letters: B items, I pictures, J texts, E width of the language model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.dual import Look
from anyvlm.errors import InputError, SpecError
from anyvlm.generate.device import Place
from anyvlm.generate.dual import BATCH, Array, DualModel
from anyvlm.generate.prepack import prepack
from anyvlm.inputs.collate import collate
from anyvlm.inputs.embedding import Embedding
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.system import VLM, System
from anyvlm.weights.load import load_module, load_tokenizer


class EmbeddingModel(DualModel):
    """Any `System` with an `embedding`, with its weights and tokenizer: a `DualModel` whose towers are both this one model,
    asked two questions. `module` is an ordinary nn.Module.
    """

    system: System  # type: ignore[assignment]
    module: VLM  # type: ignore[assignment]
    tokenizer: Tokenizer

    def __init__(self, system: System, vlm: VLM, tokenizer: Tokenizer, where: Place, *, remote: bool = False) -> None:
        """Raises SpecError for a system that makes no points, or of one picture several arrays."""
        if system.embedding is None:
            raise SpecError(f"'{system.name}' makes no points; give it an `embedding`.")
        policies = [stream.policy for stream in system.streams.values()]
        if len(policies) != 1 or not isinstance(policies[0], ImagePolicy) or policies[0].fit in ("keep", "corner"):
            raise SpecError(f"'{system.name}' must read pictures by one stream, each as one array of one size, to make points.")
        self.system, self.module, self.tokenizer, self.place, self.remote = system, vlm.eval(), tokenizer, where, remote
        self._asked, self._policy = system.embedding, policies[0]

    @classmethod
    def of(cls, system: System, where: Place, *, remote: bool = False) -> Self:
        """With the weights of the system's checkpoints and its tokenizer, fetched if need be."""
        vlm = load_module(system, device=where.device, dtype=where.dtype)
        assert isinstance(vlm, VLM)
        if (tokenizer := load_tokenizer(system)) is None:
            raise InputError(f"'{system.name}' has no tokenizer; give a directory that holds one.")
        prepack(vlm)
        return cls(system, vlm, tokenizer, where, remote=remote)

    def point_arrays(self, arrays: Sequence[Array], modality: str = "image") -> Tensor:
        """Points (B, E) of arrays (3, h, w) that the policy made, all at once."""
        return self.look_arrays(arrays, modality).vector_BE

    def look_arrays(self, arrays: Sequence[Array], modality: str = "image") -> Look:
        """The same points, of length 1 already."""
        if modality not in self.system.streams:
            raise InputError(f"'{self.system.name}' has no tower for {modality}; it has image, text.")
        asked = picture_question(self.system, self._asked, self.tokenizer)
        return Look(self._points([asked] * len(arrays), [[array] for array in arrays]))

    def _point_texts(self, lines: Sequence[str], batch: int = BATCH) -> tuple[Tensor, dict[int, int]]:
        """None of them loses tokens: one that is too long is an InputError."""
        asked = [text_question(self.system, self._asked, self.tokenizer, line) for line in lines]
        parts = [asked[start : start + batch] for start in range(0, len(asked), batch)]
        return torch.cat([self._points(part, [[] for _ in part]) for part in parts]), {}

    @torch.inference_mode()
    def _points(self, plans: Sequence[Plan], arrays: Sequence[Sequence[Array]]) -> Tensor:
        return self.module.points(collate(self.system, plans, arrays).to(self.place.device))

    def sized(self, x_BE: Tensor) -> Tensor:
        """Of length 1."""
        return F.normalize(x_BE, dim=-1)

    def _compared(self, images_IE: Tensor, texts_JE: Tensor) -> tuple[Tensor, Tensor]:
        cosine = images_IE @ texts_JE.T
        return cosine, (self._asked.scale * cosine).softmax(-1)

    @property
    def chooses(self) -> bool:
        """Always."""
        return True

    @property
    def prompt(self) -> str:
        """The sentence around a label."""
        return self._asked.prompt

    @property
    def width(self) -> int:
        """Of a point."""
        return self.system.lm.width

    @property
    def image_policy(self) -> Policy:
        """How pictures become pixels."""
        return self._policy


def picture_question(system: System, asked: Embedding, tokenizer: Tokenizer) -> Plan:
    """What is asked about a picture, all of which are of one size."""
    return plan(system, tokenizer, [Message("user", (Picture(""), asked.image))], sizes=[(64, 64)])


def text_question(system: System, asked: Embedding, tokenizer: Tokenizer, text: str) -> Plan:
    """What is asked about a text. Raises InputError if it is empty or does not fit."""
    if not text.strip():
        raise InputError("A text is empty; leave it out.")
    return plan(system, tokenizer, [Message("user", (asked.text.replace("{}", text),))])
