"""BLIP-2 and InstructBLIP equal transformers': names at full size; ids, pixels, logits, greedy tokens in small.

The small models are read from directories that transformers wrote, processors with them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers as hf
from PIL import Image
from tokenizers import processors
from torch.nn.functional import cross_entropy
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.generate.engine import Engine
from anyvlm.generate.memory import FeatureMemory
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.t5 import T5_HF
from anyvlm.parts.language import LanguageModel
from anyvlm.seq import causal
from anyvlm.system import VLM, Batch, System
from anyvlm.train.losses import next_token
from anyvlm.weights.config import read_directory
from anyvlm.weights.config_language import read_language
from anyvlm.weights.load import Loaded, load_system
from tests.parity import gap, record, saved, stirred
from tests.whole import bytes_and, noise
from tests.zoo.test_manifest import fits, names

BOS, IMAGE = 260, 261  # "</s>" and "<image>" behind the bytes and pairs of `bytes_and`
EYE = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 42,
    "patch_size": 14,
}  # fmt: skip
QFORMER = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "vocab_size": 264,
    "max_position_embeddings": 64,
}  # fmt: skip
TEXT = {
    "opt": {
        "model_type": "opt", "vocab_size": 264, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 128, "bos_token_id": BOS, "eos_token_id": None,
        "pad_token_id": None,
    },
    "t5": {
        "model_type": "t5", "vocab_size": 264, "d_model": 32, "d_kv": 4, "d_ff": 48, "num_layers": 3, "num_decoder_layers": 2,
        "num_heads": 4, "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu", "tie_word_embeddings": False,
        "n_positions": 512, "decoder_start_token_id": 0, "eos_token_id": None, "pad_token_id": 0,
    },
    "vicuna": {
        "model_type": "llama", "vocab_size": 264, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 2048, "bos_token_id": BOS, "eos_token_id": None,
        "pad_token_id": None,
    },
}  # fmt: skip
BLIP = {
    "blip2": (hf.Blip2Config, hf.Blip2ForConditionalGeneration),
    "instructblip": (hf.InstructBlipConfig, hf.InstructBlipForConditionalGeneration),
}
CASES = [("blip2", "opt"), ("blip2", "t5"), ("instructblip", "vicuna"), ("instructblip", "t5")]
QUESTION = "What is in it?"


def entries(family: str, kind: str) -> list[str]:
    return [name for name in registry.SYSTEMS if name.startswith(f"{family}-") and kind in name]


def ended(inner: tokenizers.Tokenizer, form: str, *marks: str) -> hf.PreTrainedTokenizerFast:
    """transformers' tokenizer that writes first and last tokens by itself."""
    inner.post_processor = processors.TemplateProcessing(single=form, special_tokens=[(m, inner.token_to_id(m)) for m in marks])
    named = {"bos_token": "</s>", "eos_token": "</s>"} if "</s>" in marks else {}
    return hf.PreTrainedTokenizerFast(tokenizer_object=inner, **named)


def processor(family: str, kind: str) -> hf.ProcessorMixin:
    pictures = BlipImageProcessorPil(size={"height": 42, "width": 42})
    text = ended(bytes_and("</s>", "<image>"), "$A </s>" if kind == "t5" else "</s> $A", "</s>")
    if family == "blip2":
        return hf.Blip2Processor(pictures, text, num_query_tokens=4)
    reader = ended(bytes_and("[CLS]", "[SEP]"), "[CLS] $A [SEP]", "[CLS]", "[SEP]")
    return hf.InstructBlipProcessor(pictures, text, reader, num_query_tokens=4)


