"""Ids equal to transformers' for whole prompts; typed control tokens stay text; decoding in steps equals decoding whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from anyvlm.errors import InputError, SpecError, WeightsError
from anyvlm.inputs import templates
from anyvlm.inputs.messages import Message, Picture, ask
from anyvlm.inputs.template import Piece, Template
from anyvlm.inputs.tokenizer import IMAGE, Tokenizer
from tests.whole import bytes_and

CORPUS = [
    "What is in the picture? A cat sits on the mat and looks at the dog.",
    "USER: <image>\nHow many apples are there? ASSISTANT: There are 12 apples, 3 red and 9 green.</s>",
    "def f(x):\n    return x  # naïve café — 東京 🙂",
    "user assistant system human Human: Assistant: ### image hello world\n\n",
] * 8
TEXTS = [
    "Hello",
    " world",
    "12 apples",
    "naïve 東京 🙂",
    "a  b\n\n  c",
    "ASSISTANT:",
    "###",
    "<",
    "|>",
    "\t",
    "é",
    "ê\u0301",
    "  ",
]
TALK = st.lists(st.sampled_from(TEXTS) | st.text(max_size=12), min_size=1, max_size=5)


def specials(names: tuple[str, ...], **flags: bool) -> list[AddedToken]:
    return [AddedToken(name, special=True, normalized=False, **flags) for name in (*names, "<image>")]


def byte_level(names: tuple[str, ...], **flags: bool) -> tokenizers.Tokenizer:
    """As GPT-2, SmolLM2, Qwen2, Llama-3."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(CORPUS, trainer)
    inner.add_special_tokens(specials(names, **flags))
    inner.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return inner


def sentencepiece(names: tuple[str, ...], legacy: bool, normalized: bool = False) -> tokenizers.Tokenizer:
    """As Llama 1 and 2: byte fallback; the space in front by a normalizer (legacy) or only on the first word."""
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=300, limit_alphabet=60, show_progress=False)
    trained.train_from_iterator(CORPUS, trainer)
    learned = json.loads(trained.to_str())["model"]
    first = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256))]
    vocab = {token: n for n, token in enumerate([*first, *sorted(learned["vocab"], key=learned["vocab"].get)])}
    merges = [tuple(merge) for merge in learned["merges"]]
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(steps)
    inner.add_special_tokens([AddedToken(name, special=True, normalized=normalized) for name in ("<unk>", "<s>", "</s>")])
    inner.add_special_tokens(specials(names))
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", inner.token_to_id("<s>"))]
    )
    return inner


PHI = tuple(templates.PHI_3.specials)
MAKERS = {
    "chatml": (lambda: byte_level(("<|im_start|>", "<|im_end|>")), templates.SMOLLM2),
    "llama-3": (lambda: byte_level(templates.LLAMA_3.specials), templates.LLAVA_LLAMA_3),
    "phi-3, stripping": (lambda: byte_level(PHI, rstrip=True), templates.LLAVA_PHI_3),
    "both sides stripping": (lambda: byte_level(PHI, rstrip=True, lstrip=True), templates.LLAVA_PHI_3),
    "vicuna, legacy": (lambda: sentencepiece((), legacy=True), templates.VICUNA_V1),
    "vicuna, legacy, normalized": (lambda: sentencepiece((), legacy=True, normalized=True), templates.VICUNA_V1),
    "vicuna, first": (lambda: sentencepiece((), legacy=False), templates.VICUNA_V1),
    "llama-2": (lambda: sentencepiece((), legacy=True), templates.LLAVA_LLAMA_2),
    "llava v0": (lambda: sentencepiece((), legacy=False), templates.LLAVA_V0),
}
BUILT = {name: (Tokenizer(make()), PreTrainedTokenizerFast(tokenizer_object=make()), template)
         for name, (make, template) in MAKERS.items()}  # fmt: skip


def talk(texts: list[str]) -> list[Message]:
    """Turns with pictures in the first and third."""
    return [
        Message("user", (Picture("x"), text) if n % 4 == 0 else (text,)) if n % 2 == 0 else Message("assistant", (text,))
        for n, text in enumerate(texts)
    ]


def plain(texts: list[str], names: frozenset[str]) -> bool:
    joined = "\n".join(texts)
    return not any(name in joined for name in names)


