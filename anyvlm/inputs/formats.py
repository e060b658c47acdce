"""Prompt formats that are no chats between two named sides: pictures and text to go on with, or fields around them.

The chat formats are in `templates`.
"""

from __future__ import annotations

from anyvlm.inputs.template import Template

IDEFICS = Template(
    bos="<s>",
    user_open="",
    user_close="",
    image_open="<fake_token_around_image>",
    image_close="<fake_token_around_image>",
    image_shared=True,
    image_place="inline",
    answer_open="",
    answer_end="</s>",
    specials=("<s>", "</s>", "<fake_token_around_image>"),
    stop=("</s>",),
)
"""IDEFICS before instruction tuning: text and pictures as they come."""

IDEFICS_INSTRUCT = IDEFICS.but(
    user_open="User:",
    text_open=" ",
    user_close="<end_of_utterance>\n",
    answer_open="Assistant:",
    answer_space=" ",
    answer_end="<end_of_utterance>",
    answer_close="\n",
    specials=(*IDEFICS.specials, "<end_of_utterance>"),
    stop=("<end_of_utterance>", "</s>"),
)
"""IDEFICS-instruct, from its model card."""

PALIGEMMA = Template(
    bos="<bos>",
    bos_place="pictures",
    user_open="",
    user_close="\n",
    image_close="",
    answer_open="",
    answer_end="<eos>",
    specials=("<bos>", "<eos>"),
    stop=("<eos>",),
)
"""PaliGemma: pictures, "<bos>", a task such as "detect cat ; dog" or a question, a line break (big_vision 5f95305
configs/proj/paligemma/transfers/common.py)."""

FUYU = Template(
    bos="<s>",
    bos_place="pictures",
    image="|SPEAKER|",
    user_open="",
    user_close="<0x04>",
    image_close="",
    answer_open="",
    answer_end="|ENDOFTEXT|",
    specials=("<s>", "<0x04>", "|ENDOFTEXT|"),
    stop=("|ENDOFTEXT|",),
)
"""Fuyu: the picture, "<s>", the text, and the byte 4, which begins the answer (transformers processing_fuyu.py)."""

KOSMOS_2 = Template(
    bos="<s>",
    user_open="",
    user_close="",
    text_open="<grounding> ",
    image_open="<image>",
    image_close="</image> <grounding> ",
    answer_open="",
    answer_end="</s>",
    specials=("<s>", "</s>", "<image>", "</image>", "<grounding>"),
    stop=("</s>",),
)
"""KOSMOS-2 with "<grounding>", which asks for the places of what is said; the answer goes on from the user's words, such as
"An image of" or "Describe this image in detail:" (transformers processing_kosmos2.py)."""

KOSMOS_2_PLAIN = KOSMOS_2.but(
    text_open="", image_close="</image> ", specials=("<s>", "</s>", "<image>", "</image>")
)
"""The same without: answers and captions in words alone."""

BLIP_CAPTION = Template(
    bos="[DEC]",
    image_close="",
    user_open="",
    user_close="",
    answer_open="",
    answer_end="[SEP]",
    specials=("[DEC]", "[SEP]"),
    stop=("[SEP]",),
)
"""BLIP's captioners: the text of the user is the beginning of the caption, which the model goes on with. The authors always
begin with "a picture of" (``prompt`` in salesforce/BLIP models/blip.py); transformers begins with nothing unless told."""

BLIP_ANSWER = BLIP_CAPTION.but(
    bos="",
    user_open="[ENC]",
    user_close="[SEP]",
    specials=("[ENC]", "[SEP]"),
)
"""BLIP for questions, which its encoder reads (salesforce/BLIP models/blip_vqa.py). transformers' processor leaves [CLS] where
the authors write [ENC]."""

CAPPA = Template(
    bos="<pad>",
    image_close="",
    user_open="",
    user_close="",
    answer_open="",
    answer_end="</s>",
    specials=("<pad>", "</s>"),
    stop=("</s>",),
)
"""CapPa: a caption begins behind the padding token, as texts shifted by one do (big_vision 0127fb6 models/proj/cappa/cappa.py);
one that is too long is cut before its "</s>"."""

BLIP_2_OPT = Template(
    bos="</s>",
    bos_place="pictures",
    user_open="Question: ",
    user_close=" Answer:",
    image_close="",
    answer_open="",
    answer_space=" ",
    answer_end="\n",
    specials=("</s>",),
    stop=("\n", "</s>"),
)
"""BLIP-2 on OPT: pictures, "</s>", the authors' prompt for questions; an answer ends with a line break (salesforce/LAVIS
blip2_models/blip2_opt.py). They score VQA with "Question: {} Short answer:", and put a full stop behind earlier answers."""

BLIP_2_OPT_CAPTION = BLIP_2_OPT.but(user_open="", user_close="")
"""The text is continued, as transformers' Blip2Processor has it: "a photo of" asks for a caption."""

