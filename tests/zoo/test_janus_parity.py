"""Janus and Janus-Pro equal transformers': names at full size; in small ids, pixels, logits, tokens, painted codes."""

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
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from anyvlm import registry
from anyvlm.generate.device import Place
from anyvlm.generate.model import Model
from anyvlm.generate.painting import Brush, asked, codes
from anyvlm.inputs.collate import collate
from anyvlm.inputs.letterbox import Letterbox
from anyvlm.system import VLM, System
from tests.parity import gap, record, saved, stirred
from tests.whole import both, greedy, laid, noise, read, theirs_greedy
from tests.zoo.test_manifest import fits, names

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
SPECIALS = (BOS, EOS, PAD, "<image_placeholder>", "<begin_of_image>", "<end_of_image>", "<|User|>", "<|Assistant|>")
OURS, THEIRS = both(*SPECIALS)
VOCAB, CODES, SIDE = 320, 40, 6
LM = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024, "bos_token_id": OURS.id(BOS), "eos_token_id": OURS.id(EOS),
    "pad_token_id": OURS.id(PAD),
}  # fmt: skip
EYE = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 48, "patch_size": 8, "mlp_ratio": 2.0,
    "projection_dim": 32, "num_image_tokens": SIDE**2,
}  # fmt: skip
VQ = {
    "base_channels": 32, "channel_multiplier": [1, 1, 1, 2], "num_res_blocks": 1, "latent_channels": 16, "embed_dim": 8,
    "num_embeddings": CODES, "projection_dim": 20, "image_token_embed_dim": 32,
}  # fmt: skip
HALF = [0.5, 0.5, 0.5]
PROCESSOR = JanusImageProcessorPil(size={"height": 48, "width": 48}, image_mean=HALF, image_std=HALF)
NAMES = ("janus-pro-1b", "janus-pro-7b", "janus-1.3b")


def reference() -> hf.JanusForConditionalGeneration:
    vq = VQ | {"projection_dim": 32}  # its head and its aligner have one number
    config = hf.JanusConfig(
        text_config=hf.LlamaConfig(**LM), vision_config=EYE, vq_config=vq, image_token_id=OURS.id("<image_placeholder>"),
        tie_word_embeddings=False,
    )  # fmt: skip
    return stirred(hf.JanusForConditionalGeneration(config))


def loaded(theirs: hf.JanusForConditionalGeneration, folder: Path) -> tuple[System, VLM]:
    """Through the directory that transformers writes."""
    PROCESSOR.save_pretrained(saved(theirs, folder))
    return read(folder)


@torch.no_grad()
def test_whole(tmp_path: Path) -> None:
    """Two pictures: ids, pixels, logits and 32 greedy tokens."""
    theirs = reference()
    system, module = loaded(theirs, tmp_path)
    images = [noise(60, 43, 0), noise(20, 61, 1)]
    planned, batch = laid(system, OURS, [images[0], images[1], "Compare them."])
    image = "<begin_of_image>" + "<image_placeholder>" * SIDE**2 + "<end_of_image>\n"
    text = f"{BOS}{system.template.system}\n\n<|User|>: {image * 2}Compare them.\n\n<|Assistant|>:"
    ids = torch.tensor([THEIRS.encode(text, add_special_tokens=False)])
    pixels = PROCESSOR(images=images, return_tensors="pt")["pixel_values"]
    assert list(planned.ids) == ids[0].tolist()
    ours = torch.stack([torch.from_numpy(system.streams["image"].policy.arrays(image)[0]) for image in images])
    assert torch.equal(ours, pixels)
    inputs = {"input_ids": ids, "pixel_values": pixels, "attention_mask": torch.ones_like(ids)}
    worst = gap(module(batch), theirs(**inputs).logits)
    assert worst <= 1e-5, worst
    assert greedy(module, batch, 32) == theirs_greedy(theirs, inputs, 32)
    for name in NAMES:  # they differ in size and words alone
        record("parity", name, worst)


@torch.no_grad()
def test_teacher_forced_codes(tmp_path: Path) -> None:
    """Logits of every code behind prompts of different lengths; and pictures from codes."""
    theirs = reference()
    system, module = loaded(theirs, tmp_path)
    codes = torch.randint(CODES, (1, 9), generator=torch.Generator().manual_seed(1))
    _, batch = laid(system, OURS, ["A house"])
    rows = theirs.prepare_embeddings_for_image_generation(codes[:, :-1])
    x = torch.cat([theirs.get_input_embeddings()(batch.ids_BT), rows], 1)
    states = theirs.model.language_model(inputs_embeds=x).last_hidden_state[:, batch.ids_BT.shape[1] - 1 :]
    assert gap(module.painted(batch, codes), theirs.model.generation_head(states)) <= 1e-5
    whole = torch.randint(CODES, (2, SIDE**2), generator=torch.Generator().manual_seed(2))
    assert gap(module.code.decode(whole.view(2, SIDE, SIDE)), theirs.decode_image_tokens(whole).permute(0, 3, 1, 2)) <= 2e-5


