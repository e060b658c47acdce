"""The chat formats of the zoo: facts read in the authors' code, named after it.

Sources: haotian-liu/LLaVA c121f04 llava/conversation.py and llava/train/train.py; 01-ai/Yi f73194c
VL/llava/conversation.py; mbzuai-oryx/LLaVA-pp edb5d21 {Phi-3-V,LLaMA-3-V}/conversation.py; microsoft/LLaVA-Med 821e1c7
llava/conversation.py; nahidalam/maya llava/conversation.py; the chat templates published with the language models.
`bos` is written out because here the tokenizer adds nothing by itself.
"""

from __future__ import annotations

from anyvlm.inputs.template import Template

_HELPFUL = "The assistant gives helpful, detailed, and polite answers to the {}'s questions."

_USER = "A chat between a curious user and an artificial intelligence assistant. " + _HELPFUL.format("user")

_HUMAN = "A chat between a curious human and an artificial intelligence assistant. " + _HELPFUL.format("human")

# LLaVA and what is built on it ----------------------------------------------------------------------------------------

VICUNA_V1 = Template(
    bos="<s>",
    system=_USER,
    system_close=" ",
    user_open="USER: ",
    user_close=" ",
    answer_open="ASSISTANT:",
    answer_space=" ",
    answer_end="</s>",
    specials=("<s>", "</s>"),
    stop=("</s>",),
)
"""LLaVA-1.5, ShareGPT4V, PALO, SoM-LLaVA, BakLLaVA (``vicuna_v1``)."""

LLAVA_V1 = VICUNA_V1.but(system=_HUMAN)
"""``llava_v1``: "human" instead of "user" in the system text."""


def marked(template: Template) -> Template:
    """The same with marker tokens around every picture (``mm_use_im_start_end``)."""
    markers = "<im_start>", "<im_end>"
    return template.but(
        image_open=markers[0], image_close=markers[1] + template.image_close, specials=(*template.specials, *markers)
    )


LLAVA_V1_MARKED = marked(LLAVA_V1)
"""LLaVA on Vicuna 1.1, published as differences."""

LLAVA_V0 = Template(
    bos="<s>",
    system=_HUMAN,
    system_close="###",
    user_open="Human: ",
    user_close="###",
    answer_open="Assistant:",
    answer_space=" ",
    answer_end="###",
    specials=("<s>",),
    stop=("###",),
)
"""The first LLaVA (``llava_v0``), as its inference code writes it; its training code wrote "### Human: ...\\n"."""

LLAVA_MED_V1 = LLAVA_V0.but(
    system="You are LLaVA-Med, a large language and vision assistant trained by a group of researchers at Microsoft, based on "
    "the general domain LLaVA architecture.You are able to understand the visual content that the user provides, and assist "
    "the user with a variety of medical and clinical tasks using natural language.Follow the instructions carefully and "
    "explain your answers in detail.",
    system_close="###Human: Hi!###Assistant: Hi there!  How can I help you today?\n###",
    image_open="\n<im_start>",
    image_close="<im_end>",
    image_place="last",
    specials=("<s>", "<im_start>", "<im_end>"),
)
"""LLaVA-Med v1 (``multimodal`` in microsoft/LLaVA-Med b9a98a7, as its demo writes it): pictures behind the text."""

PLAIN = Template(
    bos="<s>",
    user_open="",
    user_close="",
    user_text=False,
    image_close="",
    answer_open="",
    answer_end="\n",
    specials=("<s>",),
    stop=("\n",),
)
"""Stage 1 of LLaVA (``plain``): picture, caption, line break; the user's words are left out."""

LLAVA_HF = VICUNA_V1.but(system="", answer_end=" ", stop=("</s>",))
"""llava-hf/llava-1.5-*-hf: no system text; earlier answers end with a space only, so train with VICUNA_V1 instead."""

BAKLLAVA_HF = VICUNA_V1.but(system="", user_close="\n")
"""llava-hf/bakLlava-v1-hf."""

FIRELLAVA = VICUNA_V1.but(system="", system_open="SYSTEM: ", system_close="\n\n", user_close="\n\n")
"""FireLLaVA-13B, from its model card; what ends an answer is not published there, taken as "</s>"."""

LLAVA_LLAMA_2 = Template(
    bos="<s>",
    system="You are a helpful language and vision assistant. You are able to understand the visual content that the "
    "user provides, and assist the user with a variety of tasks using natural language.",
    system_open="<<SYS>>\n",
    system_close="\n<</SYS>>\n\n",
    system_inside=True,
    user_open="[INST] ",
    user_close=" ",
    user_again="<s>",
    answer_open="[/INST]",
    answer_space=" ",
    answer_end=" </s>",
    specials=("<s>", "</s>"),
    stop=("</s>",),
)
"""LLaVA on Llama-2-chat (``llava_llama_2``)."""