@pytest.mark.parametrize("name", sorted(set(BUILT) - {"vicuna, legacy, normalized"}))
@given(texts=TALK)
@example(["What is it?", "A cat.", "Sure? ", " Yes", "12"])
def test_ids_equal_transformers(name: str, texts: list[str]) -> None:
    ours, theirs, template = BUILT[name]
    if not plain(texts, ours.specials):
        return
    reply = len(texts) % 2 == 1
    encoded = ours.encode(template.render(talk(texts), reply))
    expected = theirs(template.text(talk(texts), reply), add_special_tokens=False).input_ids
    image = theirs.convert_tokens_to_ids("<image>")
    assert [image if id == IMAGE else id for id in encoded.ids] == expected


@given(texts=TALK)
def test_control_tokens_that_normalisation_hides(texts: list[str]) -> None:
    """In Llama's old files "</s>" is `normalized`: transformers looks for "▁</s>" and breaks the word up."""
    old, theirs, template = BUILT["vicuna, legacy, normalized"]
    new, _, _ = BUILT["vicuna, legacy"]
    assert theirs.convert_tokens_to_ids("</s>") not in theirs("A cat.</s>USER:").input_ids
    pieces = template.render(talk(texts), reply=len(texts) % 2 == 1)
    assert old.encode(pieces) == new.encode(pieces)


@pytest.mark.parametrize("name", sorted(set(BUILT) - {"vicuna, legacy, normalized"}))
@given(texts=TALK)
def test_owners_and_mask(name: str, texts: list[str]) -> None:
    ours, _, template = BUILT[name]
    pieces = template.render(talk(texts), reply=len(texts) % 2 == 1)
    encoded = ours.encode(pieces)
    assert len(encoded.ids) == len(encoded.owner) == len(encoded.supervised)
    assert list(encoded.owner) == sorted(encoded.owner)
    for n, piece in enumerate(pieces):
        ids = [id for id, owner in zip(encoded.ids, encoded.owner, strict=True) if owner == n]
        if piece.kind == "image":
            assert ids == [IMAGE]
        elif piece.kind == "special":
            assert ids == [ours.id(piece.text)]
        else:
            assert not set(ids) & {ours.id(special) for special in ours.specials - {"<unk>"}}
    assert encoded.supervised == tuple(pieces[owner].supervised for owner in encoded.owner)


@pytest.mark.parametrize("name", ["chatml", "vicuna, first", "vicuna, legacy"])
def test_supervised_tokens_are_the_answer_and_its_end(name: str) -> None:
    ours, _, template = BUILT[name]
    encoded = ours.encode(template.render(talk(["How many?", "12 apples.", "Sure?", "Yes."]), reply=False))
    learned = [id for id, learn in zip(encoded.ids, encoded.supervised, strict=True) if learn]
    assert ours.decode(learned, skip_special=False).replace(template.answer_end, "|").split("|") == [
        "12 apples.",
        f"{template.answer_space}Yes.",
        "",
    ]
    first = encoded.supervised.index(True)
    prompt = ours.encode(template.render(talk(["How many?"])))
    assert encoded.ids[:first] == prompt.ids  # what training conditions on is what generation starts from


# Typed control tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(BUILT) - {"vicuna, legacy, normalized"}))
@given(data=st.data())
def test_typed_control_tokens_stay_text(name: str, data: st.DataObject) -> None:
    ours, _, template = BUILT[name]
    ours_too = ("\ue000image\ue001", "\ue000cut\ue001")
    words = st.sampled_from([*sorted(ours.specials), *ours_too, "a", " ", "\n", "<", ">", "<|", "s>", "\ue000"])
    text = "".join(data.draw(st.lists(words, max_size=12)))
    answer = "".join(data.draw(st.lists(words, max_size=6)))
    pieces = template.render(talk([text, answer]), reply=False)
    encoded = ours.encode(pieces)
    controls = [id for id in encoded.ids if id in {ours.id(special) for special in ours.specials - {"<unk>"}}]
    assert controls == [ours.id(piece.text) for piece in pieces if piece.kind == "special"]
    assert encoded.ids.count(IMAGE) == 1
    assert all(id < len(ours.vocab) for id in encoded.ids)
    if name in ("chatml", "llama-3"):  # byte level: nothing is lost on the way
        assert ours.decode(encoded.ids, False) == "".join(piece.text for piece in pieces if piece.kind != "image")


def test_a_control_token_across_two_pieces_stays_text() -> None:
    ours, _, _ = BUILT["vicuna, first"]
    encoded = ours.encode((Piece("</", "user"), Piece("s>", "template")))
    assert ours.id("</s>") not in encoded.ids


