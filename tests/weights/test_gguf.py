"""GGUF files written by llama.cpp's own package, read by ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf.constants import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from anyvlm.errors import AnyVLMError, WeightsError
from anyvlm.weights.gguf import DecoderFacts, Gguf, decoder_facts
from anyvlm.weights.readers import open_tensors

Write = Callable[[gguf.GGUFWriter], object]


def write(path: Path, *more: Write) -> Path:
    """A tiny model: the facts of a decoder, an embedding and an optional rest."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(100_000.0)
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", ""])
    writer.add_tensor("token_embd.weight", np.arange(128, dtype=np.float32).reshape(2, 64))
    for step in more:
        step(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_metadata_and_facts(tmp_path: Path) -> None:
    file = Gguf(write(tmp_path / "m.gguf"))
    assert file.metadata["tokenizer.ggml.tokens"] == ["a", "é", ""]
    assert decoder_facts(file) == DecoderFacts(
        architecture="llama",
        vocab=2,
        width=64,
        depth=2,
        heads=4,
        kv_heads=2,
        head=16,
        hidden=96,
        context=64,
        eps=1e-5,  # stored in 32 bits, given as it was meant
        theta=100_000.0,
        tied=True,
        scaling=None,
        factor=None,
        original=None,
        divisors=None,
        short=None,
        long=None,
        window=None,
    )


def test_facts_of_scaled_rope_and_untied_head(tmp_path: Path) -> None:
    def more(writer: gguf.GGUFWriter) -> None:
        writer.add_tensor("output.weight", np.zeros((2, 64), np.float32))
        writer.add_tensor("rope_freqs.weight", np.array([1, 2, 8], np.float32))
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)
        writer.add_key_length(32)
        writer.add_sliding_window(16)

    facts = decoder_facts(Gguf(write(tmp_path / "m.gguf", more)))
    assert (facts.tied, facts.divisors, facts.scaling, facts.factor) == (False, (1.0, 2.0, 8.0), "linear", 4.0)
    assert (facts.head, facts.window) == (32, 16)


def test_facts_that_are_lacking_or_vary(tmp_path: Path) -> None:
    vary: Write = lambda writer: writer.add_array("llama.attention.sliding_window", [1, 2])  # noqa: E731
    with pytest.raises(WeightsError, match=r"llama.attention.sliding_window is \[1, 2\], expected one int"):
        decoder_facts(Gguf(write(tmp_path / "vary.gguf", vary)))
    writer = gguf.GGUFWriter(tmp_path / "clip.gguf", "clip")
    writer.add_tensor("v.patch_embd.weight", np.zeros((2, 2), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(WeightsError, match="it is not a language model"):
        decoder_facts(Gguf(tmp_path / "clip.gguf"))


KINDS = [Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1, Kind.Q8_0, Kind.BF16, Kind.F16, Kind.F32]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_types(tmp_path: Path, kind: Kind) -> None:
    """Values equal the package's own dequantisation, shapes are (out, in)."""
    values = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    stored = gguf.quants.quantize(values, kind)
    add: Write = lambda writer: writer.add_tensor("w", stored, raw_dtype=kind)  # noqa: E731
    tensors = open_tensors(write(tmp_path / "m.gguf", add))
    found = tensors["w"]
    assert found.shape == tensors.shapes["w"] == (5, 64)
    assert found.dtype == tensors.dtypes["w"]
    np.testing.assert_array_equal(found.float().numpy(), gguf.quants.dequantize(stored, kind))
    step = {Kind.Q4_0: 0.5, Kind.Q4_1: 0.4, Kind.Q5_0: 0.25, Kind.Q5_1: 0.2}.get(kind, 0.03)
    assert (found.float() - torch.from_numpy(values)).abs().max() < step


def test_plain_tensors_are_views(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf")
    before = path.read_bytes()
    file = Gguf(path)
    assert file.tensor("token_embd.weight").data_ptr() == file.tensor("token_embd.weight").data_ptr()
    file.tensor("token_embd.weight").fill_(3)
    assert path.read_bytes() == before


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    quantised = gguf.quants.quantize(np.ones((2, 64), np.float32), Kind.Q4_1)
    add: Write = lambda writer: writer.add_tensor("w", quantised, raw_dtype=Kind.Q4_1)  # noqa: E731
    return write(tmp_path_factory.mktemp("whole") / "m.gguf", add).read_bytes()


def test_truncated_anywhere(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    for size in range(0, len(whole) - 32, 3):  # the last tensor may be followed by up to 31 bytes of padding
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            Gguf(path)


@settings(max_examples=300)
@given(st.data())
def test_damaged_anywhere(whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any bytes of the header may be anything: the file reads, or one of our errors is raised."""
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(whole), 900) - 8))
        broken[at : at + 8] = data.draw(st.one_of(st.binary(min_size=8, max_size=8), st.just(b"\xff" * 8)))
    path = tmp_path_factory.getbasetemp() / "broken.gguf"
    path.write_bytes(broken)
    try:
        file = Gguf(path)
        for name in file.shapes:
            file.tensor(name)
        decoder_facts(file)
    except AnyVLMError:
        pass


def test_other_files(tmp_path: Path) -> None:
    for data, message in (
        (b"", "empty or cannot be read"),
        (b"PK\3\4" * 10, "not a GGUF file"),
        (b"GGUF\1\0\0\0" + bytes(16), "GGUF version 1"),
        (b"GGUF\3\0\0\0" + b"\xff" * 16, "cut short or damaged"),
    ):
        (tmp_path / "x.gguf").write_bytes(data)
        with pytest.raises(WeightsError, match=message):
            Gguf(tmp_path / "x.gguf")
