"""BLIP equals transformers': names at full size; captions, answers and scores of a directory; prompts and pixels.

transformers leaves [CLS] in front of questions and matched texts, where the authors' training and evaluation write [ENC]
(salesforce/BLIP 056a169 models/blip_vqa.py, train_retrieval.py): it is given the authors' ids here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers as hf
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

import anyvlm
from anyvlm import registry
from anyvlm.errors import InputError, SpecError
from anyvlm.generate.match import MatchModel
from anyvlm.generate.model import Model
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.system import System
from anyvlm.weights.load import load_system
from tests.commands import run
from tests.parity import gap, record, saved, stirred
from tests.whole import laid, noise
from tests.zoo.test_manifest import fits, names

WORDS = [
    "a", "picture", "of", "cat", "dog", "two", "red", "the", "on", "?", ".", "is", "what", "colour", "this", "in",
    "sofa", "##s", "##ting",
]  # fmt: skip
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
DEC, ENC, SEP = len(VOCAB), len(VOCAB) + 1, 3
TEXT = {
    "vocab_size": len(VOCAB) + 2, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3,
    "num_attention_heads": 4, "max_position_embeddings": 64, "bos_token_id": DEC, "sep_token_id": SEP,
}  # fmt: skip
EYE = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
CAPTION, ANSWER = hf.BlipForConditionalGeneration, hf.BlipForQuestionAnswering
MATCH = hf.BlipForImageTextRetrieval
CAPTIONERS = ("blip-image-captioning-base", "blip-image-captioning-large")
ANSWERERS = ("blip-vqa-base", "blip-vqa-capfilt-large")
MATCHERS = tuple(f"blip-itm-{size}-{data}" for size in ("base", "large") for data in ("coco", "flickr"))
PICTURE = noise(50, 41, 3)


def directory(kind: type[hf.PreTrainedModel], folder: Path, **eye: int) -> tuple[hf.PreTrainedModel, hf.BlipProcessor]:
    """A tiny random model with its processor, saved as transformers saves them."""
    folder.mkdir(exist_ok=True)
    theirs = stirred(kind(hf.BlipConfig(text_config=TEXT, vision_config=EYE | eye, image_text_hidden_size=12)))
    saved(theirs, folder)
    (folder / "vocab.txt").write_text("\n".join(VOCAB))
    processor = hf.BlipProcessor(
        BlipImageProcessorPil(size={"height": 32, "width": 32}), hf.BertTokenizerFast(str(folder / "vocab.txt"))
    )
    processor.save_pretrained(folder)
    return theirs, processor


def loaded(folder: Path) -> Model | MatchModel:
    return anyvlm.load(folder, device="cpu", dtype="fp32")


def ours_greedy(model: Model, question: str, steps: int) -> list[int]:
    """Through the engine and its cache."""
    assert isinstance(model.system, System)
    _, batch = laid(model.system, model.tokenizer, [PICTURE, question])
    deltas = model._engine.generate(batch, Sampling(max_tokens=steps), decoders=[model.tokenizer.stream()], ends=())
    return [delta.id for delta in deltas]


@torch.no_grad()
def test_captions(tmp_path: Path) -> None:
    theirs, processor = directory(CAPTION, tmp_path)
    ours = loaded(tmp_path)
    inputs = processor(images=PICTURE, text="a picture of ", return_tensors="pt")
    planned, batch = laid(ours.system, ours.tokenizer, [PICTURE, "a picture of "])
    assert list(planned.ids) == [DEC, *inputs["input_ids"][0, 1:-1].tolist()]
    assert torch.equal(batch.media["image"].x_NC.flatten().sort().values, inputs["pixel_values"].flatten().sort().values)
    ids, worst = torch.tensor([planned.ids]), 0.0
    for _ in range(32):
        expected = theirs(pixel_values=inputs["pixel_values"], input_ids=ids).logits[0, -1]
        ids = torch.cat([ids, expected.argmax()[None, None]], 1)
    assert ours_greedy(ours, "a picture of ", 32) == ids[0, len(planned) :].tolist()
    expected = theirs(pixel_values=inputs["pixel_values"], input_ids=batch.ids_BT).logits
    worst = max(worst, gap(ours.vlm(batch), expected))
    assert worst <= 1e-5, worst
    for name in CAPTIONERS:
        record("parity", name, worst)


@torch.no_grad()
def test_answers(tmp_path: Path) -> None:
    """Of the question read by the encoder, token by token of the decoder; with the answer at hand, all at once."""
    theirs, processor = directory(ANSWER, tmp_path, hidden_size=24)  # transformers wants one width for both
    ours, question = loaded(tmp_path), "What colour is this sofas?"
    inputs = processor(images=PICTURE, text=question, return_tensors="pt")
    asked = inputs["input_ids"].clone()
    asked[:, 0] = ENC
    planned, batch = laid(ours.system, ours.tokenizer, [PICTURE, question])
    assert list(planned.ids) == asked[0].tolist() and 1 not in planned.ids
    rows = theirs.vision_model(inputs["pixel_values"]).last_hidden_state
    states = theirs.text_encoder(input_ids=asked, encoder_hidden_states=rows).last_hidden_state
    ids = torch.tensor([[DEC]])
    for _ in range(32):
        expected = theirs.text_decoder(input_ids=ids, encoder_hidden_states=states).logits
        ids = torch.cat([ids, expected[:, -1].argmax(-1)[None]], 1)
    assert ours_greedy(ours, question, 32) == ids[0, 1:].tolist()
    answer = "two red cat"
    messages = [Message("user", (Picture(""), question)), Message("assistant", (answer,))]
    whole = plan(ours.system, ours.tokenizer, messages, sizes=[PICTURE.size], reply=False)
    said = anyvlm_batch(ours, whole)
    ids = torch.cat([torch.tensor([[DEC]]), said.ids_BT[:, len(planned) :]], 1)
    worst = gap(ours.vlm(said), theirs.text_decoder(input_ids=ids, encoder_hidden_states=states).logits)
    assert worst <= 1e-5, worst
    for name in ANSWERERS:
        record("parity", name, worst)


def anyvlm_batch(model: Model, planned):  # type: ignore[no-untyped-def]
    from anyvlm.inputs.collate import collate

    return collate(model.system, [planned], [model.system.streams["image"].policy.arrays(PICTURE)])


@torch.no_grad()
def test_scores(tmp_path: Path) -> None:
    theirs, processor = directory(MATCH, tmp_path)
    ours = loaded(tmp_path)
    assert isinstance(ours, MatchModel)
    pictures, texts = [noise(40 + n, 33, n) for n in range(3)], ["two cats on the sofa.", "a red dog"]
    scores, worst = ours.match(pictures, texts), 0.0
    logits = torch.zeros(3, 2, 2)
    for i, picture in enumerate(pictures):
        for j, text in enumerate(texts):
            inputs = processor(images=picture, text=text, return_tensors="pt")
            cosine = theirs(**inputs, use_itm_head=False).itm_score
            inputs["input_ids"][:, 0] = ENC
            logits[i, j] = theirs(**inputs).itm_score[0]
            worst = max(worst, gap(scores.cosine[i, j][None, None], cosine))
            worst = max(worst, gap(scores.probability[i, j], logits[i, j].softmax(-1)[1]))
    assert worst <= 1e-5, worst
    total = scores.cosine + logits[..., 1]
    for i, ranked in enumerate(ours.rank(pictures, texts)):
        assert [one.index for one in ranked] == total[i].argsort(descending=True).tolist()
        assert abs(ranked[0].score - float(total[i].max())) < 1e-5
    (best,) = ours.rank(pictures, texts[0], of="images", top=2)
    likely = scores.cosine[:, 0].topk(2).indices
    assert {one.index for one in best} == set(likely.tolist()) and best[0].index == int(likely[total[likely, 0].argmax()])
    assert torch.equal(ours.point_images(pictures) @ ours.point_texts(texts).T, scores.cosine)
    for name in MATCHERS:
        record("parity", name, worst)


@torch.no_grad()
def test_keys_and_values_of_the_picture_are_made_once(tmp_path: Path) -> None:
    directory(CAPTION, tmp_path)
    ours = loaded(tmp_path)
    _, batch = laid(ours.system, ours.tokenizer, [PICTURE, "a"])
    cache = ours.vlm.lm.spec.cache(1, 2, like=ours.vlm.lm.embed.weight)
    ours.vlm(batch, cache)
    assert cache.memory.keys() == {0, 1, 2} and cache.memory[0][0].shape == (1, 4, 17, 6)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (33, 32), (640, 480)])
def test_pixels(size: tuple[int, int]) -> None:
    picture = noise(*size, seed=1)
    expected = BlipImageProcessorPil()(images=picture, return_tensors="pt")["pixel_values"][0]
    array = registry.system("blip-vqa-base").streams["image"].policy.arrays(picture)[0]
    assert torch.equal(torch.from_numpy(array), expected)


def test_answers_of_words(tmp_path: Path) -> None:
    """From a directory to text, through `ask`; a second picture, or an unknown class, is refused in a sentence."""
    directory(ANSWER, tmp_path, hidden_size=24)
    ours = loaded(tmp_path)
    assert isinstance(ours, Model)
    alone = [ours.ask(PICTURE, question, max_tokens=4).text for question in ("Is this a dog?", "What is on the red sofa ?")]
    questions = [[Message("user", (Picture(PICTURE), q))] for q in ("Is this a dog?", "What is on the red sofa ?")]
    assert [answer.text for answer in ours.generate(questions, Sampling(max_tokens=4))] == alone
    with pytest.raises(InputError, match="takes one picture"):
        ours.ask([PICTURE, PICTURE], "What is this?")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["BlipModel"]}))
    with pytest.raises(SpecError, match="BlipModel"):
        load_system(tmp_path)


def test_ask_from_a_shell(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "picture.png")
    for kind, asked, tokens, eye in ((CAPTION, "a picture of", 4, 32), (ANSWER, "is this a dog ?", 7, 24)):
        folder = tmp_path / kind.__name__
        directory(kind, folder, hidden_size=eye)
        words = [str(tmp_path / "picture.png"), asked, "--model", str(folder)]
        done = run("ask", *words, "--max-tokens", "4", "--json")
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert (answer["usage"]["prompt_tokens"], answer["usage"]["image_tokens"]) == (tokens, 0)
        assert answer["text"] == loaded(folder).ask(PICTURE, asked, max_tokens=4).text
        assert run("tokens", words[0], "--question", asked, *words[2:]).code == 0


def full(kind: type[hf.PreTrainedModel], large: bool) -> dict[str, tuple[int, ...]]:
    eye = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    config = hf.BlipConfig(vision_config=eye if large else {}, text_config={"num_attention_heads": 12})
    with torch.device("meta"):
        return names(kind(config))


@pytest.mark.parametrize(("name", "kind", "large"), [
    ("blip-image-captioning-base", CAPTION, False), ("blip-image-captioning-large", CAPTION, True),
    ("blip-vqa-base", ANSWER, False), ("blip-vqa-capfilt-large", ANSWER, False),
    ("blip-itm-base-coco", MATCH, False), ("blip-itm-base-flickr", MATCH, False),
    ("blip-itm-large-coco", MATCH, True), ("blip-itm-large-flickr", MATCH, True),
])  # fmt: skip
def test_full_size_names(name: str, kind: type[hf.PreTrainedModel], large: bool) -> None:
    system, theirs = registry.system(name), full(kind, large)
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


def test_files_of_older_versions_repeat_the_head(tmp_path: Path) -> None:
    """They hold the tied matrix, the tied bias and the numbers of the places, too."""
    theirs = full(CAPTION, False)
    head, words = "text_decoder.cls.predictions.", "text_decoder.bert.embeddings."
    theirs |= {
        f"{head}decoder.weight": theirs[f"{words}word_embeddings.weight"], f"{head}decoder.bias": theirs[f"{head}bias"],
        f"{words}position_ids": (1, 512),
    }  # fmt: skip
    system = registry.system("blip-image-captioning-base")
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
