"""LLaVA v1, LLaVA-Med v1 and Yi-VL equal their authors' code: stored prompts, pixels, rows, logits, greedy tokens, names.

LLaVA: haotian-liu/LLaVA 817a4af (v1.0.1) llava/, prompts as eval/run_llava.py writes them; its MPT was left out. LLaVA-Med:
microsoft/LLaVA-Med b9a98a7 llava/, prompts as the demo writes them (serve/gradio_web_server.py, serve/model_worker.py), which
are those of eval/run_llava.py and the last "Assistant:". Yi-VL: 01-ai/Yi 24ce52c VL/llava, as in single_inference.py. All with
transformers 4.36.2 in fp32. LLaVA-Med's tower is 1024 wide, since its code makes rows of nothing that wide.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anyvlm import registry
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import Layout
from anyvlm.system import VLM, Checkpoint, System
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from anyvlm.zoo import llava
from tests.golden import patterns, saved, stored
from tests.parity import gap, record
from tests.whole import bytes_and, greedy, laid, noise, text_batch

LLAVA, YI = ("<s>", "</s>", "<unk>"), ("<|startoftext|>", "</s>", "<unk>")
CASES = {
    "llava": ("llava_v1", LLAVA, "haotian-liu/LLaVA 817a4af"),
    "llava-13b": ("llava_v1", LLAVA, "haotian-liu/LLaVA 817a4af"),
    "llava-llama-2-13b": ("llava_llama_2", LLAVA, "haotian-liu/LLaVA 817a4af"),
    "llava-med-v1-7b": ("llava_med_v1", LLAVA, "microsoft/LLaVA-Med b9a98a7"),
    "yi-vl-6b": ("yi_vl", YI, "01-ai/Yi 24ce52c"),
    "yi-vl-34b": ("yi_vl", YI, "01-ai/Yi 24ce52c"),
}
QUESTION, AGAIN = ("What is it?", noise(90, 61, 3)), ("What is it?", "A cat.", "And where?")


def system(name: str) -> System:
    found = registry.system(name)
    assert isinstance(found, System)
    return found


def layout(name: str) -> Layout:
    """Of the files; differences to LLaMA become such files, once added."""
    checkpoints = system(name).checkpoints
    return checkpoints[0].layouts[0] if checkpoints else llava.LAYOUT


def small(name: str) -> System:
    """As the authors' model was made."""
    golden, _, _ = CASES[name]
    shapes, tower = stored(golden)[0]["shapes"], "model.vision_tower.vision_tower.vision_model."
    width, side = shapes[f"{tower}embeddings.class_embedding"][0], 56 if golden == "yi_vl" else 42
    return system(name).but(
        lm__vocab=shapes["lm_head.weight"][0], lm__width=32, lm__depth=3, lm__heads=4,
        lm__kv_heads=shapes["model.layers.0.self_attn.k_proj.weight"][0] // 8, lm__ffn__hidden=48,
        streams__image__policy__size=(side, side), streams__image__encoder__size=side, streams__image__encoder__width=width,
        streams__image__encoder__depth=sum(name.endswith("layer_norm1.bias") for name in shapes),
        streams__image__encoder__heads=2,
        streams__image__encoder__ffn__hidden=shapes[f"{tower}encoder.layers.0.mlp.fc1.bias"][0],
    )  # fmt: skip


def tokenizer(name: str) -> Tokenizer:
    return Tokenizer(bytes_and(*CASES[name][1]), added=system(name).added)


def loaded(name: str, folder: Path) -> VLM:
    """The authors' weights through our keys."""
    source = Directory(path=str(saved(stored(CASES[name][0])[0]["shapes"], folder)))
    module = load_module(small(name).but(checkpoints=(Checkpoint(source=source, layouts=(layout(name),)),)))
    assert isinstance(module, VLM)
    return module


@pytest.mark.parametrize("name", CASES)
def test_prompts(name: str) -> None:
    one, words, facts = small(name), tokenizer(name), stored(CASES[name][0])[0]
    for case, turns in {"prompt": AGAIN[:1], "again": AGAIN}.items():
        messages = [Message("user", (Picture(""), turns[0]))]
        messages += [Message(("assistant", "user")[n % 2], (text,)) for n, text in enumerate(turns[1:])]
        planned, theirs = plan(one, words, messages, sizes=[(90, 61)]), list(facts[case])
        if -200 in theirs:  # where the rows come
            (span,), at = planned.spans, theirs.index(-200)
            theirs[at : at + 1] = planned.ids[span.start : span.start + span.length]
        assert list(planned.ids) == theirs


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_rows_logits_and_greedy_tokens(name: str, tmp_path: Path) -> None:
    golden, _, reference = CASES[name]
    (facts, numbers), module, words = stored(golden), loaded(name, tmp_path), tokenizer(name)
    _, batch = laid(module.spec, words, QUESTION)
    (array,) = module.spec.streams["image"].policy.arrays(QUESTION[1])
    assert gap(torch.from_numpy(array)[:, ::9], numbers["pixels"]) < 1e-6
    worst = gap(module.rows(batch.media)["image"].x_ND, numbers["rows"])
    worst = max(worst, gap(module(batch)[0, numbers["at"]], numbers["logits"]))
    said = (Piece(module.spec.template.bos, "special"), Piece("Hello there", "user"))
    unseen = module(text_batch(words.encode([piece for piece in said if piece.text]).ids))
    worst = max(worst, gap(unseen[0, -3:], numbers["text"]))
    assert worst <= 1e-5, worst
    assert greedy(module, batch, 32) == facts["greedy"]
    record("golden", name, worst, reference)


@pytest.mark.parametrize("name", CASES)
def test_names_at_full_size(name: str) -> None:
    """Every name and shape of the authors' class, the tower inside, and no other."""
    golden, _, reference = CASES[name]
    assert patterns(system(name), layout(name)) == stored(golden)[0]["full"][name]
    record("manifest", name, 0.0, reference)


@pytest.mark.parametrize("name", ["llava-llama-2-13b", "palo-7b", "sharegpt4v-7b"])
def test_no_id_lies_beyond_the_vocabulary(name: str) -> None:
    """Their tokenizer is LLaVA-1.5's, which has more tokens than they."""
    one = small("llava-llama-2-13b").but(lm__vocab=300, template=system(name).template, placeholder=system(name).placeholder)
    words = Tokenizer(bytes_and(*LLAVA, *(f"<{n}>" for n in range(40)), "<image>"))
    planned = plan(one, words, [Message("user", (Picture(""), "What is it?"))], sizes=[(90, 61)])
    assert words.id("<image>") >= 300 > max(planned.ids) and planned.image_tokens == 9


def test_published_differences_have_three_tokens_more_than_vicuna() -> None:
    for name in ("llava", "llava-13b", "llava-med-v1-7b"):
        assert [tokenizer(name).id(token) - len(bytes_and(*LLAVA).get_vocab()) for token in system(name).added] == [0, 1, 2]
        assert system(name).lm.vocab == 32000 + len(system(name).added)
