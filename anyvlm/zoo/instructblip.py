"""InstructBLIP (2305.06500): BLIP-2 whose Q-Former reads the instruction too, in BERT's words.

Numbers: the paper, section 2.6; the config.json of Salesforce/instructblip-*, whose vocabularies hold <image> and are rounded
up to 64. Few-shot examples and OCR tokens in the prompt are text like any other.
"""

from __future__ import annotations

from anyvlm.inputs.formats import INSTRUCTBLIP_VICUNA, T5_PLAIN
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.template import Template
from anyvlm.keys import Keys
from anyvlm.parts.catalog.blip_2 import EVA_G_14, INSTRUCTBLIP_QFORMER, READING_QFORMER_HF, blip_2_hf
from anyvlm.parts.catalog.llama import LLAMA_7B, LLAMA_13B, LLAMA_HF
from anyvlm.parts.catalog.t5 import FLAN_T5_XL, FLAN_T5_XXL, T5_HF
from anyvlm.parts.language import LanguageModel
from anyvlm.system import Checkpoint, Meta, Reads, Stage, Stream, System
from anyvlm.weights.sources import Hub

INSTRUCT = Stage(
    name="instruct", train=("connectors.*",), data=("13 held-in datasets, by the square root of their size",), lr=1e-5,
    steps=60_000, warmup=1000 / 60_000, weight_decay=0.05, note="from stage 1 of BLIP-2; warm-up from 1e-8",
)  # fmt: skip


def _instructblip(size: str, lm: LanguageModel, keys: Keys, template: Template, batch: int, license: str) -> System:
    source = Hub(repo=f"Salesforce/instructblip-{size}")
    eye = Stream(
        policy=ImagePolicy(size=(224, 224), fit="stretch"),
        encoder=EVA_G_14,
        connector=INSTRUCTBLIP_QFORMER,
        # LAVIS keeps the last 128 of longer instructions; transformers keeps all
        reads=Reads(tokenizer=Hub(repo=source.repo, folder="qformer_tokenizer"), limit=128),
    )
    return System(
        name=f"instructblip-{size}",
        lm=lm,
        streams={"image": eye},
        template=template,
        attention="causal" if lm.start is None else "prefix",
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=blip_2_hf(READING_QFORMER_HF, keys)),),
        stages=(INSTRUCT.but(batch=batch),),
        meta=Meta(
            paper="2305.06500", year=2023, license=license, family="blip-2", row="instructblip",
            summary="BLIP-2 tuned on instructions, which its queries read beside the picture.",
        ),
    )  # fmt: skip


VICUNA_7B, VICUNA_13B = LLAMA_7B.but(vocab=32064), LLAMA_13B.but(vocab=32064)
INSTRUCTBLIP_VICUNA_7B = _instructblip("vicuna-7b", VICUNA_7B, LLAMA_HF, INSTRUCTBLIP_VICUNA, 64, "LLaMA research")
INSTRUCTBLIP_VICUNA_13B = _instructblip("vicuna-13b", VICUNA_13B, LLAMA_HF, INSTRUCTBLIP_VICUNA, 64, "LLaMA research")
# LAVIS sets the exact GELU where Flan-T5 was trained with the tanh form
INSTRUCTBLIP_FLAN_T5_XL = _instructblip("flan-t5-xl", FLAN_T5_XL.but(ffn__act="gelu"), T5_HF, T5_PLAIN, 192, "MIT")
INSTRUCTBLIP_FLAN_T5_XXL = _instructblip("flan-t5-xxl", FLAN_T5_XXL.but(ffn__act="gelu"), T5_HF, T5_PLAIN, 128, "MIT")