def calmed(model: hf.PreTrainedModel) -> hf.PreTrainedModel:
    """T5 divides no scores: its queries are that much smaller from the beginning, else rounding is multiplied."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("Attention.q.weight"):
                parameter.mul_(TEXT["t5"]["d_kv"] ** -0.5)
    return model


def reference(family: str, kind: str) -> hf.PreTrainedModel:
    config, model = BLIP[family]
    made = model(
        config(vision_config=EYE, qformer_config=QFORMER, text_config=TEXT[kind], num_query_tokens=4, image_token_index=IMAGE)
    )
    if kind == "t5":  # made from a config it is tied, whatever that says; published files have a head of their own
        made.language_model.lm_head.weight = torch.nn.Parameter(torch.empty(264, 32))
    made = calmed(stirred(made))
    with torch.no_grad():
        made.query_tokens.normal_()
    made.language_model.generation_config.eos_token_id = None
    return made


def both(family: str, kind: str, folder: Path) -> tuple[hf.PreTrainedModel, hf.ProcessorMixin, Loaded]:
    theirs, process = reference(family, kind), processor(family, kind)
    saved(theirs, folder)
    process.save_pretrained(folder)
    return theirs, process, load_system(folder)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, hf.PreTrainedModel, hf.ProcessorMixin, Loaded]:
    family, kind = request.param
    return family, kind, *both(family, kind, tmp_path_factory.mktemp(f"{family}-{kind}"))


def laid(loaded: Loaded, image: Image.Image, question: str, answer: str = "") -> tuple[Plan, Batch]:
    system, tokenizer = loaded.system, loaded.tokenizer
    assert isinstance(system, System) and tokenizer is not None
    said = [Message("assistant", (answer,))] if answer else []
    asked = [Message("user", (Picture(""), question)), *said]
    planned = plan(system, tokenizer, asked, sizes=[image.size], reply=not answer)
    return planned, collate(system, [planned], [system.streams["image"].policy.arrays(image)], labels=bool(answer))


def test_the_small_system_is_the_registered_one(pair: tuple[str, str, hf.PreTrainedModel, hf.ProcessorMixin, Loaded]) -> None:
    """What a directory says differs from the registry in sizes and places, and in what transformers does otherwise."""
    family, kind, _, _, loaded = pair
    found = loaded.system
    for name in entries(family, kind):
        full = registry.system(name)
        lm = {"vocab": 264, "width": 32, "depth": 2, "heads": 4, "ffn__hidden": 48, "context": found.lm.context}
        lm |= {"opt": {}, "vicuna": {"kv_heads": 4}, "t5": {"encoder_depth": 3, "head": 4}}[kind]
        words = {"words__vocab": 264, "words__context": 64} if family == "instructblip" else {}
        eye = full.streams["image"]
        stream = eye.but(
            policy__size=(42, 42),
            encoder=eye.encoder.but(width=24, depth=2, heads=4, size=42, ffn__hidden=40),
            connector=eye.connector.but(
                queries=4, inner=16, depth=4, layer__heads=2, layer__ffn__hidden=24, rows__eps=1e-6, **words
            ),
            reads=found.streams["image"].reads,
        )  # fmt: skip
        assert found.lm == full.lm.but(**lm)
        assert found.streams["image"] == stream
        assert (found.placeholder, found.attention) == (full.placeholder, full.attention)


@torch.no_grad()
def test_whole(pair: tuple[str, str, hf.PreTrainedModel, hf.ProcessorMixin, Loaded]) -> None:
    """Ids, the words the Q-Former reads, pixels, logits, 32 greedy tokens, and as many with a penalty for repetition."""
    family, kind, theirs, process, loaded = pair
    image = noise(60, 50, 3)
    inputs = process(images=image, text=QUESTION, return_tensors="pt")
    planned, batch = laid(loaded, image, QUESTION)
    assert list(planned.ids) == inputs["input_ids"][0].tolist()
    if family == "instructblip":
        assert list(planned.texts["image"]) == inputs["qformer_input_ids"][0].tolist()
    again = batch.media["image"].x_NC.view(3, 3, 3, 14, 14).permute(2, 0, 3, 1, 4).reshape(1, 3, 42, 42)
    assert torch.equal(again, inputs["pixel_values"])
    assert isinstance(loaded.module, VLM)
    begin = {"decoder_input_ids": torch.zeros(1, 1, dtype=torch.long)} if kind == "t5" else {}
    worst = gap(loaded.module(batch), theirs(**inputs, **begin).logits)
    engine = Engine(loaded.module)
    for penalty in (1.0, 1.3) if kind == "t5" else (1.0,):
        out = theirs.generate(
            **inputs, max_new_tokens=32, do_sample=False, repetition_penalty=penalty, return_dict_in_generate=True,
            output_logits=True,
        )  # fmt: skip
        ids = out.sequences[0, -32:].tolist()
        settings = Sampling(max_tokens=32, repetition_penalty=penalty)
        assert [delta.id for delta in engine.generate(batch, settings, decoders=[Silent()], ends=())] == ids
        logits, steps = engine._prefill(batch, None, 32)
        for id, want in zip(ids, out.logits, strict=True):
            worst = max(worst, gap(logits, want))
            logits = steps.next(torch.tensor([id]))
    assert worst <= 1e-5, worst
    for name in entries(family, kind):
        record("parity", name, worst)


@pytest.mark.parametrize(("name", "asked"), [
    ("blip2-opt-2.7b", f"Question: {QUESTION} Answer:"), ("blip2-opt-6.7b-coco", QUESTION),
    ("blip2-flan-t5-xl", f"Question: {QUESTION} Answer:"), ("blip2-flan-t5-xl-coco", QUESTION),
])  # fmt: skip
def test_prompts_of_the_authors(name: str, asked: str) -> None:
    """What the zoo writes around a question, beside the same text given to transformers' processor; no picture is needed."""
    system = registry.system(name)
    process = processor("blip2", "t5" if system.lm.start is not None else "opt")
    tokenizer = Tokenizer(bytes_and("</s>", "<image>"))
    laid = plan(system, tokenizer, [Message("user", (Picture(""), QUESTION))], sizes=[(9, 9)])
    assert list(laid.ids) == [IMAGE] * 32 + process(text=asked)["input_ids"][0]
    alone = plan(system, tokenizer, [Message("user", (QUESTION,))])
    assert list(alone.ids) == process(text=asked)["input_ids"][0]


