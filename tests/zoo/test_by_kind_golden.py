"""CogVLM, EVEv2 and Mixture-of-Transformers equal their authors' code: stored prompts, pixels, rows, logits, greedy tokens.

CogVLM: THUDM/CogVLM f7283b2 utils/ with SwissArmyTransformer 0.4.12, a plain rotation in place of its Triton kernel, plain
attention in place of xformers. The published files' names are those of modeling_cogvlm.py and visual.py in
THUDM/cogvlm2-llama3-chat-19B (as in Niky-san/cogvlm2_surce 29bac8a), which give the same numbers bit for bit when set to
CogVLM 1: as many key heads as heads, rotary base 10000, no bias in the expert, no convolution behind the tower.
EVEv2: baaivision/EVE cc63ec7 EVEv2/eve, with the Pillow image processor.
Mixture-of-Transformers: facebookresearch/Mixture-of-Transformers 2ba51c0 src, which cannot run as published: torch's Linear has
no `params_dtype`, its MultiheadAttention no `head_dim` (a plain causal attention stands in), and `merge_modalities` makes a
result as long as the first kind's rows. The sketch has no positions, so ours are all 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch

from anyvlm import registry
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import Fuse, Keys, Layout, Mount, Rule, convert, match, rename
from anyvlm.parts.lm import Decoder
from anyvlm.seq import Seq, blocks
from anyvlm.system import VLM, System
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import patterns, saved, stored, weights
from tests.parity import gap, record
from tests.whole import bytes_and, greedy, laid, noise, text_batch

COGVLM = [name for name in registry.SYSTEMS if registry.system(name).meta.row == "cogvlm"]
EVE, MOT = "evev2-7b", "mixture-of-transformers-7b"
QUESTION, AGAIN = ("What is it?", noise(90, 61, 3)), ("What is it?", "A cat.", "And where?")
CLOSE = 1e-5


def system(name: str) -> System:
    found = registry.system(name)
    assert isinstance(found, System)
    return found


def loaded(small: System, shapes: dict[str, Sequence[int]], folder: Path) -> VLM:
    """The authors' weights through our keys."""
    source = Directory(path=str(saved(shapes, folder)))
    module = load_module(small.but(checkpoints=(small.checkpoints[0].but(source=source),)))
    assert isinstance(module, VLM)
    return module


def prompt(small: System, tokenizer: Tokenizer, turns: Iterable[str]) -> list[int]:
    """Of a conversation that begins with a picture."""
    first, *rest = turns
    messages = [Message("user", (Picture(""), first))]
    messages += [Message(("assistant", "user")[n % 2], (text,)) for n, text in enumerate(rest)]
    return list(plan(small, tokenizer, messages, sizes=[(90, 61)]).ids)


def check(small: System, module: VLM, tokenizer: Tokenizer, name: str) -> float:
    """Pixels, rows, logits with a picture and without, 32 greedy tokens; the largest difference of logits."""
    facts, numbers = stored(name)
    _, batch = laid(small, tokenizer, QUESTION)
    (array,) = small.streams["image"].policy.arrays(QUESTION[1])
    assert gap(torch.from_numpy(array)[:, ::9], numbers["pixels"]) < 1e-6
    with torch.no_grad():
        assert gap(module.rows(batch.media)["image"].x_ND, numbers["rows"]) < CLOSE
        seen = gap(module(batch)[0, numbers["at"]], numbers["logits"])
        said = (Piece(small.template.bos, "special"), Piece("Hello there", "user"))
        unseen = gap(module(text_batch(tokenizer.encode([piece for piece in said if piece.text]).ids))[0, -3:], numbers["text"])
    assert max(seen, unseen) < CLOSE
    assert greedy(module, batch, 32) == facts["greedy"]
    return max(seen, unseen)


# CogVLM ---------------------------------------------------------------------------------------------------------------


