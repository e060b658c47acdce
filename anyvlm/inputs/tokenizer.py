"""Pieces of prompt to token ids and back.

The prompt is encoded as one string, as transformers does it, so that merges across pieces come out alike; offsets then
say which piece each token belongs to. Control tokens count only where the template put them: where one shows up in
text that a user or an answer brought, the string is cut inside that word and encoded again, until it is plain text.
"""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import tokenizers

from anyvlm.errors import InputError, SpecError, WeightsError
from anyvlm.inputs.incremental import Incremental
from anyvlm.inputs.template import Piece

IMAGE = -1
"""The id of a picture's slot; the planner replaces it by as many places as the picture has tokens."""

_SLOT, _CUT = "\ue000image\ue001", "\ue000cut\ue001"  # two control tokens of ours, with ids beyond the vocabulary
_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
)


@dataclass(frozen=True)
class Encoded:
    """Per token: its id (IMAGE for a picture), whether training predicts it, the index of its piece.

    A token that spans two pieces belongs to the later one: " The" after "ASSISTANT:" is part of the answer.
    """

    ids: tuple[int, ...]
    supervised: tuple[bool, ...]
    owner: tuple[int, ...]


class Tokenizer:
    """A tokenizer of the `tokenizers` library, taken over: truncation, padding and post-processing are removed.

    source: a directory with tokenizer.json (tokenizer_config.json and generation_config.json are read beside it), that
    file, or a `tokenizers.Tokenizer`; `bos` and `eos` name the first and last tokens where no file says so; `added`: control
    tokens that come behind the last, where the files lack them.
    Raises WeightsError if the files are missing or damaged.
    """

    def __init__(
        self, source: str | Path | tokenizers.Tokenizer, *, bos: str | None = None, eos: Sequence[str] = (),
        added: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._directory: Path | None = None
        ends: list[object] = []
        if isinstance(source, tokenizers.Tokenizer):
            self._inner = source
        else:
            path = Path(source)
            self._directory = path if path.is_dir() else path.parent
            self._inner = _read_tokenizer(self._directory / "tokenizer.json" if path.is_dir() else path)
            config = read_json(self._directory / "tokenizer_config.json")
            _add_missing(self._inner, config.get("added_tokens_decoder"))
            bos = bos or _content(config.get("bos_token"))
            eos = tuple(eos) or tuple(filter(None, [_content(config.get("eos_token"))]))
            also = read_json(self._directory / "generation_config.json").get("eos_token_id")
            ends = also if isinstance(also, list) else [also]
        self._inner.encode_special_tokens = False  # the template's are to be found
        self._inner.no_truncation()
        self._inner.no_padding()
        self._post = self._inner.post_processor
        self._inner.post_processor = None  # it trims spaces off the offsets
        ours = [tokenizers.AddedToken(text, special=True, normalized=False) for text in (*added, _SLOT, _CUT)]
        self._inner.add_special_tokens(ours)
        known = self._inner.get_added_tokens_decoder()
        self._ours = frozenset(id for id, token in known.items() if token.content in (_SLOT, _CUT))
        self._special = frozenset(id for id, token in known.items() if token.special)
        self._control = {
            id: token.content
            for id, token in known.items()
            if token.special or not token.content.isspace()  # runs of spaces as one token are ordinary text
        }
        self.specials = frozenset(content for id, content in self._control.items() if id not in self._ours)
        # Normalisation hides some: Llama's old files look for "▁</s>" and miss the "</s>" behind an answer.
        normal = self._inner.normalizer
        hidden = {t.content for t in known.values() if normal and t.normalized and normal.normalize_str(t.content) != t.content}
        self._readable = self.specials - hidden
        self.readers: dict[str, Tokenizer] = {}  # those of streams whose connectors read the prompt, by the stream's name
        self.bos = None if bos is None else self.id(bos)
        self.eos = frozenset(self.id(token) for token in eos) | {end for end in ends if isinstance(end, int)}

    def id(self, token: str) -> int:
        """The id of a token by its exact text; SpecError if there is none."""
        if (found := self.find(token)) is None:
            raise SpecError(f"The tokenizer has no token '{token}'; the template or the tokenizer is not this model's.")
        return found

    def find(self, token: str) -> int | None:
        """The id of a token by its exact text, None if there is none."""
        found = self._inner.token_to_id(token)
        return None if found in self._ours else found

    @cached_property
    def vocab(self) -> Mapping[str, int]:
        """Every token's id by its text (40 ms for 50,000 tokens, so made when first asked for)."""
        return {token: id for token, id in self._inner.get_vocab(with_added_tokens=True).items() if id not in self._ours}

    # text -> ids ------------------------------------------------------------------------------------------------------

    def encode(self, pieces: Sequence[Piece]) -> Encoded:
        """Ids of the pieces as one prompt; nothing is added in front or behind.

        Equal to what transformers gives for the whole string, if no untrusted text holds a control token; if it does,
        that text stays text. Raises SpecError if a piece of kind "special" is no token of the vocabulary.
        """
        for piece in pieces:
            if piece.kind == "special" and self.find(piece.text) is None:
                raise SpecError(f"The template's '{piece.text}' is not a control token of this tokenizer.")
        chunks = [_Chunk(self._written(piece), n) for n, piece in enumerate(pieces)]
        while True:
            tokens, cuts = self._assign(chunks, pieces)
            if not cuts:
                break
            chunks = _split(chunks, cuts)
        if sum(pieces[owner].kind in ("special", "image") for _, owner in tokens) != sum(
            piece.kind in ("special", "image") for piece in pieces
        ):
            raise SpecError("The tokenizer does not read every control token of the template; it is not this model's.")
        return Encoded(
            ids=tuple(id for id, _ in tokens),
            supervised=tuple(pieces[owner].supervised for _, owner in tokens),
            owner=tuple(owner for _, owner in tokens),
        )

    def _written(self, piece: Piece) -> str:
        """Pictures and control tokens by their own token, which may strip spaces; by ours where there is none."""
        control = piece.kind in ("special", "image")
        return _SLOT if control and piece.text not in self._readable else piece.text

    def _assign(self, chunks: Sequence[_Chunk], pieces: Sequence[Piece]) -> tuple[list[tuple[int, int]], list[int]]:
        """((id, piece) of every token, or places to cut because a control token stands in untrusted text)."""
        whole = "".join(chunk.text for chunk in chunks)
        starts = list(accumulate((len(chunk.text) for chunk in chunks), initial=0))[:-1]
        encoding = self._inner.encode(whole, add_special_tokens=False)
        tokens: list[tuple[int, int]] = []
        cuts: list[int] = []
        for id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            at = self._control_at(id, whole, start, end) if id in self._control else None
            place = bisect_right(starts, max(start, end - 1) if at is None else at) - 1
            owner = chunks[place].owner
            if at is None:
                assert owner is not None  # a cut is always read as the control token it is
                tokens.append((id, owner))
            elif owner is None and at == starts[place]:
                continue
            elif owner is not None and pieces[owner].kind == "image" and at == starts[place]:
                tokens.append((IMAGE, owner))
            elif owner is not None and pieces[owner].kind == "special" and at == starts[place]:
                tokens.append((self.id(pieces[owner].text), owner))
            else:
                cuts.append(self._cut_at(id, at, None if owner is None else pieces[owner]))
        return tokens, cuts

    def _control_at(self, id: int, whole: str, start: int, end: int) -> int | None:
        """Where the control token begins (its span may hold spaces around it); None if it stands for unknown text."""
        content = self._control[id]
        if (at := whole.find(content, start, end)) >= 0:
            return at
        span, normalizer = whole[start:end], self._inner.normalizer
        if normalizer is not None and content in normalizer.normalize_str(span):  # such as full-width letters
            return start + len(span) - len(span.lstrip())
        return None

    def _cut_at(self, id: int, at: int, piece: Piece | None) -> int:
        content = self._control[id]
        if piece is not None and piece.kind == "template":
            raise SpecError(f"The template writes the control token '{content}' but does not list it in `specials`.")
        if len(content) == 1:
            raise InputError(f"The text holds the control character {content!r} of this model; remove it.")
        return at + 1

    # ids -> text ------------------------------------------------------------------------------------------------------

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of ids; picture slots have none."""
        return self._inner.decode([id for id in ids if id >= 0 and id not in self._ours], skip_special_tokens=skip_special)

    def stream(self, skip_special: bool = True) -> Incremental:
        """A decoder that is fed one id at a time."""
        return Incremental(self._inner, self._special | self._ours if skip_special else self._ours, self._bytes)

    @cached_property
    def _bytes(self) -> frozenset[int]:
        """Ids of single raw bytes, "<0x00>" to "<0xFF>", where the decoder reads them as such."""
        names = (f"<0x{value:02X}>" for value in range(256))
        found = ((name, self.find(name)) for name in names)
        return frozenset(id for name, id in found if id is not None and self.decode([id]) != name)

    # files ------------------------------------------------------------------------------------------------------------

    def save(self, directory: Path) -> None:
        """Write the tokenizer's files: copies of those it was read from, or tokenizer.json and tokenizer_config.json.

        Those of streams go into the folders ``<stream>_tokenizer``. The caller provides the directory, and atomicity
        (`weights.atomic`).
        """
        for name, reader in self.readers.items():
            (directory / f"{name}_tokenizer").mkdir()
            reader.save(directory / f"{name}_tokenizer")
        if self._directory is not None:
            for name in _FILES:
                if (self._directory / name).is_file():
                    shutil.copyfile(self._directory / name, directory / name)
            return
        data = json.loads(self._inner.to_str())
        data["added_tokens"] = [token for token in data["added_tokens"] if token["id"] not in self._ours]
        if self._post is not None:
            data["post_processor"] = json.loads(self._post.__getstate__())
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": None if self.bos is None else self._inner.id_to_token(self.bos),
            "eos_token": self._inner.id_to_token(min(self.eos)) if self.eos else None,
            "clean_up_tokenization_spaces": False,
        }
        (directory / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


# Chunks: pieces, cut further where untrusted text held a control token ------------------------------------------------


@dataclass(frozen=True)
class _Chunk:
    text: str
    owner: int | None  # index of the piece; None for a cut


def _split(chunks: Sequence[_Chunk], cuts: Sequence[int]) -> list[_Chunk]:
    """Chunks with a cut put in at each place: ascending offsets into their whole text."""
    result: list[_Chunk] = []
    end, places = 0, list(reversed(cuts))
    for chunk in chunks:
        start, end = end, end + len(chunk.text)
        while places and start < places[-1] <= end:
            place = places.pop()
            result += [_Chunk(chunk.text[: place - start], chunk.owner), _Chunk(_CUT, None)]
            chunk, start = _Chunk(chunk.text[place - start :], chunk.owner), place
        result.append(chunk)
    return [chunk for chunk in result if chunk.text]


# Files ----------------------------------------------------------------------------------------------------------------


def read_json(path: Path) -> dict[str, object]:
    """The object in a JSON file, {} if there is no file; WeightsError if it is damaged."""
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise WeightsError(f"{path} is damaged: it is not JSON; fetch it again.") from None
    if not isinstance(data, dict):
        raise WeightsError(f"{path} is damaged: it does not hold an object; fetch it again.")
    return data


def _read_tokenizer(path: Path) -> tokenizers.Tokenizer:
    if not path.is_file():
        raise WeightsError(f"There is no {path}; a fast tokenizer in that file is needed.")
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception:  # the library raises a bare Exception
        raise WeightsError(f"{path} is damaged or of a format this version cannot read; fetch it again.") from None


def _add_missing(inner: tokenizers.Tokenizer, listed: object) -> None:
    """Tokens that only tokenizer_config.json knows, in the order of their ids, as transformers adds them."""
    if not isinstance(listed, Mapping):
        return
    for id, token in sorted(listed.items(), key=lambda item: int(item[0])):
        if inner.token_to_id(token["content"]) is None:
            flags = {flag: bool(token.get(flag, False)) for flag in ("single_word", "lstrip", "rstrip", "normalized")}
            inner.add_tokens([tokenizers.AddedToken(token["content"], special=bool(token.get("special")), **flags)])
            if inner.token_to_id(token["content"]) != int(id):
                raise WeightsError(f"tokenizer_config.json gives '{token['content']}' the id {id}, which is not the next free.")


def _content(token: object) -> str | None:
    """The text of bos_token or eos_token: a string, or an object with content."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None