MISTRAL_INSTRUCT = LLAVA_LLAMA_2.but(system="", user_again="")
"""LLaVA-Med v1.5 (``mistral_instruct``: the Llama-2 form without system text and without "<s>" between rounds)."""

LLAVA_V1_6_34B = Template(
    system="Answer the questions.",
    system_open="<|im_start|>system\n",
    system_close="<|im_end|>",
    user_open="<|im_start|>user\n",
    user_close="<|im_end|>",
    answer_open="<|im_start|>assistant\n",
    answer_end="<|im_end|>",
    specials=("<|im_start|>", "<|im_end|>"),
    stop=("<|im_end|>",),
)
"""LLaVA-1.6-34B (``chatml_direct``): ChatML without line breaks between turns."""

YI_VL = Template(
    bos="",
    system="This is a chat between an inquisitive human and an AI assistant. Assume the role of the AI assistant. "
    "Read all the images carefully, and respond to the human's questions with informative, helpful, detailed and "
    "polite answers. "
    "这是一个好奇的人类和一个人工智能助手之间的对话。假设你扮演这个AI助手的角色。"
    "仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、详细的和礼貌的回答。",
    system_close="\n\n### ",
    user_open="Human: ",
    user_close="\n### ",
    answer_open="Assistant:",
    answer_space=" ",
    answer_end="\n###",
    answer_close=" ",
    image="<image_placeholder>",
    stop=("###",),
)
"""Yi-VL (``mm_default``); Yi's tokenizer has no bos in front."""

MAYA = VICUNA_V1.but(
    bos="<BOS_TOKEN>",
    answer_end="<|END_OF_TURN_TOKEN|>",
    specials=("<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"),
    stop=("<|END_OF_TURN_TOKEN|>",),
)
"""Maya (``aya`` in its repository, see scripts/maya/finetune_aya_siglip.sh): vicuna_v1 with Cohere's end of turn."""

PIXTRAL = Template(
    bos="<s>",
    system_close="\n\n",
    system_inside=True,
    user_open="[INST]",
    user_close="[/INST]",
    answer_open="",
    answer_end="</s>",
    image="[IMG]",
    image_close="",
    image_place="inline",
    specials=("<s>", "</s>", "[INST]", "[/INST]"),
    stop=("</s>",),
)
"""Pixtral-12B-2409 (mistral-common, v3 tekken): no spaces around tags. Mistral writes a system text into the last user
turn; here it stands in the first."""

IDEFICS3 = Template(
    bos="<|begin_of_text|>",
    system_open="System: ",
    system_close="<end_of_utterance>\n",
    user_open="User:",
    user_close="<end_of_utterance>\n",
    text_open=" ",
    answer_open="Assistant:",
    answer_space=" ",
    answer_end="<end_of_utterance>",
    answer_close="\n",
    image_close="",
    image_place="inline",
    specials=("<|begin_of_text|>", "<end_of_utterance>"),
    stop=("<end_of_utterance>",),
)
"""Idefics3-8B-Llama3, its published chat template; Llama's tokenizer may add a second bos, which is not written here."""

SMOLVLM = IDEFICS3.but(bos="<|im_start|>", specials=("<|im_start|>", "<end_of_utterance>"))
"""SmolVLM (``DEFAULT_CHAT_TEMPLATE`` in transformers' processing_smolvlm.py); "<|im_start|>" stands once, in front."""

ARIA = Template(
    system_open="<|im_start|>system\n",
    system_close="<|im_end|>\n",
    user_open="<|im_start|>user\n",
    user_close="<|im_end|>\n",
    answer_open="<|im_start|>assistant\n",
    answer_end="<|im_end|>",
    answer_close="\n",
    image="<|img|>",
    image_open="<fim_prefix>",
    image_close="<fim_suffix>",
    image_place="inline",
    specials=("<|im_start|>", "<|im_end|>", "<fim_prefix>", "<fim_suffix>"),
    stop=("<|im_end|>",),
)
"""Aria (rhymes-ai/Aria 9b25fec tests/test_apply_chat_template.py; the chat template of its tokenizer)."""

MOE_LLAVA = VICUNA_V1.but(bos="", answer_end="<|endoftext|>", specials=("<|endoftext|>",), stop=("<|endoftext|>",))
"""MoE-LLaVA with any language model (``phi``, ``stablelm``; ``qwen`` is ``phi``): vicuna_v1 with another end, no beginning."""