def small_cogvlm(name: str) -> System:
    return system(name).but(
        lm__vocab=stored("cogvlm")[0]["shapes"]["lm_head.weight"][0], lm__width=32, lm__depth=3, lm__heads=4, lm__kv_heads=4,
        lm__ffn__hidden=48, lm__context=512, streams__image__policy__size=(56, 56), streams__image__encoder__size=56,
        streams__image__encoder__width=24, streams__image__encoder__depth=2, streams__image__encoder__heads=2,
        streams__image__encoder__ffn__hidden=40, streams__image__connector__ffn__hidden=48,
    )  # fmt: skip


def cogvlm_tokenizer() -> Tokenizer:
    return Tokenizer(bytes_and("<s>", "</s>", "<unk>"))


@pytest.mark.parametrize("name", COGVLM)
def test_cogvlm_prompts(name: str) -> None:
    small, facts = small_cogvlm(name), stored("cogvlm")[0]
    said = {"chat": ("What is it?",), "again": AGAIN} if name == "cogvlm-chat" else {"base": ("a cat?",)}
    for case, turns in said.items():
        ids, theirs = prompt(small, cogvlm_tokenizer(), turns), facts["prompts"][case]
        assert ids[:1] + ids[19:] == theirs[:1] + theirs[19:] and len(ids) == len(theirs)  # between them, any id holds a row


def test_cogvlm_positions_and_experts(tmp_path: Path) -> None:
    facts, _ = stored("cogvlm")
    small = small_cogvlm("cogvlm-chat")
    _, batch = laid(small, cogvlm_tokenizer(), QUESTION)
    assert batch.pos_PBT[0, 0].tolist() == facts["positions"]
    assert list(range(facts["positions"][-1], facts["positions_after"][-1] + 1)) == facts["positions_after"][-33:]
    module = loaded(small, facts["shapes"], tmp_path)
    assert module.assemble(batch).kind_BT[0].tolist() == facts["expert"]


@pytest.mark.parametrize("name", COGVLM)
def test_cogvlm(name: str, tmp_path: Path) -> None:
    small = small_cogvlm(name).but(template=system("cogvlm-chat").template)  # the one the stored question was asked in
    module = loaded(small, stored("cogvlm")[0]["shapes"], tmp_path)
    largest = check(small, module, cogvlm_tokenizer(), "cogvlm")
    record("golden", name, largest, "THUDM/CogVLM f7283b2")


# EVEv2 ----------------------------------------------------------------------------------------------------------------


def small_eve() -> System:
    return system(EVE).but(
        lm__vocab=stored("evev2")[0]["shapes"]["lm_head.weight"][0], lm__width=32, lm__depth=3, lm__heads=4, lm__kv_heads=2,
        lm__ffn__hidden=48, lm__context=512, streams__image__policy__side=96, streams__image__connector__hidden=24,
    )  # fmt: skip


def test_eve_prompts_and_sizes() -> None:
    facts, _ = stored("evev2")
    tokenizer = Tokenizer(bytes_and("<|im_end|>"))
    for case, turns in {"prompt": ("What is it?",), "again": AGAIN}.items():
        theirs = facts[case]
        at, ids = theirs.index(-200), prompt(small_eve(), tokenizer, turns)
        assert ids[:at] + ids[at + 16 :] == theirs[:at] + theirs[at + 1 :]  # 1 + 3 x (4 + 1) rows
    for size, (h, w) in facts["sizes"].items():
        width, height = map(int, size.split("x"))
        assert system(EVE).streams["image"].policy.cut(width, height).sizes == ((h, w),)


def test_eve(tmp_path: Path) -> None:
    small = small_eve()
    module = loaded(small, stored("evev2")[0]["shapes"], tmp_path)
    largest = check(small, module, Tokenizer(bytes_and("<|im_end|>")), "evev2")
    record("golden", EVE, largest, "baaivision/EVE cc63ec7")


# Full size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "golden"), [*((name, "cogvlm") for name in COGVLM), (EVE, "evev2")])
def test_manifest(name: str, golden: str) -> None:
    """Every name and shape that the authors' class has at full size, and no other."""
    full, theirs = system(name), dict(stored(golden)[0]["full"])
    if name == "cogvlm-base-224":
        theirs["model.vision.patch_embedding.position_embedding.weight"] = [1, [257, 1792]]
    assert patterns(full, full.checkpoints[0].layouts[0]) == theirs
    record("manifest", name, 0.0, "the authors' class on meta")