class Silent:
    def push(self, id: int) -> str:
        return ""

    def finish(self) -> str:
        return ""


@torch.no_grad()
def test_loss_of_an_answer(pair: tuple[str, str, hf.PreTrainedModel, hf.ProcessorMixin, Loaded]) -> None:
    """Teacher forcing: with T5 the answer alone is the decoder's."""
    _, kind, theirs, process, loaded = pair
    image = noise(42, 42, 4)
    planned, batch = laid(loaded, image, QUESTION, "a dog")
    inputs = process(images=image, text=QUESTION, return_tensors="pt")
    answer = torch.tensor([[id for id, learn in zip(planned.ids, planned.supervised, strict=True) if learn]])
    assert isinstance(loaded.module, VLM) and batch.labels_BT is not None
    lm = loaded.module.lm
    hidden = lm.hidden(lm.begin(loaded.module.assemble(batch)))
    ours = next_token(lm, hidden, batch.labels_BT)
    if kind == "t5":
        assert len(planned) - planned.prefix == answer.shape[1]
        expected = theirs(**inputs, labels=answer).loss
    else:
        whole = {"input_ids": torch.cat([inputs["input_ids"], answer], 1), "pixel_values": inputs["pixel_values"]}
        words = {key: value for key, value in inputs.items() if key.startswith("qformer")}
        logits = theirs(**whole, **words).logits[0, -answer.shape[1] - 1 : -1]
        expected = cross_entropy(logits, answer[0])
    assert gap(ours, expected) <= 1e-5


@torch.no_grad()
def test_two_instructions_give_two_pictures(tmp_path: Path) -> None:
    """InstructBLIP's queries read the words; without any they are those of BLIP-2."""
    _, _, loaded = both("instructblip", "vicuna", tmp_path)
    image, vlm = noise(42, 42, 5), loaded.module
    media = [laid(loaded, image, question)[1].media for question in (QUESTION, "How many?", "How many?")]
    rows = [vlm.features(m)["image"].x_ND for m in media]
    assert not torch.allclose(rows[0], rows[1], atol=1e-3) and torch.equal(rows[1], rows[2])
    plain = registry.system("blip2-opt-2.7b").streams["image"].connector
    connector = loaded.system.streams["image"].connector
    fields = {field: getattr(connector, field) for field in ("queries", "inner", "depth", "layer", "rows")}
    silent = plain.but(**fields).build(24, 32).eval()
    state = {name.replace("words.norm.", "norm."): value for name, value in vlm.connectors["image"].state_dict().items()}
    silent.load_state_dict({name: state[name] for name in silent.state_dict()})
    seen = vlm.encoders["image"](media[0]["image"].x_NC, media[0]["image"].grids)
    assert gap(silent(seen).x_ND, vlm.connectors["image"](replace(seen, texts=((),))).x_ND) <= 1e-6


