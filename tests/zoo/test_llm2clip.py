"""LLM2CLIP equals microsoft/LLM2CLIP at cba3b45 (`CustomCLIP` with `TextProj`, CLIP's and EVA-02's towers), run outside the
repository on tiny random weights, behind transformers' LlamaModel that hides nothing but padding and the mean of `LLM2Vec`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from safetensors.torch import save_file

from anyvlm import registry
from anyvlm.dual import Dual
from anyvlm.inputs.text import WordsBatch
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import audit, choose
from anyvlm.parts.vision.eva import EvaViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record
from tests.whole import bytes_and
from tests.zoo.test_manifest import names

FACTS, NUMBERS = stored("llm2clip")
KINDS = {
    "vit": "llm2clip-openai-l-14-336", "eva": "llm2clip-eva02-l-14-336", "siglip": "llm2clip-siglip2-so400m-14-224",
}  # fmt: skip
EYES = {EvaViT: "eva", ViT: "vit"}
NAMES = [name for name in registry.SYSTEMS if registry.system(name).meta.row == "llm2clip"]
LENGTHS = torch.tensor([[8], [12], [9]])


def loaded(kind: str, folder: Path, unit: bool = True) -> Dual:
    spec = tiny_dual(registry.system(KINDS[kind]), vocab=40).but(
        towers__image__encoder__depth=2, towers__image__encoder__patch=16, towers__image__encoder__size=48,
        towers__text__project__unit=unit,
    )  # fmt: skip
    rest = weights(FACTS["shapes"][kind]) | {"logit_scale": torch.tensor(2.0)}
    if kind == "siglip":  # the adapter of the others, in front of which the language model stands; its rope without scaling
        spec = spec.but(towers__text__encoder__rope__scaling=None)
        adapter = {n: t for n, t in weights(FACTS["shapes"]["vit"]).items() if n.startswith("text.")}
        rest |= {n.replace("text.", "text.text_proj.", 1): tensor for n, tensor in adapter.items()}
    folders = [folder / name for name in ("text", "rest")]
    for each, tensors in zip(folders, (weights(FACTS["shapes"]["llama"]), rest), strict=True):
        each.mkdir(exist_ok=True)
        save_file(tensors, each / "model.safetensors")
    checkpoints = tuple(
        Checkpoint(source=Directory(path=str(each)), layouts=was.layouts)
        for each, was in zip(folders, spec.checkpoints, strict=True)
    )
    module = load_module(spec.but(checkpoints=checkpoints), dtype=torch.float32)
    assert isinstance(module, Dual)
    return module.eval()


@pytest.mark.parametrize("kind", ["vit", "eva"])
@torch.no_grad()
def test_whole(kind: str, tmp_path: Path) -> None:
    module, random = loaded(kind, tmp_path), np.random.default_rng(1)
    x = pixels(torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32)), 16)
    words = WordsBatch(torch.from_numpy(random.integers(1, 40, (3, 12))), torch.arange(12) < LENGTHS)
    tower = module.towers["text"]
    ours = {
        f"{kind}_image": module.points("image", x), f"{kind}_text": module.points("text", words),
        "vector": tower.pool(tower.encoder(words.ids_BT, words.seen_BT), words.seen_BT),
        f"{kind}_text_online": loaded(kind, tmp_path, unit=False).points("text", words),
    }  # fmt: skip
    gaps = {name: gap(value, NUMBERS[name]) for name, value in ours.items()}
    assert max(gaps.values()) <= 1e-5, gaps
    assert gap(ours[f"{kind}_text"], ours[f"{kind}_text_online"]) > 1e-3
    for name in NAMES:
        if name != KINDS["siglip"] and EYES[type(registry.system(name).towers["image"].encoder)] == kind:
            record("golden", name, max(gaps.values()), "microsoft/LLM2CLIP cba3b45")


@torch.no_grad()
def test_with_siglip(tmp_path: Path) -> None:
    """The tower is timm 1.0.31's vit_so400m_patch14_siglip_224 in small; vectors are not made of length 1 first."""
    module, random = loaded("siglip", tmp_path, unit=False), np.random.default_rng(1)
    assert registry.system(KINDS["siglip"]).towers["text"].project.unit is False
    x = pixels(torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32)), 16)
    words = WordsBatch(torch.from_numpy(random.integers(1, 40, (3, 12))), torch.arange(12) < LENGTHS)
    image, text = module.points("image", x), module.points("text", words)
    gaps = gap(image, NUMBERS["siglip_image"]), gap(text, NUMBERS["vit_text_online"])
    assert max(gaps) <= 1e-5, gaps
    record("golden", KINDS["siglip"], max(gaps), "microsoft/LLM2CLIP cba3b45, timm 1.0.31")


