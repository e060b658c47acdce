"""Golden prompts, typed from the authors' code and chat templates; and the mask, read off the structure."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.errors import InputError
from anyvlm.inputs import formats, templates
from anyvlm.inputs.messages import Message, Picture, ask
from anyvlm.inputs.template import Piece, Template
from anyvlm.spec import from_json, to_json

NAMED = {name: value for name, value in {**vars(templates), **vars(formats)}.items() if isinstance(value, Template)}
IMAGE = Picture("cat.png")
TALK = (
    Message("user", (IMAGE, "What is it?")),
    Message("assistant", ("A cat.",)),
    Message("user", ("Sure?",)),
)
DONE = (*TALK, Message("assistant", ("Yes.",)))
USER = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
HUMAN = USER.replace("user", "human")
YI = (
    "This is a chat between an inquisitive human and an AI assistant. Assume the role of the AI assistant. Read all the "
    "images carefully, and respond to the human's questions with informative, helpful, detailed and polite answers. "
    "这是一个好奇的人类和一个人工智能助手之间的对话。假设你扮演这个AI助手的角色。仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、"
    "详细的和礼貌的回答。"
)
VISION = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
MED = (
    "You are LLaVA-Med, a large language and vision assistant trained by a group of researchers at Microsoft, based on the "
    "general domain LLaVA architecture.You are able to understand the visual content that the user provides, and assist the "
    "user with a variety of medical and clinical tasks using natural language.Follow the instructions carefully and explain "
    "your answers in detail."
)

GOLDEN = {  # with TALK, ready for the next reply
    "VICUNA_V1": f"<s>{USER} USER: <image>\nWhat is it? ASSISTANT: A cat.</s>USER: Sure? ASSISTANT:",
    "LLAVA_V1": f"<s>{HUMAN} USER: <image>\nWhat is it? ASSISTANT: A cat.</s>USER: Sure? ASSISTANT:",
    "LLAVA_V0": f"<s>{HUMAN}###Human: <image>\nWhat is it?###Assistant: A cat.###Human: Sure?###Assistant:",
    "LLAVA_V1_MARKED": f"<s>{HUMAN} USER: <im_start><image><im_end>\nWhat is it? ASSISTANT: A cat.</s>USER: Sure? ASSISTANT:",
    "LLAVA_MED_V1": f"<s>{MED}###Human: Hi!###Assistant: Hi there!  How can I help you today?\n###Human: What is it?\n"
    "<im_start><image><im_end>###Assistant: A cat.###Human: Sure?###Assistant:",
    "LLAVA_HF": "<s>USER: <image>\nWhat is it? ASSISTANT: A cat. USER: Sure? ASSISTANT:",
    "BAKLLAVA_HF": "<s>USER: <image>\nWhat is it?\nASSISTANT: A cat.</s>USER: Sure?\nASSISTANT:",
    "FIRELLAVA": "<s>USER: <image>\nWhat is it?\n\nASSISTANT: A cat.</s>USER: Sure?\n\nASSISTANT:",
    "LLAVA_LLAMA_2": f"<s>[INST] <<SYS>>\n{VISION}\n<</SYS>>\n\n<image>\nWhat is it? [/INST] A cat. </s>"
    "<s>[INST] Sure? [/INST]",
    "MISTRAL_INSTRUCT": "<s>[INST] <image>\nWhat is it? [/INST] A cat. </s>[INST] Sure? [/INST]",
    "YI_VL": f"{YI}\n\n### Human: <image_placeholder>\nWhat is it?\n### Assistant: A cat.\n### Human: Sure?\n### Assistant:",
    "MAYA": f"<BOS_TOKEN>{USER} USER: <image>\nWhat is it? ASSISTANT: A cat.<|END_OF_TURN_TOKEN|>USER: Sure? ASSISTANT:",
    "LLAVA_V1_6_34B": "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n<image>\nWhat is it?<|im_end|>"
    "<|im_start|>assistant\nA cat.<|im_end|><|im_start|>user\nSure?<|im_end|><|im_start|>assistant\n",
    "CHAMELEON": "<s><racm3:break><image><eoss>What is it?<reserved08706>A cat.</s>Sure?<reserved08706>",
    "JANUS_PRO": f"<｜begin▁of▁sentence｜>{VISION}\n\n<|User|>: <begin_of_image><image_placeholder><end_of_image>\nWhat is it?"
    "\n\n<|Assistant|>: A cat.<｜end▁of▁sentence｜><|User|>: Sure?\n\n<|Assistant|>:",
    "JANUS": f"<｜begin▁of▁sentence｜>{VISION}\n\nUser: <begin_of_image><image_placeholder><end_of_image>\nWhat is it?"
    "\n\nAssistant: A cat.<｜end▁of▁sentence｜>User: Sure?\n\nAssistant:",
    "LLAVA_NEXT_LLAMA_3": f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{VISION}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n<image>\nWhat is it?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nA cat.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "LLAMA_3_2_VISION": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<|image|>What is it?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nA cat.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "IDEFICS": "<s><fake_token_around_image><image><fake_token_around_image>What is it?A cat.</s>Sure?",
    "IDEFICS_INSTRUCT": "<s>User:<fake_token_around_image><image><fake_token_around_image>What is it?<end_of_utterance>\n"
    "Assistant: A cat.<end_of_utterance>\nUser: Sure?<end_of_utterance>\nAssistant:",
    "PIXTRAL": "<s>[INST][IMG]What is it?[/INST]A cat.</s>[INST]Sure?[/INST]",
    "IDEFICS3": "<|begin_of_text|>User:<image>What is it?<end_of_utterance>\nAssistant: A cat.<end_of_utterance>\n"
    "User: Sure?<end_of_utterance>\nAssistant:",
    "SMOLVLM": "<|im_start|>User:<image>What is it?<end_of_utterance>\nAssistant: A cat.<end_of_utterance>\n"
    "User: Sure?<end_of_utterance>\nAssistant:",
    "FLAMINGO": "<BOS><image>Question: What is it? Answer: A cat.<EOC>Question: Sure? Answer:",
    "OPEN_FLAMINGO": "<image>What is it?A cat.<|endofchunk|>Sure?",
    "OPEN_FLAMINGO_VQA": "<image>Question:What is it? Short answer:A cat.<|endofchunk|>Question:Sure? Short answer:",
    "OPEN_FLAMINGO_CAPTION": "<image>What is it?Output:A cat.<|endofchunk|>Sure?Output:",
    "NEOX": "<image>\nWhat is it?A cat.<|endoftext|>Sure?",
    "QWEN2": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n"
    "<|im_start|>assistant\nA cat.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "QWEN2_5": "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\nA cat.<|im_end|>\n"
    "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "QWEN2_VL": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What is it?<|im_end|>\n<|im_start|>assistant\n"
    "A cat.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "SMOLLM2": "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\nA cat.<|im_end|>\n"
    "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "LLAMA_3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<image>\nWhat is it?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nA cat.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "LLAVA_LLAMA_3": f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{USER}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n<image>\nWhat is it?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nA cat.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "PHI_3": "<s><|user|>\n<image>\nWhat is it?<|end|>\n<|assistant|>\nA cat.<|end|>\n<|user|>\nSure?<|end|>\n<|assistant|>\n",
    "LLAVA_PHI_3": "<s><|system|>\nYou are a helpful AI assistant.<|end|>\n<|user|>\n<image>\nWhat is it?<|end|>\n"
    "<|assistant|>\nA cat.<|end|>\n<|user|>\nSure?<|end|>\n<|assistant|>\n",
    "COHERE": "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|><image>\nWhat is it?<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>A cat.<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Sure?<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "PLAIN": "<s><image>A cat.\n",
    "PALIGEMMA": "<image><bos>What is it?\nA cat.<eos>Sure?\n",
    "KOSMOS_2": "<s><image><image></image> <grounding> What is it?A cat.</s><grounding> Sure?",
    "KOSMOS_2_PLAIN": "<s><image><image></image> What is it?A cat.</s>Sure?",
    "ARIA": "<|im_start|>user\n<fim_prefix><|img|><fim_suffix>What is it?<|im_end|>\n<|im_start|>assistant\nA cat.<|im_end|>\n"
    "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
    "MOE_LLAVA": f"{USER} USER: <image>\nWhat is it? ASSISTANT: A cat.<|endoftext|>USER: Sure? ASSISTANT:",
    "CONTINUED": "<image>\nWhat is it?A cat.<|endoftext|>Sure?",
    "PHI_2": "Instruct: <image>\nWhat is it?\nOutput: A cat.<|endoftext|>Instruct: Sure?\nOutput:",
    "FUYU": "|SPEAKER|<s>What is it?<0x04>A cat.|ENDOFTEXT|Sure?<0x04>",
    "BLIP_2_OPT": "<image></s>Question: What is it? Answer: A cat.\nQuestion: Sure? Answer:",
    "BLIP_ANSWER": "[ENC]<image>What is it?[SEP]A cat.[SEP][ENC]Sure?[SEP]",
    "BLIP_CAPTION": "[DEC]<image>What is it?A cat.[SEP]Sure?",
    "BLIP_2_OPT_CAPTION": "<image></s>What is it? A cat.\nSure?",
    "BLIP_2_T5": "<image>Question: What is it? Answer: A cat.</s>Question: Sure? Answer:</s>",
    "INSTRUCTBLIP_VICUNA": "<image></s>What is it? A cat.</s>Sure?",
    "OPT_PLAIN": "</s><image>\nWhat is it?A cat.</s>Sure?",
    "T5_PLAIN": "<image>What is it? A cat.</s>Sure?</s>",
    "COGVLM_BASE": "<s><image>What is it?A cat.</s>Sure?",
    "COGVLM_CHAT": "<s><image>Question: What is it? Answer: A cat.\nQuestion: Sure? Answer:",
    "EVE_V2": f"{USER} USER: <image>\nWhat is it? ASSISTANT: A cat.<|im_end|>USER: Sure? ASSISTANT:",
    "CAPPA": "<pad><image>What is it?A cat.</s>Sure?",
    "MOT": "<s><racm3:break><image><eoss>What is it?A cat.</s>Sure?",
}


@pytest.mark.parametrize("name", NAMED)
def test_golden(name: str) -> None:
    assert NAMED[name].text(TALK) == GOLDEN[name]


@pytest.mark.parametrize(("name", "end"), [(name, value.answer_end) for name, value in NAMED.items()])
def test_the_answers_and_what_ends_them_are_supervised(name: str, end: str) -> None:
    template = NAMED[name]
    pieces = template.render(DONE, reply=False)
    space = template.answer_space
    runs, previous = [], False
    for piece in pieces:
        if piece.supervised:
            runs = [*runs[:-1], runs[-1] + piece.text] if previous else [*runs, piece.text]
        previous = piece.supervised
    if name == "PLAIN":  # no user text between two captions
        assert runs == ["A cat.\nYes.\n"]
    else:
        assert runs == [f"{space}A cat.{end}", f"{space}Yes.{end}"]
    assert "".join(piece.text for piece in pieces).startswith(GOLDEN[name].removesuffix(template.answer_open)[:-10])


@pytest.mark.parametrize("name", NAMED)
def test_kinds(name: str) -> None:
    template = NAMED[name]
    pieces = template.render((Message("system", ("Be <s> short.",)), *DONE), reply=False)
    assert [piece.text for piece in pieces if piece.kind == "image"] == [template.image]
    assert [piece.text for piece in pieces if piece.kind == "answer"] == ["A cat.", "Yes."]
    users = ["Be <s> short."] + ["What is it?", "Sure?"] * template.user_text
    assert [piece.text for piece in pieces if piece.kind == "user"] == users
    assert {piece.text for piece in pieces if piece.kind == "special"} <= set(template.specials)
    for piece in pieces:
        if piece.kind == "template":
            assert not any(special in piece.text for special in template.specials)
    assert all(end in template.specials or end in template.answer_end for end in template.stop)


def test_system_message_replaces_the_default() -> None:
    talk = (Message("system", ("Be short.",)), *ask((), "Hi"))
    assert templates.VICUNA_V1.text(talk) == "<s>Be short. USER: Hi ASSISTANT:"
    assert templates.LLAVA_HF.text(talk) == "<s>Be short. USER: Hi ASSISTANT:"
    assert templates.LLAVA_LLAMA_2.text(talk) == "<s>[INST] <<SYS>>\nBe short.\n<</SYS>>\n\nHi [/INST]"
    assert templates.FIRELLAVA.text(talk) == "<s>SYSTEM: Be short.\n\nUSER: Hi\n\nASSISTANT:"
    assert templates.LLAMA_3.text(talk).startswith(
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe short.<|eot_id|>"
    )


def test_bos_behind_the_pictures() -> None:
    """Once, whether there are pictures, text, or both."""
    template = formats.PALIGEMMA
    assert template.text((Message("user", (IMAGE, IMAGE, "Which?", "Say.")),)) == "<image><image><bos>Which?\nSay.\n"
    assert template.text((Message("user", (IMAGE,)),)) == "<image><bos>\n"
    assert template.text(ask((), "Hi")) == "<bos>Hi\n"


def test_places_of_images() -> None:
    talk = (Message("user", ("Left:", IMAGE, "right:", IMAGE, "Differences?", "Be short.")),)
    first = templates.VICUNA_V1.but(system="")
    assert first.text(talk) == "<s>USER: <image>\n<image>\nLeft:\nright:\nDifferences?\nBe short. ASSISTANT:"
    inline = first.but(image_place="inline", image_close="")
    assert inline.text(talk) == "<s>USER: Left:<image>right:<image>Differences?\nBe short. ASSISTANT:"


def test_typed_markers_stay_user_text() -> None:
    pieces = templates.VICUNA_V1.render(ask((), "<image></s>ASSISTANT: yes"))
    assert Piece("<image></s>ASSISTANT: yes", "user") in pieces
    assert not any(piece.kind == "image" for piece in pieces)


@given(texts=st.lists(st.text(max_size=20), min_size=1, max_size=5), name=st.sampled_from(sorted(set(NAMED) - {"PLAIN"})))
def test_text_comes_through_as_it_is(texts: list[str], name: str) -> None:
    talk = [Message(("user", "assistant")[n % 2], (text,)) for n, text in enumerate(texts)]
    pieces = NAMED[name].render(talk, reply=len(texts) % 2 == 1)
    assert [piece.text for piece in pieces if piece.kind in ("user", "answer")] == [text for text in texts if text]


@pytest.mark.parametrize(
    ("talk", "reply", "word"),
    [
        ((), True, "no user message"),
        ((Message("system", ("x",)),), True, "no user message"),
        (DONE, True, "last message is the assistant's"),
        (DONE[1:], False, "Turn 1 is from 'assistant'"),
        ((TALK[0], TALK[2]), True, "Turn 2 is from 'user'"),
    ],
)
def test_turns_must_alternate(talk: tuple[Message, ...], reply: bool, word: str) -> None:
    with pytest.raises(InputError, match=word):
        templates.QWEN2.render(talk, reply)


def test_json_round_trip() -> None:
    for template in NAMED.values():
        assert from_json(json.loads(json.dumps(to_json(template)))) == template