# Mixture-of-Transformers ----------------------------------------------------------------------------------------------

_A, _F = "{}.attention.local_experts_", "{}.feed_forward.local_experts"
_RULES = tuple(
    rule
    for n, kind in enumerate(("text", "image"))
    for rule in (
        *rename(
            {
                f"{_A}wo.{n}.": f"blocks.{{}}.attn.o.{kind}.",
                f"{_A}q_normalization.{n}.": f"blocks.{{}}.attn.q_norm.{kind}.",
                f"{_A}k_normalization.{n}.": f"blocks.{{}}.attn.k_norm.{kind}.",
                f"{_A}attention_norm.{n}.": f"blocks.{{}}.norm1.{kind}.",
                f"{_F}.{n}.w2.": f"blocks.{{}}.ffn.{kind}.down.",
                f"{_F}_ffn_norm.{n}.": f"blocks.{{}}.norm2.{kind}.",
            }
        ),
        Rule(
            theirs=tuple(f"{_A}w{p}.{n}." for p in "qkv"), ours=(f"blocks.{{}}.attn.qkv.{kind}.",),
            ops=(Fuse(shares=(1, 1, 1)),),
        ),
        Rule(
            theirs=(f"{_F}.{n}.w1.", f"{_F}.{n}.w3."), ours=(f"blocks.{{}}.ffn.{kind}.gate_up.",), ops=(Fuse(shares=(1, 1)),)
        ),
    )
)  # fmt: skip
SKETCH = Layout(name="sketch", mounts=(Mount(theirs="", ours="", keys=Keys(rules=_RULES)),))


def small_mot() -> Decoder:
    lm = system(MOT).lm.but(
        vocab=8, width=32, depth=3, heads=4, kv_heads=4, ffn__hidden=stored("mot")[0]["hidden"], context=64
    )
    assert isinstance(lm, Decoder)
    return lm


def sequence(x_TD: torch.Tensor, kinds: torch.Tensor) -> Seq:
    zeros = torch.zeros_like(kinds[None])
    return Seq(x_TD[None], kinds[None], zeros[None], blocks(kinds[None]), zeros)


@torch.no_grad()
def test_mixture_of_transformers() -> None:
    facts, numbers = stored("mot")
    spec, theirs = small_mot(), weights(facts["shapes"])
    found = match(theirs, SKETCH, lambda _: spec)
    assert not found.unclaimed and not found.incomplete
    ours, lm = dict(convert(theirs, found)), spec.build().eval()
    lm.norm = torch.nn.Identity()  # the sketch has layers alone
    places = {name: p for name, p in lm.named_parameters() if name.startswith("blocks.")}
    assert places.keys() == ours.keys()
    for name, parameter in places.items():
        parameter.copy_(ours[name])
    out = lm.hidden(sequence(numbers["x"], torch.tensor(facts["kinds"])))[0]
    assert (largest := gap(out, numbers["out"])) < CLOSE
    record("golden", MOT, largest, "facebookresearch/Mixture-of-Transformers 2ba51c0")


@torch.no_grad()
def test_kinds_and_weights_exchanged_together_change_nothing() -> None:
    facts, numbers = stored("mot")
    one, other = small_mot().build().eval(), small_mot().build().eval()
    for parameter in one.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    swap = {"text": "image", "image": "text"}
    other.load_state_dict(
        {re.sub(r"\b(text|image)\b", lambda found: swap[found[0]], name): x for name, x in one.state_dict().items()}
    )
    kinds, x_TD = torch.tensor(facts["kinds"]), numbers["x"]
    straight = one.hidden(sequence(x_TD, kinds))
    assert torch.allclose(straight, other.hidden(sequence(x_TD, 1 - kinds)), atol=1e-5)
    assert not torch.allclose(straight, other.hidden(sequence(x_TD, kinds)), atol=1e-2)