def test_full_width_letters_do_not_make_a_control_token() -> None:
    inner = byte_level(("<|im_start|>",))
    inner.normalizer = normalizers.NFKC()
    inner.add_special_tokens([AddedToken("<end>", special=True, normalized=True)])
    ours = Tokenizer(inner)
    encoded = ours.encode((Piece("x ＜end＞ y", "user"), Piece("<end>", "special")))
    assert [n for n, id in enumerate(encoded.ids) if id == ours.id("<end>")] == [len(encoded.ids) - 1]


def test_unknown_letters_are_not_mistaken_for_a_typed_unk() -> None:
    inner = tokenizers.Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens(["<unk>"])
    assert Tokenizer(inner).encode((Piece("a b", "user"),)).ids == (1, 0)


def test_unigram_models_cannot_be_talked_into_control_tokens() -> None:
    inner = tokenizers.Tokenizer(
        models.Unigram(
            [("<unk>", 0.0), ("</s>", 0.0), ("a", -2.0), ("<", -3.0), ("/", -3.0), ("s", -3.0), (">", -3.0)], 0, False
        )
    )
    inner.add_special_tokens(["<unk>"])
    inner.add_special_tokens([AddedToken("</s>", special=True, single_word=True)])  # "a</s>a" is not matched as a word
    encoded = Tokenizer(inner).encode((Piece("a</s>a", "user"),))
    assert 1 not in encoded.ids and len(encoded.ids) == 6


def test_what_the_template_must_declare() -> None:
    ours, _, _ = BUILT["chatml"]
    with pytest.raises(SpecError, match="'<s>' is not a control token"):
        ours.encode(templates.VICUNA_V1.render(ask((), "Hi")))
    loose = templates.QWEN2.but(specials=("<|im_start|>",))
    with pytest.raises(SpecError, match="does not list it"):
        ours.encode(loose.render(ask((), "Hi")))


def test_a_control_token_that_is_not_read_is_an_error() -> None:
    inner = byte_level(())
    inner.add_special_tokens([AddedToken("</s>", special=True, single_word=True)])
    with pytest.raises(SpecError, match="does not read every control token"):
        Tokenizer(inner).encode((Piece("cat", "answer"), Piece("</s>", "special")))


def test_runs_of_spaces_may_be_tokens() -> None:
    """As in Phi and CodeGen: added, not special, and found in user text as transformers finds them."""
    make = lambda: byte_level(())  # noqa: E731
    inner, other = make(), make()
    for each in (inner, other):
        each.add_tokens([AddedToken("    ", normalized=False)])
    expected = PreTrainedTokenizerFast(tokenizer_object=other)("def f:\n    return", add_special_tokens=False).input_ids
    assert list(Tokenizer(inner).encode((Piece("def f:\n    return", "user"),)).ids) == expected


def test_single_control_characters_are_refused() -> None:
    inner = byte_level(())
    inner.add_special_tokens(["§"])
    with pytest.raises(InputError, match="control character"):
        Tokenizer(inner).encode((Piece("a§b", "user"),))


# Decoding -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("name", ["chatml", "vicuna, legacy", "vicuna, first"])
@given(data=st.data())
def test_decoding_in_steps_equals_decoding_whole(name: str, skip: bool, data: st.DataObject) -> None:
    ours, theirs, _ = BUILT[name]
    bytes_of = {"chatml": range(0, 256), "vicuna, legacy": range(3, 259), "vicuna, first": range(3, 259)}[name]
    ids = data.draw(st.lists(st.integers(-1, len(ours.vocab) - 1) | st.sampled_from(bytes_of), max_size=30))
    stream = ours.stream(skip)
    steps = [stream.push(id) for id in ids]
    whole = ours.decode(ids, skip)
    assert "".join(steps) + stream.finish() == whole
    assert whole == theirs.decode([id for id in ids if id >= 0], skip_special_tokens=skip)


@pytest.mark.parametrize("name", ["chatml", "vicuna, legacy", "vicuna, first"])
@given(text=st.text(max_size=30) | st.sampled_from(["🙂🙃", "東京は a", "  x  ", "a\n\nb"]))
def test_no_broken_character_comes_out(name: str, text: str) -> None:
    ours, _, _ = BUILT[name]
    ids = ours.encode((Piece(text, "user"),)).ids
    stream = ours.stream()
    steps = [stream.push(id) for id in ids]
    if "\ufffd" not in text:
        assert not any("\ufffd" in step for step in steps)
    assert "".join(steps) + stream.finish() == ours.decode(ids)