@pytest.mark.parametrize("guidance", [5.0, 1.5])  # transformers cannot do 1
@pytest.mark.parametrize("hot", [False, True])
def test_painting(guidance: float, hot: bool, tmp_path: Path) -> None:
    """The same codes for the same draws, the likeliest or drawn; and the same picture."""
    theirs = reference()
    system, module = loaded(theirs, tmp_path)
    model = Model(system, module, OURS, Place(torch.device("cpu"), torch.float32))
    ids = torch.tensor([THEIRS.encode(f"{BOS}<|User|>: A house\n\n<|Assistant|>:<begin_of_image>", add_special_tokens=False)])
    theirs.generation_config.generation_kwargs = {"boi_token_id": OURS.id("<begin_of_image>")}
    torch.manual_seed(3)
    want = theirs.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_mode="image", guidance_scale=guidance, do_sample=hot,
        temperature=0.9 if hot else None, top_k=0 if hot else None,
    )  # fmt: skip
    assert len(want.unique()) > (4 if hot else 1)
    brush = Brush(system, guidance=guidance, temperature=0.9 * hot, top_k=0, top_p=1.0, seed=3, count=1, rows=1)
    plans = asked(system, OURS, "A house")
    assert list(plans[0].ids) == ids[0].tolist()
    batch = collate(system, plans, [[], []])
    assert torch.equal(codes(module, batch, brush, brush.generators(0, 1, torch.device("cpu"))), want)
    with torch.no_grad():
        values = (theirs.decode_image_tokens(want)[0].numpy() + 1) / 2 * 255  # as the authors' generation_inference.py
    (picture,) = model.paint("A house", guidance=guidance, temperature=0.9 * hot, seed=3).images
    assert picture.size == (48, 48)
    # the two decoders differ by rounding, which may tip a byte over
    assert np.abs(np.asarray(picture, float) - np.clip(values, 0, 255)).max() < 1.001


@pytest.mark.parametrize(("name", "width", "hidden", "depth", "heads"), [
    ("janus-pro-1b", 2048, 5632, 24, 16), ("janus-pro-7b", 4096, 11008, 30, 32), ("janus-1.3b", 2048, 5632, 24, 16),
])  # fmt: skip
def test_manifest(name: str, width: int, hidden: int, depth: int, heads: int) -> None:
    text = hf.LlamaConfig(
        vocab_size=102400, hidden_size=width, intermediate_size=hidden, num_hidden_layers=depth, num_attention_heads=heads,
        num_key_value_heads=heads,
    )  # fmt: skip
    own = {"projection_dim": width, "image_token_embed_dim": width}
    config = hf.JanusConfig(
        text_config=text, vision_config={"projection_dim": width}, vq_config=own, tie_word_embeddings=False
    )
    with torch.device("meta"):
        theirs = names(hf.JanusForConditionalGeneration(config))
    system = registry.system(name)
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


def test_manifest_of_the_authors_files() -> None:
    """Names and shapes of a state_dict of Janus-Pro-1B, made by the modules of deepseek-ai/Janus 1daa72f."""
    table = json.loads((Path(__file__).parent / "janus_names.json").read_text())
    theirs = {name.format(n): tuple(shape) for name, (times, shape) in table.items() for n in range(times)}
    system = registry.system("janus-pro-1b")
    fits(system, theirs, system.checkpoints[0].layouts, "deepseek")


side = st.integers(1, 300)


@given(width=side, height=side, nearest=st.booleans())
def test_pixels(width: int, height: int, nearest: bool) -> None:
    assume(max(width, height) <= 20 * min(width, height))
    policy, image = Letterbox(size=48, nearest=nearest), noise(width, height, 2)
    (array,) = policy.arrays(image)
    assert policy.cut(width, height).sizes == (array.shape[1:],) == ((48, 48),)
    if nearest or policy.inner(width, height) == policy.but(nearest=True).inner(width, height):
        assert torch.equal(torch.from_numpy(array)[None], PROCESSOR(images=image, return_tensors="pt")["pixel_values"])
    inside = policy.inner(width, height)
    assert max(inside) == 48 and min(inside) >= 14


@pytest.mark.parametrize(("size", "sum_"), [((337, 121), 426321645), ((60, 60), 3541567128), ((300, 5), 3805541829)])
def test_pixels_of_the_authors(size: tuple[int, int], sum_: int) -> None:
    """`VLMImageProcessor` of deepseek-ai/Janus 1daa72f."""
    (values,) = registry.system("janus-pro-1b").streams["image"].policy.arrays(noise(*size, 7))
    assert zlib.crc32(((values + 1) * 127.5).round().astype(np.uint8).tobytes()) == sum_