@torch.no_grad()
def test_one_picture_is_remembered_for_every_instruction(tmp_path: Path) -> None:
    _, _, loaded = both("instructblip", "t5", tmp_path)
    image, vlm = noise(42, 42, 5), loaded.module
    one, other = (laid(loaded, image, question)[1] for question in (QUESTION, "How many are there?"))
    memory = FeatureMemory(vlm)
    rows = [memory(batch.media)["image"].x_ND for batch in (one, other, one)]
    assert memory.encoded == 2 and torch.equal(rows[0], rows[2])
    assert gap(rows[1], vlm.features(other.media)["image"].x_ND) <= 1e-6
    together = replace(
        one.media["image"],
        x_NC=torch.cat([batch.media["image"].x_NC for batch in (one, other)]),
        grids=one.media["image"].grids * 2,
        texts=one.media["image"].texts + other.media["image"].texts,
    )
    assert gap(FeatureMemory(vlm)({"image": together})["image"].x_ND, torch.cat(rows[:2])) <= 1e-6


def test_prompt_and_answer_of_an_encoder_decoder_have_a_context_each() -> None:
    system, tokenizer = registry.system("flan-t5-xl"), Tokenizer(bytes_and("</s>"))
    message, long = Message("user", ("a" * 511,)), Message("user", ("a" * 512,))
    assert len(plan(system, tokenizer, [message], max_tokens=512)) == 512
    with pytest.raises(InputError, match="has 513 tokens, but 'flan-t5-xl' holds 512; shorten the text"):
        plan(system, tokenizer, [long])
    with pytest.raises(InputError, match="asks for 513 more, but 'flan-t5-xl' holds 512; set max_tokens to 512 or less"):
        plan(system, tokenizer, [message], max_tokens=513)


def test_earlier_answers_are_read_and_not_learned() -> None:
    """With an encoder, and in a prefix-LM, the last answer alone is predicted; all before it is the prompt."""
    talk = [Message("user", ("Is it?",)), Message("assistant", ("It is.",)), Message("user", ("Sure?",))]
    done = [*talk, Message("assistant", ("Yes.",))]
    for name in ("flan-t5-xl", "paligemma-3b-mix-224"):
        system = registry.system(name)
        tokenizer = Tokenizer(bytes_and(*system.template.specials, "<image>"))
        asked, learned = (plan(system, tokenizer, messages, reply=messages is talk) for messages in (talk, done))
        assert asked.prefix == len(asked) == learned.prefix and learned.ids[: len(asked)] == asked.ids
        assert learned.supervised == (False,) * len(asked) + (True,) * (len(learned) - len(asked))


def test_long_instructions_lose_their_beginning() -> None:
    """The last 128 words reach the Q-Former, between its marks (LAVIS truncates on the left)."""
    system = registry.system("instructblip-vicuna-7b")
    tokenizer = Tokenizer(bytes_and("</s>", "<image>"))
    tokenizer.readers["image"] = reader = Tokenizer(bytes_and("[CLS]", "[SEP]"))
    text = "[SEP] " + "abcdefghi " * 30
    laid = plan(system, tokenizer, [Message("user", (Picture(""), text))], sizes=[(9, 9)])
    ids = laid.texts["image"]
    assert len(ids) == 128 and (ids[0], ids[-1]) == (reader.id("[CLS]"), reader.id("[SEP]"))
    assert reader.decode(ids[1:-1]) == text[-126:]


# Language models alone ------------------------------------------------------------------------------------------------


def opt_config(width: int, hidden: int, vocab: int = 50272) -> dict[str, object]:
    sizes = {"hidden_size": width, "ffn_dim": hidden, "num_hidden_layers": 32, "num_attention_heads": 32}
    return {"model_type": "opt", "vocab_size": vocab, "word_embed_proj_dim": width, "activation_dropout": 0.0, **sizes}