@torch.no_grad()
def test_a_token_sees_those_behind_it_and_the_opening_is_not_pooled(tmp_path: Path) -> None:
    tower = loaded("vit", tmp_path).towers["text"]
    ids = torch.arange(1, 11)[None]
    other = ids.clone()
    other[0, -1] = 30
    rows, others = tower.encoder(ids), tower.encoder(other)
    assert not torch.allclose(rows[0, 0], others[0, 0])
    assert gap(tower.pool(rows)[0], rows[0, 5:].mean(0)) <= 1e-6


@torch.no_grad()
def test_cached_vectors_are_those_of_the_tower(tmp_path: Path) -> None:
    """What is kept is of length 1, and so is what the adapter makes of the vector itself."""
    module = loaded("vit", tmp_path)
    tower, words = module.towers["text"], WordsBatch(torch.arange(1, 25).view(2, 12), None)
    kept = F.normalize(tower.pool(tower.encoder(words.ids_BT)), dim=-1)
    assert gap(F.normalize(tower.project(kept), dim=-1), module.points("text", words)) <= 1e-6


def test_prompt() -> None:
    """`prepare_for_tokenization` around a caption; five tokens stand in front of it, which the mean leaves out."""
    policy = registry.system("llm2clip-openai-b-16").towers["text"].policy
    tokens = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = Tokenizer(bytes_and(*tokens))
    ids = policy.encode(tokenizer, "a <|eot_id|> cat").ids
    begin, start, end, turn = map(tokenizer.id, tokens)
    assert (ids[0], ids[1], ids[-1]) == (begin, start, turn) and ids.count(turn) == 1
    opened = ids.index(end)
    assert tokenizer.decode(ids[2:opened]) == "user" and tokenizer.decode(ids[opened + 1 : -1]) == "\n\na <|eot_id|> cat"


def test_full_size() -> None:
    """Language models at the sizes of published config.json files; adapters at those of `model_configs/*.json`."""
    llama = {"vocab_size": 128256, "max_position_embeddings": 8192, "num_key_value_heads": 8}
    big = llama | {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
    small = llama | {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32}
    with torch.device("meta"):
        shapes = {4096: names(hf.LlamaModel(hf.LlamaConfig(**big))), 2048: names(hf.LlamaModel(hf.LlamaConfig(**small)))}
        for name in NAMES:
            spec = registry.system(name)
            ours = {n: tuple(p.shape) for n, p in spec.build().named_parameters()}
            theirs = shapes[spec.towers["text"].encoder.width]
            for prefix in ("", "model."):
                files = {prefix + n: shape for n, shape in theirs.items()}
                plan = choose(files, spec.checkpoints[0].layouts, spec.part)
                audit([(files, plan)], ours, ("towers.image.*", "towers.text.project.*", "contrasts.*"))
            width = spec.towers["text"].encoder.width
            assert ours["towers.text.project.blocks.3.up.weight"] == (2 * width, width)
            assert ours["towers.text.project.map.weight"] == (spec.shared, width)
