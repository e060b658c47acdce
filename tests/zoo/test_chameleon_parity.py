"""Chameleon equals transformers': names at full size; ids, pixels, codes, logits, greedy tokens in small."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers.models.chameleon.image_processing_pil_chameleon import ChameleonImageProcessorPil

from anyvlm import registry
from anyvlm.errors import InputError, SpecError
from anyvlm.generate.device import Place
from anyvlm.generate.model import Model
from anyvlm.generate.painting import Brush, asked, codes
from anyvlm.inputs.collate import collate
from anyvlm.inputs.policy import policy_from_preprocessor
from anyvlm.keys import Layout, Mount, revert
from anyvlm.parts.catalog.vqgan import vqgan_taming
from anyvlm.system import VLM, System
from anyvlm.weights.config import read_directory
from anyvlm.weights.load import load_module
from tests.parity import gap, record, saved, stirred
from tests.whole import both, greedy, laid, noise, read, theirs_greedy
from tests.zoo.test_manifest import fits, names

SPECIALS = ("<s>", "</s>", "<racm3:break>", "<eoss>", "<reserved08706>", "<image>")
CODES, VOCAB, FIRST = 24, 320, 290
VQ = {
    "base_channels": 32, "channel_multiplier": [1, 1, 2], "num_res_blocks": 1, "latent_channels": 16, "embed_dim": 8,
    "num_embeddings": CODES, "resolution": 16, "attn_resolutions": [],
}  # fmt: skip
LM = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "model_parallel_size": 2, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
PROCESSOR = ChameleonImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
CPU = Place(torch.device("cpu"), torch.float32)
OURS, THEIRS = both(*SPECIALS)
THEIRS.add_special_tokens({"sep_token": "<reserved08706>"})


def word(code: int) -> str:
    return "IMGIMG" + "".join(chr(ord("A") + int(digit)) for digit in str(code)) + "Z"


def reference(swin: bool, ids: list[int]) -> hf.ChameleonForConditionalGeneration:
    vocabulary = {word(code): id for code, id in enumerate(ids)} | {"<image>": OURS.id("<image>")}
    config = hf.ChameleonConfig(**LM, vq_config=VQ, vocabulary_map=vocabulary, swin_norm=swin)
    return stirred(hf.ChameleonForConditionalGeneration(config))


def loaded(theirs: hf.ChameleonForConditionalGeneration, folder: Path) -> tuple[System, VLM]:
    """Through the directory that transformers writes."""
    PROCESSOR.save_pretrained(saved(theirs, folder))
    return read(folder)


@pytest.mark.parametrize(("name", "swin", "order"), [("chameleon-7b", False, 1), ("chameleon-34b", True, -1)])
@torch.no_grad()
def test_whole(name: str, swin: bool, order: int, tmp_path: Path) -> None:
    """Two pictures among text. Words of codes stand in order, or not."""
    ids = list(range(FIRST, FIRST + CODES))[::order]
    theirs = reference(swin, ids)
    system, module = loaded(theirs, tmp_path)
    assert system.streams["image"].connector.words == (FIRST if order == 1 else tuple(ids))
    images = [noise(40, 23, 0), noise(20, 61, 1)]
    planned, batch = laid(system, OURS, ["See ", images[0], " and", images[1], "?"])
    processor = hf.ChameleonProcessor(PROCESSOR, THEIRS, image_seq_length=16)
    inputs = processor(images=images, text="<s>See <image> and<image>?", return_tensors="pt", add_special_tokens=False)
    assert list(planned.ids) == inputs["input_ids"][0].tolist()
    pixels = torch.stack([torch.from_numpy(system.streams["image"].policy.apply(image)) for image in images])
    assert torch.equal(pixels, inputs["pixel_values"])
    features = module.features(batch.media)["image"]
    assert torch.equal(features.x_ND.view(2, 16), theirs.get_image_tokens(inputs["pixel_values"]))
    assert len(features.x_ND.unique()) > 4
    words = [id for id in range(VOCAB) if id not in ids]
    worst = gap(module(batch)[..., words], theirs(**inputs).logits[..., words])
    assert worst <= 1e-5, worst
    hidden = torch.full((VOCAB,), 0.0)
    hidden[ids] = -torch.inf
    module.lm.logits = lambda x, whole=module.lm.logits: whole(x) + hidden  # what transformers never predicts
    assert greedy(module, batch, 32) == theirs_greedy(theirs, dict(inputs), 32)
    record("parity", name, worst)


@torch.no_grad()
def test_painting(tmp_path: Path) -> None:
    """With Meta's decoder beside transformers' files: the codes of a plain loop over transformers' states."""
    ids = list(range(FIRST, FIRST + CODES))[::-1]
    theirs = reference(False, ids)
    half, module = loaded(theirs, tmp_path)
    with pytest.raises(InputError, match="vqgan.ckpt"):
        Model(half, module, OURS, CPU).paint("a house")
    whole = half.streams["image"].encoder.but(draws=True)
    layout = Layout(name="meta", mounts=(Mount(theirs="", ours="", keys=vqgan_taming(3)),))
    made = dict(revert(dict(stirred(whole.build()).state_dict()), layout, lambda _: whole))
    torch.save({"state_dict": made | {"loss.perceptual.weight": torch.ones(1)}}, tmp_path / "vqgan.ckpt")
    system = read_directory(tmp_path)
    assert isinstance(system, System)
    both_ways = load_module(system, dtype=torch.float32)
    assert isinstance(both_ways, VLM)
    assert torch.equal(both_ways.code.encoder.first.weight, module.encoders["image"].encoder.first.weight)
    assert torch.equal(both_ways.code.decoder.first.weight, made["decoder.conv_in.weight"])
    model = Model(system, both_ways, OURS, CPU)
    begin = OURS.id("<racm3:break>")
    asked_ids = [*THEIRS.encode("<s>a house<reserved08706>", add_special_tokens=False), begin]
    plans = asked(system, OURS, "a house")
    assert list(plans[0].ids) == asked_ids and list(plans[1].ids) == [OURS.id("<s>"), begin]
    rows, want, draws = [list(plan.ids) for plan in plans], [], torch.Generator().manual_seed(1)
    for _ in range(16):
        states = [theirs.model(input_ids=torch.tensor([row])).last_hidden_state[0, -1] for row in rows]
        with_, without = (theirs.lm_head(state)[ids] for state in states)
        want.append(int(torch.multinomial((without + 3.0 * (with_ - without)).softmax(0), 1, generator=draws)))
        rows = [[*row, ids[want[-1]]] for row in rows]
    assert len(set(want)) > 4
    brush = Brush(system, guidance=None, temperature=1.0, top_k=0, top_p=1.0, seed=1, count=1, rows=1)
    batch = collate(system, plans, [[], []])
    assert codes(both_ways, batch, brush, brush.generators(0, 1, CPU.device)).tolist() == [want]
    assert model.paint("a house", temperature=0.0).images[0].size == (16, 16)