BLIP_2_T5 = Template(
    bos_place="pictures",
    user_open="Question: ",
    user_close=" Answer:",
    image_close="",
    answer_open="",
    prompt_end="</s>",
    answer_space=" ",  # no token: T5's tokenizer splits at white space; earlier answers in the prompt need it
    answer_end="</s>",
    specials=("</s>",),
    stop=("</s>",),
)
"""BLIP-2 on Flan-T5 (blip2_t5.py): pictures, text, "</s>" into the encoder; the answer and "</s>" out of the decoder."""

INSTRUCTBLIP_VICUNA = BLIP_2_OPT_CAPTION.but(answer_end="</s>", stop=("</s>",))
"""InstructBLIP on Vicuna (blip2_vicuna_instruct.py): pictures, "</s>", which is its first token too, and the instruction."""

FLAMINGO = Template(
    bos="<BOS>",
    user_open="",
    user_close="",
    image_close="",
    image_place="inline",
    text_ahead="Question: ",
    answer_open=" Answer:",
    answer_space=" ",
    answer_end="<EOC>",
    specials=("<BOS>", "<EOC>"),
    stop=("<EOC>",),
)
"""Flamingo's form of visual questions, from the paper (its figures and appendix); nothing of it was published to compare."""

OPEN_FLAMINGO = Template(
    user_open="",
    user_close="",
    image_close="",
    image_place="inline",
    answer_open="",
    answer_end="<|endofchunk|>",
    specials=("<|endofchunk|>",),
    stop=("<|endofchunk|>",),
)
"""OpenFlamingo: pictures and text as they come. Turns of user and assistant are worked examples: the end of a chunk stands
behind each answer, nothing before the first picture."""

OPEN_FLAMINGO_VQA = OPEN_FLAMINGO.but(text_ahead="Question:", answer_open=" Short answer:")
"""The format in which it was asked (mlfoundations/open_flamingo 655f693 open_flamingo/eval/models/open_flamingo.py,
``get_vqa_prompt``)."""

OPEN_FLAMINGO_CAPTION = OPEN_FLAMINGO.but(answer_open="Output:")
"""The same for captions and classes (``get_caption_prompt``, ``get_imagenet_prompt``): a turn is a picture alone."""

CHAMELEON = Template(
    bos="<s>",
    user_open="",
    user_close="<reserved08706>",
    answer_open="",
    answer_end="</s>",
    image_open="<racm3:break>",
    image_close="<eoss>",
    image_place="inline",
    specials=("<s>", "</s>", "<reserved08706>", "<racm3:break>", "<eoss>"),
    stop=("</s>", "<reserved08706>"),
)
"""Chameleon: text and pictures as they come, then the token that ends a turn (facebookresearch/chameleon inference/vocab.py
and examples/multimodal_input.py; transformers processing_chameleon.py)."""

COGVLM_BASE = Template(
    bos="<s>",
    user_open="",
    user_close="",
    image_close="",
    answer_open="",
    answer_end="</s>",
    specials=("<s>", "</s>"),
    stop=("</s>",),
)
"""CogVLM before instruction tuning, and for grounding (``base`` in THUDM/CogVLM f7283b2 utils/utils/language.py)."""

COGVLM_CHAT = COGVLM_BASE.but(text_ahead="Question: ", answer_open=" Answer:", answer_space=" ", answer_end="\n")
"""CogVLM-chat v1.1 (``chat_old`` there, ``chat`` in the published model). Earlier answers end with a line break only, so train
with ``.but(answer_end="</s>")``."""

MOT = Template(
    bos="<s>",
    user_open="",
    user_close="",
    image_open="<racm3:break>",
    image_close="<eoss>",
    image_place="inline",
    answer_open="",
    answer_end="</s>",
    specials=("<s>", "</s>", "<racm3:break>", "<eoss>"),
    stop=("</s>",),
)
"""Mixture-of-Transformers: text and pictures as they come, pictures between Chameleon's marks."""

# Language models ------------------------------------------------------------------------------------------------------

OPT_PLAIN = Template(
    bos="</s>", user_open="", user_close="", answer_open="", answer_end="</s>", specials=("</s>",), stop=("</s>",)
)
"""OPT: text that is continued, behind "</s>"."""

T5_PLAIN = BLIP_2_T5.but(user_open="", user_close="")
"""Flan-T5, and InstructBLIP and the captioning BLIP-2 on it: the instruction and "</s>"."""

NEOX = Template(
    user_open="",
    user_close="",
    answer_open="",
    answer_end="<|endoftext|>",
    specials=("<|endoftext|>",),
    stop=("<|endoftext|>",),
)
"""Base models with GPT-NeoX's tokenizer (MPT, RedPajama-INCITE): text to go on with, without a format."""

CONTINUED = Template(
    user_open="",
    user_close="",
    answer_open="",
    answer_end="<|endoftext|>",
    specials=("<|endoftext|>",),
    stop=("<|endoftext|>",),
)
"""No turns: the text goes on. Of models that were not tuned for chat and end with <|endoftext|>."""

PHI_2 = CONTINUED.but(user_open="Instruct: ", user_close="\n", answer_open="Output:", answer_space=" ")
"""Phi-2, the question format of its model card."""
