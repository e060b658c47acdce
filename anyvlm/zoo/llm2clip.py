"""LLM2CLIP (2411.04997): a CLIP's vision tower beside a language model that was made to tell captions apart, and stays frozen.

Numbers: microsoft/LLM2CLIP cba3b45 `llm2clip/eva_clip/{factory,transform}.py`, `model_configs/`, `llm2vec.py`, `run.sh`.
Texts are read as a user's turn; the mean is of the tokens behind the turn's opening, its end included. Activations are those
with which the vision towers were trained; the authors' configs for OpenAI's do not say that theirs is the quick one.
"""

from __future__ import annotations

from math import log

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.text import TextPolicy
from anyvlm.keys import Layout
from anyvlm.parts.align import Adapter
from anyvlm.parts.catalog.clip import CLIP_B_16, CLIP_L_14, CLIP_L_14_336, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.eva import EVA02_L
from anyvlm.parts.catalog.llm2clip import LLM2CLIP_EVA, LLM2CLIP_SIGLIP, LLM2CLIP_VIT
from anyvlm.parts.catalog.readers import DECODER_LAYOUTS, LLAMA_3_1_8B_TEXT, LLAMA_3_2_1B_TEXT, LLAMA_3_8B_TEXT
from anyvlm.parts.decoder_text import DecoderText, MeanBehind
from anyvlm.parts.pool import Linear, Pick, Probe
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Hub

META = Meta(paper="2411.04997", year=2024, license="MIT", family="llm2clip", row="llm2clip")
WORDS = TextPolicy(
    context=512, first="<|begin_of_text|>", last="<|eot_id|>", pad="<|eot_id|>",
    lead=(
        ("special", "<|start_header_id|>"), ("template", "user"), ("special", "<|end_header_id|>"), ("template", "\n\n"),
    ),
)  # fmt: skip
STAGE = Stage(
    name="image-text", train=("towers.image.*", "towers.text.project.*", "contrasts.0.scale"), losses={"image-text": 1.0},
    bounds={"contrasts.0.scale": (0.0, log(100))}, lr=1e-5, batch=4096, epochs=20, warmup=0.0, weight_decay=0.05,
    data=("CC3M", "CC12M", "YFCC15M"),
    note="4 epochs by the script's name; layer decay 0.85 of vision, gradients clipped at 5; one caption, old or new, a step. "
    "Before it the language model learns masked next tokens, then to tell captions apart (LoRA, rank 16): not losses here",
)  # fmt: skip


def _text(lm: DecoderText, shared: bool = True) -> TextTower:
    """`shared`: vectors were computed before training, and are made of length 1."""
    return TextTower(policy=WORDS, encoder=lm, pool=MeanBehind(skip=5), project=Adapter(unit=shared))


def _pair(
    name: str, eye: Tower, text: TextTower, shared: int, reader: str, layouts: tuple[Layout, ...], repo: str
) -> DualSystem:
    lm = Hub(repo=reader)
    return DualSystem(
        name=f"llm2clip-{name}", towers={"image": eye, "text": text}, shared=shared, contrasts=(Softmax(),), tokenizer=lm,
        checkpoints=(
            Checkpoint(source=lm, layouts=DECODER_LAYOUTS),
            Checkpoint(source=Hub(repo=f"microsoft/LLM2CLIP-{repo}"), layouts=layouts),
        ),
        stages=(STAGE,), meta=META.but(summary=f"LLM2CLIP: {repo}."),
    )  # fmt: skip


def _eye(eye: ViT) -> Tower:
    size = (eye.size, eye.size)
    policy = ImagePolicy(size=size, fit="crop")
    return Tower(policy=policy, encoder=eye.but(keep_cls=True), pool=Pick(row="first"), project=Linear())


_CC, _LLAMA = "microsoft/LLM2CLIP-Llama-3-8B-Instruct-CC-Finetuned", _text(LLAMA_3_8B_TEXT)
_EVA = Tower(
    policy=ImagePolicy(size=(336, 336), fit="crop"), encoder=EVA02_L.but(size=336), pool=Pick(row="first"),
    project=Linear(bias=True),
)  # fmt: skip
_SO = SIGLIP_SO400M_14_384.but(size=224, ffn__act="gelu")  # timm's, with which the authors train, not Google's
OPENAI_B_16, OPENAI_L_14, OPENAI_L_14_336 = (
    _pair(name, _eye(eye), _LLAMA, 1280, _CC, LLM2CLIP_VIT, repo)
    for name, eye, repo in (
        ("openai-b-16", CLIP_B_16, "Openai-B-16"), ("openai-l-14", CLIP_L_14, "Openai-L-14-224"),
        ("openai-l-14-336", CLIP_L_14_336, "Openai-L-14-336"),
    )
)  # fmt: skip
EVA02_L_336 = _pair("eva02-l-14-336", _EVA, _LLAMA, 1280, _CC, LLM2CLIP_EVA, "EVA02-L-14-336")
EVA02_L_336_1B = _pair(
    "eva02-l-14-336-llama-3.2-1b", _EVA, _text(LLAMA_3_2_1B_TEXT), 1280,
    "microsoft/LLM2CLIP-Llama-3.2-1B-Instruct-CC-Finetuned", LLM2CLIP_EVA, "Llama-3.2-1B-EVA02-L-14-336",
)  # fmt: skip
SIGLIP2_SO = _pair(
    "siglip2-so400m-14-224",
    Tower(
        policy=ImagePolicy(size=(224, 224), fit="crop"), encoder=_SO,  # as the authors' code does, not as SigLIP 2
        pool=Probe(heads=_SO.heads, ffn=_SO.ffn, norm=_SO.norm),
    ),
    _text(LLAMA_3_1_8B_TEXT, shared=False), 1152, "microsoft/LLM2CLIP-Llama-3.1-8B", LLM2CLIP_SIGLIP,
    "Llama3.1-8B-Siglip2-So-L-14-224",
)  # fmt: skip