@pytest.mark.parametrize(("change", "words"), [
    ({"vocabulary_map": {"IMGIMGBZ": 4, "<image>": 5}}, "does not name the codes"),
    ({"vq_config": VQ | {"double_latent": True}}, "double_latent"),
    ({"vq_config": VQ | {"attn_resolutions": [16]}}, "attn_resolutions"),
    ({"sparse": 3}, "sparse"),
])  # fmt: skip
def test_configs_that_cannot_be_honoured(change: dict[str, object], words: str, tmp_path: Path) -> None:
    config = {"model_type": "chameleon", **LM, "vq_config": VQ, "vocabulary_map": {"IMGIMGAZ": 4}} | change
    PROCESSOR.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SpecError, match=words):
        read_directory(tmp_path)


@pytest.mark.parametrize(("name", "sizes"), [
    ("chameleon-7b", {}),
    ("chameleon-34b", {
        "hidden_size": 8192, "intermediate_size": 22016, "num_hidden_layers": 48, "num_attention_heads": 64,
        "num_key_value_heads": 8, "swin_norm": True, "model_parallel_size": 4,
    }),
])  # fmt: skip
def test_manifest(name: str, sizes: dict[str, object]) -> None:
    vocabulary = {word(code): code + 4 for code in range(8192)} | {"<image>": 8711}
    with torch.device("meta"):
        theirs = names(hf.ChameleonForConditionalGeneration(hf.ChameleonConfig(**sizes, vocabulary_map=vocabulary)))
    system = registry.system(name)
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_pixels(width: int, height: int) -> None:
    assume(max(width, height) <= 20 * min(width, height))
    image = noise(width, height, 2)
    policy = policy_from_preprocessor(PROCESSOR.to_dict())
    want = PROCESSOR(images=image, return_tensors="pt")["pixel_values"]
    assert torch.equal(torch.from_numpy(policy.apply(image))[None], want)


@pytest.mark.parametrize(("size", "sum_"), [((337, 121), 2072155485), ((60, 60), 962050386), ((508, 386), 1100719008)])
def test_pixels_of_the_authors(size: tuple[int, int], sum_: int) -> None:
    """`_vqgan_input_from` of facebookresearch/chameleon dbbe47f, which transformers' processor is not equal to."""
    values = registry.system("chameleon-7b").streams["image"].policy.apply(noise(*size, 7))
    assert values.min() >= -1 and values.max() == 1
    assert zlib.crc32(((values + 1) * 127.5).round().astype(np.uint8).tobytes()) == sum_
