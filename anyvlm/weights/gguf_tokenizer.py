"""The tokenizer inside a GGUF file, as a `tokenizers.Tokenizer` with the ids of the original.

A GGUF file holds the vocabulary and the merges, but only a *name* for how text is cut before merging; the rules behind
the names are those of the published tokenizer.json files (SmolLM2, Llama 3, Qwen2, Mistral Nemo), as in llama.cpp's
llama-vocab.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from anyvlm.errors import WeightsError
from anyvlm.weights.gguf import Value

_NORMAL, _CONTROL, _USER = 1, 3, 4  # tokenizer.ggml.token_type

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace("{1,3}", "")
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """How a byte-level vocabulary cuts text before merging. `split` None: GPT-2's own pattern.

    `digits`: every digit alone first. `nfc`: text is composed first. `whole`: a word that is in the vocabulary is taken
    as it is. `bos`: the text begins with bos where the file does not say.
    """

    split: str | None = None
    digits: bool = False
    nfc: bool = False
    whole: bool = False
    bos: bool = False


_CUTS = {
    "gpt-2": _Cut(),
    "smollm": _Cut(digits=True),
    "llama-bpe": _Cut(split=_LLAMA3, whole=True, bos=True),
    "llama3": _Cut(split=_LLAMA3, whole=True, bos=True),
    "llama-v3": _Cut(split=_LLAMA3, whole=True, bos=True),
    "qwen2": _Cut(split=_QWEN2, nfc=True),
    "deepseek-r1-qwen": _Cut(split=_QWEN2, nfc=True),
    "tekken": _Cut(split=_TEKKEN, whole=True, bos=True),
}


@dataclass(frozen=True, kw_only=True)
class GgufTokenizer:
    """The tokenizer and what the file says about its use. `add_bos`, `add_eos`: whether plain text is framed by them.

    `chat_template` is foreign Jinja source: never render it outside a sandbox.
    """

    tokenizer: Tokenizer
    bos: int | None
    eos: int | None
    unk: int | None
    pad: int | None
    add_bos: bool
    add_eos: bool
    chat_template: str | None


def read_tokenizer(path: Path, metadata: Mapping[str, Value]) -> GgufTokenizer:
    """The tokenizer described by a GGUF file's metadata. Raises WeightsError for a kind that is not known."""
    source = _Source(path, metadata)
    kind = source.text("model")
    if kind == "gpt2":
        tokenizer, add_bos = _byte_level(source)
    elif kind == "llama":
        tokenizer, add_bos = _sentencepiece(source), True
    else:
        raise WeightsError(f"{path} has a tokenizer of the kind '{kind}'; 'gpt2' and 'llama' can be read.")
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in source.of_type(_CONTROL)])
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in source.of_type(_USER)])
    if tokenizer.get_vocab_size() != len(source.tokens):
        raise WeightsError(f"{path} lists a token twice; its vocabulary is damaged or was converted wrongly.")
    template = metadata.get("tokenizer.chat_template")
    return GgufTokenizer(
        tokenizer=tokenizer,
        bos=source.id("bos"),
        eos=source.id("eos"),
        unk=source.id("unknown"),
        pad=source.id("padding"),
        add_bos=source.flag("add_bos_token", add_bos),
        add_eos=source.flag("add_eos_token", False),
        chat_template=template if isinstance(template, str) else None,
    )