def t5_config(width: int, hidden: int, depth: int, heads: int, act: str = "gelu_new") -> dict[str, object]:
    return {
        "model_type": "t5", "vocab_size": 32128, "d_model": width, "d_kv": 64, "d_ff": hidden, "num_layers": depth,
        "num_decoder_layers": depth, "num_heads": heads, "feed_forward_proj": "gated-gelu", "is_gated_act": True,
        "n_positions": 512, "dense_act_fn": act, "tie_word_embeddings": False, "decoder_start_token_id": 0, "output_past": True,
    }  # fmt: skip


LLAMA = {"model_type": "llama", "vocab_size": 32064, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048}
LLAMA_13B = LLAMA | {
    "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40,
    "num_key_value_heads": 40,
}  # fmt: skip
ALONE = {
    "opt-2.7b": opt_config(2560, 10240),
    "opt-6.7b": opt_config(4096, 16384),
    "flan-t5-small": t5_config(512, 1024, 8, 6),
    "flan-t5-base": t5_config(768, 2048, 12, 12),
    "flan-t5-large": t5_config(1024, 2816, 24, 16),
    "flan-t5-xl": t5_config(2048, 5120, 24, 32),
    "flan-t5-xxl": t5_config(4096, 10240, 24, 64),
}
XL, XXL = t5_config(2048, 5120, 24, 32, "gelu"), t5_config(4096, 10240, 24, 64, "gelu")
INSIDE = {
    "blip2-opt-2.7b": opt_config(2560, 10240, 50304),
    "blip2-opt-2.7b-coco": opt_config(2560, 10240, 50304),
    "blip2-opt-6.7b": opt_config(4096, 16384, 50304),
    "blip2-opt-6.7b-coco": opt_config(4096, 16384, 50304),
    "blip2-flan-t5-xl": XL,
    "blip2-flan-t5-xl-coco": XL,
    "blip2-flan-t5-xxl": XXL,
    "instructblip-vicuna-7b": LLAMA,
    "instructblip-vicuna-13b": LLAMA_13B,
    "instructblip-flan-t5-xl": XL,
    "instructblip-flan-t5-xxl": XXL,
}
"""The text_config of the files published for each."""


def language_model(data: dict[str, object]) -> hf.PreTrainedModel:
    kind = hf.AutoModelForSeq2SeqLM if data["model_type"] == "t5" else hf.AutoModelForCausalLM
    return kind.from_config(hf.AutoConfig.for_model(**data))


def headed(shapes: dict[str, tuple[int, ...]], prefix: str = "") -> dict[str, tuple[int, ...]]:
    """With the head that files of T5 1.1 have; a class made from a config ties it to the embedding."""
    shared = shapes.get(f"{prefix}shared.weight")
    return shapes if shared is None else {**shapes, f"{prefix}lm_head.weight": shared}


@pytest.mark.parametrize("name", ALONE)
def test_full_size_names_of_language_models(name: str) -> None:
    system = registry.system(name)
    assert read_language(ALONE[name]) == system.lm
    with torch.device("meta"):
        theirs = headed(names(language_model(ALONE[name])))
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


