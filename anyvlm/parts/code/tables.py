"""Tables: how codes enter a language model, and how its states become codes again.

Shape letters: N rows, D width, K codes, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.code.code import Code, CodeModule
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.vocabulary import Vocabulary
from anyvlm.parts.features import Connector, Encoder, Features
from anyvlm.parts.init import normal
from anyvlm.parts.language import LM
from anyvlm.spec import Spec


class Tables(Spec):
    """Contract of tables."""

    def code_of(self, encoders: Mapping[str, Encoder]) -> Code:
        """The code that makes pictures; `encoders`: those of the system's streams."""
        raise NotImplementedError

    def build(self, width: int, encoders: Mapping[str, Encoder], connectors: Mapping[str, Connector]) -> TablesModule:
        """The module for a language model of this width, with these streams."""
        raise NotImplementedError


class TablesModule(nn.Module):
    """Contract of their modules."""

    def code(self, encoders: nn.ModuleDict) -> CodeModule:
        """The module of the code; `encoders`: those of the system's streams."""
        raise NotImplementedError

    def embed(self, lm: LM, codes: Tensor) -> Tensor:
        """Codes (...) -> what the language model reads (..., D)."""
        raise NotImplementedError

    def logits(self, lm: LM, hidden: Tensor) -> Tensor:
        """States (..., D) -> (..., K)."""
        raise NotImplementedError

    def words(self, device: torch.device) -> Tensor | None:
        """Of every code its id in the vocabulary (K); None where codes are no words of it."""
        return None


# Tables of their own --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OwnTables(Tables):
    """Codes have an embedding, an aligner and a head of their own (Janus, 2410.13848).

    `hidden`: width of the head between its two layers, with `act` between them.
    """

    coder: Code
    aligner: Projector
    hidden: int
    act: Act = "gelu"

    def code_of(self, encoders: Mapping[str, Encoder]) -> Code:
        """Its own."""
        return self.coder

    def build(self, width: int, encoders: Mapping[str, Encoder], connectors: Mapping[str, Connector]) -> OwnTablesModule:
        """The module."""
        return OwnTablesModule(self, width)


class _Head(nn.Module):
    def __init__(self, spec: OwnTables, width: int) -> None:
        super().__init__()
        self.act = ACTS[spec.act]
        self.up, self.down = nn.Linear(width, spec.hidden), nn.Linear(spec.hidden, spec.coder.vocab)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.act(self.up(x)))
        return out


class OwnTablesModule(TablesModule):
    """`book`: a row for every code, as long as the codebook's, which it does not share."""

    def __init__(self, spec: OwnTables, width: int) -> None:
        super().__init__()
        self.coder = spec.coder.build()
        self.book = nn.Embedding(spec.coder.vocab, spec.coder.width, _weight=normal(spec.coder.vocab, spec.coder.width))
        self.aligner = spec.aligner.build(spec.coder.width, width)
        self.head = _Head(spec, width)

    def code(self, encoders: nn.ModuleDict) -> CodeModule:
        """Its own."""
        return self.coder

    def embed(self, lm: LM, codes: Tensor) -> Tensor:
        """Codes (...) -> (..., D)."""
        rows = Features(self.book(codes.flatten()), ((1, 1, codes.numel()),))
        out: Tensor = self.aligner(rows).x_ND.unflatten(0, codes.shape)
        return out

    def logits(self, lm: LM, hidden: Tensor) -> Tensor:
        """States (..., D) -> (..., K)."""
        out: Tensor = self.head(hidden)
        return out


# The vocabulary -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SharedTables(Tables):
    """Codes are read and written as words of the vocabulary, by the connector of the stream that pictures come in by."""

    stream: str = "image"

    def code_of(self, encoders: Mapping[str, Encoder]) -> Code:
        """The stream's encoder."""
        code = encoders[self.stream]
        if not isinstance(code, Code):
            raise SpecError(f"SharedTables: the encoder of the stream '{self.stream}' is no code.")
        return code

    def build(self, width: int, encoders: Mapping[str, Encoder], connectors: Mapping[str, Connector]) -> SharedTablesModule:
        """The module; it has no parameters."""
        vocabulary = connectors[self.stream]
        if not isinstance(vocabulary, Vocabulary):
            raise SpecError(f"SharedTables: the connector of the stream '{self.stream}' is no Vocabulary.")
        return SharedTablesModule(self.stream, vocabulary, self.code_of(encoders).vocab)


class SharedTablesModule(TablesModule):
    """What language model and stream have."""

    def __init__(self, stream: str, vocabulary: Vocabulary, codes: int) -> None:
        super().__init__()
        self.stream, self.codes, self.vocabulary = stream, codes, vocabulary.build(1, 1)

    def code(self, encoders: nn.ModuleDict) -> CodeModule:
        """The stream's encoder."""
        code = encoders[self.stream]
        assert isinstance(code, CodeModule)
        return code

    def embed(self, lm: LM, codes: Tensor) -> Tensor:
        """Codes (...) -> (..., D)."""
        out: Tensor = lm.embed(self.vocabulary.ids(codes))
        return out

    def logits(self, lm: LM, hidden: Tensor) -> Tensor:
        """States (..., D) -> (..., K)."""
        return lm.logits(hidden).index_select(-1, self.words(hidden.device))

    def words(self, device: torch.device) -> Tensor:
        """Of every code its id (K)."""
        return self.vocabulary.ids(torch.arange(self.codes, device=device))