def test_text_comes_out_without_delay() -> None:
    ours, _, _ = BUILT["vicuna, legacy"]
    stream = ours.stream()
    steps = [stream.push(id) for id in ours.encode((Piece("the cat and the dog", "user"),)).ids]
    assert all(steps)


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chatml", "vicuna, legacy"])
def test_files_of_transformers(name: str, tmp_path: Path) -> None:
    make, template = MAKERS[name]
    bos, eos = (None, "<|im_end|>") if name == "chatml" else ("<s>", "</s>")
    theirs = PreTrainedTokenizerFast(tokenizer_object=make(), eos_token=eos, bos_token=bos)
    theirs.save_pretrained(tmp_path / "a")
    (tmp_path / "a" / "generation_config.json").write_text('{"eos_token_id": [7, 2]}')
    loaded = Tokenizer(tmp_path / "a")
    assert loaded.bos == (None if bos is None else loaded.id(bos)) and loaded.eos == {loaded.id(eos), 7, 2}
    assert loaded.vocab == theirs.get_vocab()
    (tmp_path / "b").mkdir()
    loaded.save(tmp_path / "b")
    assert (tmp_path / "b" / "tokenizer.json").read_bytes() == (tmp_path / "a" / "tokenizer.json").read_bytes()
    made = Tokenizer(make(), bos=bos, eos=(eos,))
    (tmp_path / "c").mkdir()
    made.save(tmp_path / "c")
    pieces = template.render(talk(["Hello 東京", "Yes", "a"]))
    for again in (Tokenizer(tmp_path / "b"), Tokenizer(tmp_path / "c"), Tokenizer(tmp_path / "a" / "tokenizer.json")):
        assert again.encode(pieces) == made.encode(pieces) and again.vocab == made.vocab and again.bos == made.bos
    # transformers reads it too, with its post-processor
    theirs_again = PreTrainedTokenizerFast.from_pretrained(tmp_path / "c")
    assert theirs_again("a cat").input_ids == theirs("a cat").input_ids


def test_tokens_that_only_the_config_knows(tmp_path: Path) -> None:
    inner = byte_level(())
    inner.save(str(tmp_path / "tokenizer.json"))
    size = inner.get_vocab_size()
    config = {"added_tokens_decoder": {str(size): {"content": "<new>", "special": True, "normalized": False}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert Tokenizer(tmp_path).id("<new>") == size and "<new>" in Tokenizer(tmp_path).specials
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config).replace(str(size), str(size + 5)))
    with pytest.raises(WeightsError, match="not the next free"):
        Tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "There is no"),
        ({"tokenizer.json": "{"}, "damaged"),
        ({"tokenizer.json": "{}"}, "damaged"),
        ({"tokenizer.json": None, "tokenizer_config.json": "[1]"}, "damaged"),
        ({"tokenizer.json": None, "tokenizer_config.json": '{"eos'}, "damaged"),
    ],
)
def test_damaged_files(files: dict[str, str | None], word: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(byte_level(()).to_str() if text is None else text)
    with pytest.raises(WeightsError, match=word):
        Tokenizer(tmp_path)


def test_names() -> None:
    ours, _, template = BUILT["chatml"]
    assert isinstance(template, Template) and ours.id("<|im_end|>") == ours.vocab["<|im_end|>"]
    with pytest.raises(SpecError, match="no token '<nope>'"):
        ours.id("<nope>")


def test_a_token_across_two_pieces_belongs_to_the_later() -> None:
    ours, _, _ = BUILT["chatml"]
    word = max((token for token in ours.vocab if token.isascii() and token.isalpha()), key=len)
    encoded = ours.encode((Piece(word[:1], "template"), Piece(word[1:], "answer", supervised=True)))
    assert len(word) > 2 and encoded.ids == (ours.id(word),)
    assert encoded.owner == (1,) and encoded.supervised == (True,)


def test_tokens_a_system_adds(tmp_path: Path) -> None:
    """They come behind the last in their order, are control tokens, are not added twice, and stay when files are written."""
    new = ("<|endofchunk|>", "<image>")
    inner = bytes_and("<|endoftext|>")
    tokenizer = Tokenizer(inner, added=new)
    assert [tokenizer.id(token) for token in new] == [261, 262] and set(new) <= tokenizer.specials
    typed = tokenizer.encode([Piece("a<image>", "user")]).ids
    assert 262 not in typed and tokenizer.decode(typed) == "a<image>"
    tokenizer.save(tmp_path)
    again = Tokenizer(tmp_path, added=new)
    assert again.vocab == tokenizer.vocab
    assert 261 in Tokenizer(tmp_path).vocab.values()