JANUS_PRO = Template(
    bos="<｜begin▁of▁sentence｜>",
    system="You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language.",
    system_close="\n\n",
    user_open="<|User|>: ",
    user_close="\n\n",
    answer_open="<|Assistant|>:",
    answer_space=" ",
    answer_end="<｜end▁of▁sentence｜>",
    image="<image_placeholder>",
    image_open="<begin_of_image>",
    image_close="<end_of_image>\n",
    specials=(
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<|User|>",
        "<|Assistant|>",
        "<begin_of_image>",
        "<end_of_image>",
    ),
    stop=("<｜end▁of▁sentence｜>",),
)
"""Janus-Pro (``deepseek`` in janus/utils/conversation.py; processing_vlm.py puts pictures between their two tokens)."""

JANUS = JANUS_PRO.but(
    user_open="User: ",
    answer_open="Assistant:",
    specials=tuple(token for token in JANUS_PRO.specials if token not in ("<|User|>", "<|Assistant|>")),
)
"""Janus-1.3B (``deepseek_old``; the roles in inference.py)."""

EVE_V2 = VICUNA_V1.but(bos="", answer_end="<|im_end|>", specials=("<|im_end|>",), stop=("<|im_end|>",))
"""EVEv2 (``qwen2`` in baaivision/EVE cc63ec7 EVEv2/eve/conversation.py): Vicuna's words, Qwen's end of turn."""

QWEN2 = Template(
    system="You are a helpful assistant.",
    system_open="<|im_start|>system\n",
    system_close="<|im_end|>\n",
    user_open="<|im_start|>user\n",
    user_close="<|im_end|>\n",
    answer_open="<|im_start|>assistant\n",
    answer_end="<|im_end|>",
    answer_close="\n",
    specials=("<|im_start|>", "<|im_end|>"),
    stop=("<|im_end|>",),
)
"""ChatML as Qwen2 writes it."""

QWEN2_5 = QWEN2.but(system="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")

QWEN2_VL = QWEN2.but(
    image="<|image_pad|>",
    image_open="<|vision_start|>",
    image_close="<|vision_end|>",
    image_place="inline",
    specials=("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
)
"""Qwen2-VL and Qwen2.5-VL (the chat template of their tokenizer_config.json; the same for all sizes)."""

SMOLLM2 = QWEN2.but(system="You are a helpful AI assistant named SmolLM, trained by Hugging Face")

LLAMA_3 = Template(
    bos="<|begin_of_text|>",
    system_open="<|start_header_id|>system<|end_header_id|>\n\n",
    system_close="<|eot_id|>",
    user_open="<|start_header_id|>user<|end_header_id|>\n\n",
    user_close="<|eot_id|>",
    answer_open="<|start_header_id|>assistant<|end_header_id|>\n\n",
    answer_end="<|eot_id|>",
    specials=("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    stop=("<|eot_id|>",),
)

LLAMA_3_2_VISION = LLAMA_3.but(image="<|image|>", image_close="")
"""Llama-3.2-Vision-Instruct with pictures, which its template allows no system turn beside."""

LLAVA_NEXT_LLAMA_3 = LLAMA_3.but(
    system="You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
"""LLaVA-NeXT on Llama-3-Instruct (``llava_llama_3``)."""

LLAVA_LLAMA_3 = LLAMA_3.but(system=_USER)
"""LLaVA-pp on Llama-3-Instruct (``llama3``). Its text begins with <|begin_of_text|>; the second one that newer Llama-3
tokenizers add in front is not written here."""

PHI_3 = Template(
    bos="<s>",
    system_open="<|system|>\n",
    system_close="<|end|>\n",
    user_open="<|user|>\n",
    user_close="<|end|>\n",
    answer_open="<|assistant|>\n",
    answer_end="<|end|>",
    answer_close="\n",
    specials=("<s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    stop=("<|end|>",),
)

LLAVA_PHI_3 = PHI_3.but(system="You are a helpful AI assistant.")
"""LLaVA-pp on Phi-3-mini (``phi3_instruct``)."""

COHERE = Template(
    bos="<BOS_TOKEN>",
    system_open="<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>",
    system_close="<|END_OF_TURN_TOKEN|>",
    user_open="<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
    user_close="<|END_OF_TURN_TOKEN|>",
    answer_open="<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    answer_end="<|END_OF_TURN_TOKEN|>",
    specials=(
        "<BOS_TOKEN>",
        "<|START_OF_TURN_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|SYSTEM_TOKEN|>",
        "<|USER_TOKEN|>",
        "<|CHATBOT_TOKEN|>",
    ),
    stop=("<|END_OF_TURN_TOKEN|>",),
)
"""Aya-23 and Command."""
