"""IDEFICS equals transformers': names at full size, logits with pictures, without, and between two, greedy tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf

from anyvlm import registry
from anyvlm.seq import causal
from anyvlm.system import VLM, Batch, Checkpoint, Pixels, System
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, pixels, record, saved, stirred
from tests.zoo.test_manifest import fits, names

NAME = "idefics-9b-instruct"
EYE = {
    "embed_dim": 24, "image_size": 42, "intermediate_size": 40, "patch_size": 14, "num_hidden_layers": 2,
    "num_attention_heads": 4,
}  # fmt: skip
RESAMPLER = {
    "use_resampler": True, "resampler_n_latents": 5, "resampler_depth": 2, "resampler_n_heads": 2, "resampler_head_dim": 8,
    "qk_layer_norms_perceiver": True,
}  # fmt: skip
CONFIG = {
    "vocab_size": 90, "additional_vocab_size": 3, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
    "num_attention_heads": 4, "cross_layer_interval": 2, "qk_layer_norms": True, "use_resampler": True,
    "max_position_embeddings": 128, "freeze_text_layers": False, "freeze_vision_layers": False,
}  # fmt: skip
IMAGE = 91


def reference() -> hf.IdeficsForVisionText2Text:
    config = hf.IdeficsConfig(**CONFIG, vision_config=EYE, perceiver_config=RESAMPLER)
    return stirred(hf.IdeficsForVisionText2Text(config))


def small(path: Path) -> VLM:
    system = registry.system(NAME)
    assert isinstance(system, System)
    (gated,) = system.lm.inserts
    system = system.but(
        lm__vocab=93, lm__width=32, lm__depth=4, lm__heads=4, lm__kv_heads=4, lm__ffn__hidden=48,
        lm__inserts=(gated.but(layers=(0, 2), heads=4, kv_heads=4, head=8, ffn__hidden=48),),
        streams__image__policy__size=(42, 42),
        streams__image__encoder=system.streams["image"].encoder.but(width=24, depth=2, heads=4, size=42, ffn__hidden=40),
        streams__image__connector=system.streams["image"].connector.but(
            queries=5, depth=2, heads=2, head=8, ffn__hidden=96
        ),
        checkpoints=(Checkpoint(source=Directory(path=str(path)), layouts=system.checkpoints[0].layouts),),
    )  # fmt: skip
    module = load_module(system, dtype=torch.float32)
    assert isinstance(module, VLM)
    return module


def prompt(ids: list[int], images: torch.Tensor) -> tuple[Batch, torch.Tensor]:
    """The batch of one row, and which picture each token sees (T, pictures)."""
    ids_BT = torch.tensor([ids])
    places = [n for n, id in enumerate(ids) if id == IMAGE]
    spans = tuple((0, a, b) for a, b in zip(places, [*places[1:], len(ids)], strict=False))
    seen = torch.zeros(len(ids), max(1, len(places)))
    for n, (_, a, b) in enumerate(spans):
        seen[a:b, n] = 1
    start = causal(torch.zeros(1, len(ids), 1))
    cuts = tuple(registry.system(NAME).streams["image"].policy.cut(42, 42) for _ in places)
    media = {"image": Pixels(pixels(images, 14).x_NC, ((1, 3, 3),) * len(places), cuts, spans)} if places else {}
    return Batch(ids_BT, start.kind_BT, start.pos_PBT, start.seg_BT, media), seen


@pytest.mark.parametrize("ids", [[1, 5, IMAGE, 7, 8], [1, 5, 6, IMAGE, 7, 92, IMAGE, IMAGE, 9, 10], [1, 5, 6, 7]])
@torch.no_grad()
def test_logits_and_greedy_tokens(ids: list[int], tmp_path: Path) -> None:
    theirs = reference()
    ours = small(saved(theirs, tmp_path))
    images = torch.randn(max(1, ids.count(IMAGE)), 3, 42, 42)
    worst, whole = 0.0, list(ids)
    for _ in range(32):
        batch, seen = prompt(whole, images)
        expected = theirs(
            input_ids=batch.ids_BT, pixel_values=images[None], image_attention_mask=seen[None].long(), use_cache=False
        ).logits
        logits = ours(batch)
        worst = max(worst, gap(logits, expected))
        assert logits[0, -1].argmax() == expected[0, -1].argmax()
        whole.append(int(logits[0, -1].argmax()))
        if whole[-1] == IMAGE:
            whole[-1] = 5
    assert worst <= 1e-5, worst
    for name in ("idefics-9b", "idefics-9b-instruct", "idefics-80b", "idefics-80b-instruct"):  # they differ in size alone
        record("parity", name, worst)


@torch.no_grad()
def test_keys_and_values_of_pictures_are_made_once(tmp_path: Path) -> None:
    ours = small(saved(reference(), tmp_path))
    batch, _ = prompt([1, 5, IMAGE, 7, 8], torch.randn(1, 3, 42, 42))
    cache = ours.lm.spec.cache(1, 5, like=ours.lm.embed.weight)
    ours(batch, cache)
    assert cache.memory.keys() == {0, 1} and cache.memory[0][0].shape == (1, 4, 5, 8)


@torch.no_grad()
def test_closed_gates_leave_the_language_model(tmp_path: Path) -> None:
    ours = small(saved(reference(), tmp_path))
    batch, _ = prompt([1, 5, IMAGE, 7, 8], torch.randn(1, 3, 42, 42))
    for insert in ours.lm.inserts:
        insert.gate1.zero_()
        insert.gate2.zero_()
    alone = ours.lm.logits(ours.lm.hidden(causal(ours.lm.embed(batch.ids_BT))))
    assert torch.equal(ours(batch), alone)


@pytest.mark.parametrize(("name", "extra", "sizes"), [
    ("idefics-9b", 2, {}),
    ("idefics-9b-instruct", 3, {}),
    ("idefics-80b-instruct", 3, {
        "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64, "intermediate_size": 22016,
        "rms_norm_eps": 1e-5,
    }),
])  # fmt: skip
def test_full_size_names(name: str, extra: int, sizes: dict[str, int]) -> None:
    config = hf.IdeficsConfig(
        additional_vocab_size=extra, cross_layer_interval=4, qk_layer_norms=True, use_resampler=True,
        vision_config={"embed_dim": 1280}, perceiver_config={"use_resampler": True, "qk_layer_norms_perceiver": True}, **sizes,
    )  # fmt: skip
    system = registry.system(name)
    with torch.device("meta"):
        theirs = names(hf.IdeficsForVisionText2Text(config))
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)