@pytest.mark.parametrize("name", INSIDE)
def test_full_size_names(name: str) -> None:
    family, system = name.split("-")[0], registry.system(name)
    assert read_language(INSIDE[name]) == system.lm
    config, model = BLIP[family]
    size = system.streams["image"].policy.size[0]
    vocab = {"vocab_size": 30523} if family == "instructblip" else {}
    with torch.device("meta"):
        theirs = model(config(vision_config={"image_size": size}, qformer_config=vocab, text_config=INSIDE[name]))
        shapes = headed(names(theirs), "language_model.")
    fits(system, shapes, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


PUBLISHED = {  # what the config.json of Salesforce/blip2-* says beside text_config
    "image_text_hidden_size": 256, "initializer_factor": 1.0, "initializer_range": 0.02, "model_type": "blip-2",
    "num_query_tokens": 32, "torch_dtype": "float32",
    "qformer_config": {"classifier_dropout": None, "model_type": "blip_2_qformer"},
    "vision_config": {
        "dropout": 0.0, "initializer_factor": 1.0, "model_type": "blip_2_vision_model", "num_channels": 3,
        "projection_dim": 512,
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "decoder", "id"), [("blip2-opt-2.7b", True, 50265), ("blip2-flan-t5-xl", False, 32100)])
def test_published_configs_are_read(name: str, decoder: bool, id: int, tmp_path: Path) -> None:
    own = {"text_config": INSIDE[name], "use_decoder_only_language_model": decoder, "image_token_index": id}
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED | own))
    size = {"height": 224, "width": 224}
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "BlipImageProcessor", "processor_class": "Blip2Processor", "size": size})
    )
    found, full = read_directory(tmp_path), registry.system(name)
    eye = full.streams["image"].but(connector__rows__eps=1e-6)
    assert isinstance(found, System) and found.lm == full.lm and found.streams == {"image": eye}
    assert found.checkpoints[0].layouts == full.checkpoints[0].layouts and found.attention == full.attention


OPTED = {"opt": TEXT["opt"], "opt-gelu": TEXT["opt"] | {"activation_function": "gelu"}}
T5ED = {
    "v1.1": TEXT["t5"] | {"dense_act_fn": "gelu_new"},
    "v1.1-exact": TEXT["t5"],
    "v1.0": TEXT["t5"] | {"feed_forward_proj": "relu", "dense_act_fn": "relu", "tie_word_embeddings": True},
}


@pytest.mark.parametrize("case", OPTED)
@torch.no_grad()
def test_opt_alone(case: str, tmp_path: Path) -> None:
    """Two rows of one batch, one of them shorter."""
    theirs = stirred(language_model(OPTED[case]))
    ours = load_system(saved(theirs, tmp_path)).module
    ids, real = torch.randint(0, 264, (2, 40)), torch.ones(2, 40, dtype=torch.long)
    real[1, 30:] = 0
    logits = ours.lm.logits(ours.lm.hidden(causal(ours.lm.embed(ids), real - 1)))
    expected = theirs(input_ids=ids, attention_mask=real).logits
    worst = gap(logits[real > 0], expected[real > 0])
    assert worst <= 1e-5, worst
    for name in ("opt-2.7b", "opt-6.7b"):
        record("parity", name, worst)


@pytest.mark.parametrize("case", T5ED)
@torch.no_grad()
def test_t5_alone(case: str, tmp_path: Path) -> None:
    """Long enough that distances fall into wide buckets, and beyond the last."""
    theirs = language_model(T5ED[case])
    if case != "v1.0":
        theirs.lm_head.weight = torch.nn.Parameter(torch.empty(264, 32))
    theirs = calmed(stirred(theirs))
    ours = load_system(saved(theirs, tmp_path))
    lm: LanguageModel = ours.system.lm
    assert ours.system.attention == "prefix" and lm.tied == (case == "v1.0")
    prompt, answer = torch.randint(0, 264, (2, 150)), torch.randint(0, 264, (2, 140))
    start = causal(ours.module.lm.embed(torch.cat([prompt, answer], 1)))
    seq = replace(start, block_BT=(start.block_BT - 149).clamp_min(0))
    logits = ours.module.lm.logits(ours.module.lm.hidden(ours.module.lm.begin(seq)))
    decoder = torch.cat([torch.zeros(2, 1, dtype=torch.long), answer], 1)
    worst = gap(logits, theirs(input_ids=prompt, decoder_input_ids=decoder).logits)
    assert worst <= 1e-5, worst
    if case == "v1.1":
        for name in (name for name in ALONE if name.startswith("flan")):
            record("parity", name, worst)


def test_repeats_in_old_files_are_left_out() -> None:
    system = registry.system("flan-t5-small")
    with torch.device("meta"):
        theirs = headed(names(language_model(ALONE["flan-t5-small"])))
    repeats = {f"{stack}.embed_tokens.weight": theirs["shared.weight"] for stack in ("encoder", "decoder")}
    fits(system, theirs | repeats, (lm_hf(T5_HF),), "hf")
