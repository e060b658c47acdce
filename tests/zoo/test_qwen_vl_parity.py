"""Qwen2-VL and Qwen2.5-VL equal transformers': names at full size; ids, pixels, positions, logits, greedy tokens in small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tokenizers import models, pre_tokenizers
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.generate.engine import Engine
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.native import Native
from anyvlm.inputs.plan import Plan, Span, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.parts.features import Grid, patches
from anyvlm.parts.vision.native import windows
from anyvlm.system import VLM, Batch, Checkpoint, Pixels, System
from anyvlm.weights.load import Loaded, load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.test_manifest import fits, names

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ?:.\n"
SPECIALS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
ID = {token: len(ALPHABET) + n for n, token in enumerate(SPECIALS)}
VOCAB, SECTIONS = 80, (2, 3, 3)
LM = {
    "vocab_size": VOCAB, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "bos_token_id": None, "eos_token_id": None,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(SECTIONS)},
}  # fmt: skip
EYE = {"depth": 5, "num_heads": 2}
KIND = {"qwen2-vl": hf.Qwen2VLForConditionalGeneration, "qwen2.5-vl": hf.Qwen2_5_VLForConditionalGeneration}
OWN = {
    "qwen2-vl": {"embed_dim": 32, "mlp_ratio": 2, "hidden_size": 64},
    "qwen2.5-vl": {
        "hidden_size": 32, "intermediate_size": 40, "out_hidden_size": 64, "window_size": 56, "fullatt_block_indexes": [1, 3],
        "tokens_per_second": 2,
    },
}  # fmt: skip
CASES = [(name, tied) for name in KIND for tied in (False, True)]
SIZES = {
    "qwen2-vl": {"2b": "2B", "7b": "7B", "72b": "72B"},
    "qwen2.5-vl": {"3b": "3B", "7b": "7B", "32b": "32B", "72b": "72B"},
}
NAMES = [f"{name}-{size}-instruct" for name, sizes in SIZES.items() for size in sizes]
PUBLISHED = {  # hidden size, its feed-forward's, layers, heads, groups, vocabulary; feed-forward of Qwen2.5-VL's tower
    "qwen2-vl-2b-instruct": (1536, 8960, 28, 12, 2, 151936, 0),
    "qwen2-vl-7b-instruct": (3584, 18944, 28, 28, 4, 152064, 0),
    "qwen2-vl-72b-instruct": (8192, 29568, 80, 64, 8, 152064, 0),
    "qwen2.5-vl-3b-instruct": (2048, 11008, 36, 16, 2, 151936, 3420),
    "qwen2.5-vl-7b-instruct": (3584, 18944, 28, 28, 4, 152064, 3420),
    "qwen2.5-vl-32b-instruct": (5120, 27648, 64, 40, 8, 152064, 3456),
    "qwen2.5-vl-72b-instruct": (8192, 29568, 80, 64, 8, 152064, 3456),
}
POLICY = Native(least=56 * 56, most=28 * 28 * 40)
PROCESSOR = Qwen2VLImageProcessorPil(size={"shortest_edge": POLICY.least, "longest_edge": POLICY.most})


def family(name: str) -> str:
    return name.rsplit("-", 2)[0]


def config(name: str, text: dict[str, object], vision: dict[str, object], tied: bool) -> hf.PretrainedConfig:
    ids = {"image_token_id": ID["<|image_pad|>"], "video_token_id": ID["<|video_pad|>"]}
    return KIND[name].config_class(text_config=text, vision_config=vision, tie_word_embeddings=tied, **ids)


def reference(name: str, tied: bool = False) -> hf.PreTrainedModel:
    model = stirred(KIND[name](config(name, LM, EYE | OWN[name], tied)))
    model.generation_config.eos_token_id = None
    return model


def ours(name: str, theirs: hf.PreTrainedModel, folder: Path, tied: bool = False) -> Loaded:
    """The tiny twin of a zoo entry with the weights that the reference saved."""
    full = registry.system(next(entry for entry in NAMES if family(entry) == name))
    window = {} if full.streams["image"].encoder.window is None else {"window": 4, "whole": (1, 3)}
    encoder = full.streams["image"].encoder.but(width=32, depth=5, heads=2, **window)
    system = full.but(
        lm=full.lm.but(vocab=VOCAB, width=64, depth=3, heads=4, kv_heads=2, ffn__hidden=48, tied=tied, rope__sections=SECTIONS),
        streams__image__encoder=encoder.but(ffn__hidden=64 if name == "qwen2-vl" else 40),
        streams__image__policy=POLICY,
        tokenizer=None,
        checkpoints=(Checkpoint(source=Directory(path=str(saved(theirs, folder))), layouts=full.checkpoints[0].layouts),),
    )
    return Loaded(system, load_module(system), tokenizer())


def inner() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.BPE(vocab={char: n for n, char in enumerate(ALPHABET)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.add_special_tokens(list(SPECIALS))
    return made


def tokenizer() -> Tokenizer:
    return Tokenizer(inner())


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def asked(images: Sequence[Image.Image]) -> hf.BatchFeature:
    """What transformers' processor makes of pictures and a question, pictures after the first word."""
    places = "".join("<|vision_start|><|image_pad|><|vision_end|>" for _ in images)
    text = f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nSee {places}what is it?<|im_end|>\n"
    made = PROCESSOR(images=list(images), return_tensors="pt")
    for grid in made["image_grid_thw"]:
        rows = int(grid.prod()) // 4
        text = text.replace("<|image_pad|>", "<|video_pad|>" * rows, 1)
    ids = inner().encode(text.replace("<|video_pad|>", "<|image_pad|>") + "<|im_start|>assistant\n").ids
    ids_BT = torch.tensor([ids])
    types_BT = (ids_BT == ID["<|image_pad|>"]).int()
    text = {"input_ids": ids_BT, "mm_token_type_ids": types_BT, "attention_mask": torch.ones_like(ids_BT)}
    return hf.BatchFeature({**text, **made})