class _Source:
    """Typed access to the ``tokenizer.ggml.*`` entries."""

    def __init__(self, path: Path, metadata: Mapping[str, Value]) -> None:
        self.path, self.metadata = path, metadata
        self.tokens = self.texts("tokens")
        types = self.metadata.get("tokenizer.ggml.token_type", [_NORMAL] * len(self.tokens))
        if not isinstance(types, list) or len(types) != len(self.tokens):
            raise self.damaged("token_type")
        self.types = types

    def damaged(self, key: str) -> WeightsError:
        return WeightsError(
            f"{self.path}: tokenizer.ggml.{key} is missing or damaged; fetch or convert the file again."
        )

    def of_type(self, kind: int) -> list[str]:
        return [token for token, its in zip(self.tokens, self.types, strict=True) if its == kind]

    def text(self, key: str) -> str:
        found = self.metadata.get(f"tokenizer.ggml.{key}")
        if not isinstance(found, str):
            raise self.damaged(key)
        return found

    def texts(self, key: str) -> list[str]:
        found = self.metadata.get(f"tokenizer.ggml.{key}")
        if not isinstance(found, list):
            raise self.damaged(key)
        texts = [text for text in found if isinstance(text, str)]
        if len(texts) != len(found):
            raise self.damaged(key)
        return texts

    def flag(self, key: str, default: bool) -> bool:
        found = self.metadata.get(f"tokenizer.ggml.{key}", default)
        if not isinstance(found, bool):
            raise self.damaged(key)
        return found

    def id(self, name: str) -> int | None:
        found = self.metadata.get(f"tokenizer.ggml.{name}_token_id")
        if found is not None and not (isinstance(found, int) and 0 <= found < len(self.tokens)):
            raise self.damaged(f"{name}_token_id")
        return found


def _byte_level(source: _Source) -> tuple[Tokenizer, bool]:
    """A GPT-2 style tokenizer, and whether text begins with bos by default."""
    name = source.text("pre")
    if name not in _CUTS:
        raise WeightsError(
            f"{source.path} cuts text by the rule '{name}', which is not known here (known: {', '.join(_CUTS)}); use "
            "the original checkpoint with its tokenizer.json."
        )
    cut = _CUTS[name]
    tokenizer = _bpe(source, [_pair(source, merge) for merge in source.texts("merges")], ignore_merges=cut.whole)
    if cut.nfc:
        tokenizer.normalizer = normalizers.NFC()
    before: list[pre_tokenizers.PreTokenizer] = [pre_tokenizers.Digits(individual_digits=True)] if cut.digits else []
    if cut.split:
        before.append(pre_tokenizers.Split(Regex(cut.split), "isolated"))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut.split is None)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, last])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, cut.bos


def _pair(source: _Source, merge: str) -> tuple[str, str]:
    left, space, right = merge.partition(" ")
    if not (left and space and right):
        raise source.damaged("merges")
    return left, right


def _sentencepiece(source: _Source) -> Tokenizer:
    """A SentencePiece BPE with byte fallback (Llama 1 and 2, Mistral, Phi-3): spaces are ▁, and one is put in front."""
    scores = source.metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(source.tokens):
        raise source.damaged("scores")
    unknown = source.id("unknown")
    unk = source.tokens[unknown] if unknown is not None else None
    tokenizer = _bpe(source, _merges(source, scores), unk_token=unk, fuse_unk=True, byte_fallback=True)
    front = source.flag("add_space_prefix", True)
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if front else replace
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if front else parts)
    return tokenizer


def _merges(source: _Source, scores: list[Value]) -> list[tuple[str, str]]:
    """The merges that a scored vocabulary implies: every way to make a token of two others, best token first.

    SentencePiece joins the neighbours whose union has the highest score; control and byte tokens are never made so.
    """
    rank = {token: n for n, (token, its) in enumerate(zip(source.tokens, source.types, strict=True)) if its == _NORMAL}
    found = []
    for token, n in rank.items():
        score = scores[n]
        if not isinstance(score, float):
            raise source.damaged("scores")
        cuts = ((token[:at], token[at:]) for at in range(1, len(token)))
        found += [(-score, rank[a], rank[b], a, b) for a, b in cuts if a in rank and b in rank]
    return [(a, b) for *_, a, b in sorted(found)]


def _bpe(source: _Source, merges: list[tuple[str, str]], **options: bool | str | None) -> Tokenizer:
    vocab = {token: n for n, token in enumerate(source.tokens)}
    try:
        return Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    except Exception as error:  # tokenizers raises plain Exception, for a merge that names no token
        raise WeightsError(
            f"{source.path}: the merges of its tokenizer do not fit its vocabulary; fetch it again."
        ) from error