def laid_out(system: System, images: Sequence[Image.Image]) -> tuple[Plan, list[np.ndarray]]:
    content = ("See ", *(Picture("") for _ in images), "what is it?")
    laid = plan(system, tokenizer(), [Message("user", content)], sizes=[image.size for image in images])
    return laid, [array for image in images for array in system.streams["image"].policy.arrays(image)]


def blocked(x_NC: Tensor, grids: Sequence[Grid]) -> Tensor:
    """Our rows in the reference's order, 2 x 2 neighbours one after another."""
    items = x_NC.split([t * h * w for t, h, w in grids])
    pairs = zip(items, grids, strict=True)
    return torch.cat([x.view(t, h // 2, 2, w // 2, 2, -1).transpose(2, 3).reshape(t * h * w, -1) for x, (t, h, w) in pairs])


class Silent:
    def push(self, id: int) -> str:
        return ""

    def finish(self) -> str:
        return ""


@pytest.mark.parametrize(("name", "tied"), CASES)
@torch.no_grad()
def test_whole(name: str, tied: bool, tmp_path: Path) -> None:
    """Two pictures of different shapes, with ragged windows: ids, pixels, positions, logits and 32 greedy tokens."""
    theirs = reference(name, tied)
    loaded = ours(name, theirs, tmp_path, tied)
    images = [picture(150, 90), picture(60, 250, 1)]
    inputs, (laid, arrays) = asked(images), laid_out(loaded.system, images)
    batch = collate(loaded.system, [laid], [arrays])
    media = batch.media["image"]
    assert list(laid.ids) == inputs["input_ids"][0].tolist()
    assert [list(grid) for grid in media.grids] == inputs["image_grid_thw"].tolist()
    assert torch.equal(blocked(media.x_NC, media.grids), inputs["pixel_values"])
    places, _ = theirs.model.get_rope_index(
        inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"], image_grid_thw=inputs["image_grid_thw"]
    )
    assert torch.equal(batch.pos_PBT, places)
    assert isinstance(loaded.module, VLM)
    worst = gap(loaded.module(batch), theirs(**inputs).logits)
    assert worst <= 1e-5, worst
    out = theirs.generate(**inputs, max_new_tokens=32, do_sample=False, return_dict_in_generate=True, output_logits=True)
    ids = out.sequences[0, len(laid) :].tolist()
    deltas = Engine(loaded.module).generate(batch, Sampling(max_tokens=32), decoders=[Silent()], ends=())
    assert [delta.id for delta in deltas] == ids and len(ids) == 32
    logits, steps = Engine(loaded.module)._prefill(batch, None, 32)
    for id, want in zip(ids, out.logits, strict=True):
        worst = max(worst, gap(logits, want))
        logits = steps.next(torch.tensor([id]))
    assert worst <= 1e-5, worst
    for entry in (entry for entry in NAMES if family(entry) == name):
        record("parity", entry, worst)


@pytest.mark.parametrize("name", KIND)
@torch.no_grad()
def test_video(name: str, tmp_path: Path) -> None:
    """Rows of three moments beside those of a still; frames do not see one another."""
    theirs = reference(name)
    module = ours(name, theirs, tmp_path).module
    grids = ((3, 6, 10), (1, 4, 4), (1, 4, 4))
    moving, stills = torch.randn(6, 3, 84, 140), torch.randn(2, 3, 56, 56).repeat_interleave(2, 0)
    x_NC = torch.cat([patches(moving, 14, 2), patches(stills, 14, 2)])
    rows = module.connectors["image"](module.encoders["image"](x_NC, grids))
    want = theirs.model.visual(blocked(x_NC, grids), grid_thw=torch.tensor(grids)).pooler_output
    assert rows.grids == ((3, 3, 5), (1, 2, 2), (1, 2, 2))
    assert gap(rows.x_ND, want) <= 1e-5
    alone = module.connectors["image"](module.encoders["image"](x_NC[60:120], ((1, 6, 10),)))
    assert gap(alone.x_ND, rows.items()[0][15:30]) <= 1e-6


@pytest.mark.parametrize("name", KIND)
@torch.no_grad()
def test_positions_of_moments(name: str, tmp_path: Path) -> None:
    """Text, three moments of 3 x 5 rows, text; one slice of time is one position, as it is in Qwen2-VL."""
    theirs = reference(name)
    module = ours(name, theirs, tmp_path).module
    grid, rows = (3, 6, 10), 45
    ids = (1, 2, ID["<|vision_start|>"], *[ID["<|video_pad|>"]] * rows, ID["<|vision_end|>"], 3, 4)
    kinds = tuple(int(id == ID["<|video_pad|>"]) for id in ids)
    laid = Plan(ids, kinds, (False,) * len(ids), (Span("image", 0, 3, rows, (3, 3, 5)),))
    ids_BT, kind_BT = torch.tensor([ids]), torch.tensor([kinds])
    x_NC = patches(torch.randn(6, 3, 84, 140), 14, 2)
    media = {"image": Pixels(x_NC, (grid,))}
    out = module(Batch(ids_BT, kind_BT, torch.tensor(laid.positions(3))[:, None], torch.zeros_like(ids_BT), media))
    pace = {"second_per_grid_ts": torch.tensor([0.5])} if name == "qwen2.5-vl" else {}  # of 2 positions a second
    video = {"pixel_values_videos": blocked(x_NC, [grid]), "video_grid_thw": torch.tensor([grid])}
    assert gap(out, theirs(input_ids=ids_BT, mm_token_type_ids=2 * kind_BT, **video, **pace).logits) <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_manifest(name: str) -> None:
    """At full size, the names that `save_pretrained` writes (those of the published files) and those in memory."""
    width, hidden, depth, heads, groups, vocab, eye = PUBLISHED[name]
    text = {
        "hidden_size": width, "intermediate_size": hidden, "num_hidden_layers": depth, "num_attention_heads": heads,
        "num_key_value_heads": groups, "vocab_size": vocab,
    }  # fmt: skip
    own = {"hidden_size": 1280, "intermediate_size": eye, "out_hidden_size": width} if eye else {"hidden_size": width}
    with torch.device("meta"):
        model = KIND[family(name)](config(family(name), text, own, vocab == 151936))
        theirs, memory = names(model), names(model, in_files=False)
    system = registry.system(name)
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    fits(system, memory, system.checkpoints[0].layouts, "hf-module")
    record("manifest", name, 0.0)


side = st.one_of(st.integers(1, 60), st.integers(1, 5000))


@given(width=side, height=side)
@settings(max_examples=300)
def test_sizes(width: int, height: int) -> None:
    policy = registry.system("qwen2-vl-7b-instruct").streams["image"].policy
    if max(width, height) > 200 * min(width, height):
        with pytest.raises(InputError, match=f"{width} x {height}"):
            policy.cut(width, height)
        return
    for each in (policy, POLICY):
        size = smart_resize(height, width, 28, each.least, each.most)
        assert each.cut(width, height).sizes == (size,)


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (30, 3), (28, 28), (43, 71), (300, 200), (17, 900)])
def test_pixels(size: tuple[int, int]) -> None:
    (array,) = POLICY.arrays(picture(*size))
    (h, w) = array.shape[1:]
    x_NC = patches(torch.from_numpy(array).expand(2, -1, -1, -1), 14, 2)
    want = PROCESSOR(images=picture(*size), return_tensors="pt")["pixel_values"]
    assert torch.equal(blocked(x_NC, [(1, h // 14, w // 14)]), want)


@given(h=st.integers(1, 12), w=st.integers(1, 12), side=st.integers(1, 5))
def test_windows(h: int, w: int, side: int) -> None:
    """Every place once; a block is what lies in one window."""
    order, blocks = windows(h, w, side)
    assert sorted(order.tolist()) == list(range(h * w))
    sizes = [rows for count, rows in blocks for _ in range(count)]
    for block in order.split(sizes):
        lines, columns = block // w // side, block % w // side
        assert len(set(zip(lines.tolist(), columns.tolist(), strict=True))) == 1
    assert len(sizes) == -(-h // side) * -(-w // side)


@torch.no_grad()
def test_a_windowed_layer_sees_its_window() -> None:
    """Pixels of one window move nothing outside it; with one layer that sees whole frames they move everything."""
    encoder = registry.system("qwen2.5-vl-3b-instruct").streams["image"].encoder
    x_NC = torch.randn(60, 1176)
    other = x_NC.clone()
    other[0] += 1
    for whole, moved in (((), 16), ((1,), 60)):
        module = encoder.but(width=32, depth=2, heads=2, ffn__hidden=40, window=4, whole=whole).build()
        a, b = (module(x, ((1, 6, 10),)).x_ND for x in (x_NC, other))
        assert int((a != b).any(1).sum()) == moved


def test_positions_of_a_video() -> None:
    """What follows goes on after the largest of all axes, as the released model's code; transformers 5 leaves out time."""
    ids = (9,) * 12
    laid = Plan(ids, (0, 0, *(2,) * 8, 0, 0), (False,) * 12, (Span("video", 0, 2, 8, (4, 1, 2)),))
    time, line, column = laid.positions(3)
    assert time == [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7]
    assert line == [0, 1, *[2] * 8, 6, 7]
    assert column == [0, 1, *[2, 3] * 4, 6, 7]
