"""OpenFlamingo v2 (2308.01390): CLIP-L/14, Flamingo's resampler and gated layers, open language models that stay as they are.

Numbers: mlfoundations/open_flamingo 655f693 README.md, open_flamingo/src, open_flamingo/scripts/run_train.sh. Files hold what
was trained and the vocabulary, from which all rows behind the tokenizer's last token were cut; the rest is read where it
comes from. CLIP's rows are taken before its last norm: open_clip applies that norm to them only since 2.23, of October 2023.
"""

from __future__ import annotations

from anyvlm.inputs.formats import OPEN_FLAMINGO_VQA
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.keys import Keys
from anyvlm.parts.catalog.clip import CLIP_HF, CLIP_L_14
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.parts.catalog.mpt import MOSAIC_GPT, MPT_1B, MPT_7B, MPT_HF
from anyvlm.parts.catalog.neox import NEOX_HF, REDPAJAMA_3B
from anyvlm.parts.catalog.open_flamingo import body, open_flamingo
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.ffn import MLP
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.norm import LayerNorm
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

NORM = LayerNorm(eps=1e-5)
EYE = Stream(
    policy=ImagePolicy(size=(224, 224), fit="crop", middle="even"),  # torchvision's, by open_clip
    encoder=CLIP_L_14.but(layers=(-1,)),
    connector=Perceiver(queries=64, depth=6, heads=8, head=64, ffn=MLP(hidden=4096, bias=False), norm=NORM),
    reach="last",
)
TOWER = Checkpoint(source=Hub(repo="openai/clip-vit-large-patch14"), layouts=vision_hf(CLIP_HF, "encoders.image."))
STAGE = Stage(
    name="train", train=("connectors.*", "lm.inserts.*"), data=("LAION-2B", "MMC4"), lr=1e-4, schedule="constant",
    weight_decay=0.1, context=256,
    note="decay on gated layers alone; of the vocabulary the rows of <image> and <|endofchunk|> move too; 120M samples of "
    "LAION (loss x 0.2, 32 tokens) and 60M of MMC4 (256 tokens, up to 6 pictures); clip 1, 1,875 steps of warm-up",
)  # fmt: skip
GATED = GatedCross(memory="image", layers=(), heads=8, kv_heads=8, head=64, ffn=MLP(hidden=0, bias=False), norm=NORM)


def _open(repo: str, lm: LanguageModel, every: int, keys: Keys, blocks: str, base: str, words: str) -> System:
    """`every`: a gated layer before every so many blocks, the last block included; `words`: the tokenizer's repository."""
    layers = tuple(range(every - 1, lm.depth, every))
    released = Checkpoint(source=Hub(repo=f"openflamingo/{repo}"), layouts=(open_flamingo(keys, blocks, layers),))
    return System(
        name=repo.lower(),
        lm=lm.but(vocab=50280, inserts=(GATED.but(layers=layers, ffn__hidden=4 * lm.width),)),  # the last row is <PAD>
        streams={"image": EYE},
        template=OPEN_FLAMINGO_VQA,
        tokenizer=Hub(repo=words),
        added=("<|endofchunk|>", "<image>"),
        checkpoints=(released, Checkpoint(source=Hub(repo=base), layouts=(body(keys),)), TOWER),
        stages=(STAGE,),
        meta=Meta(
            paper="2308.01390", year=2023, license="MIT", family="flamingo", row="openflamingo",
            summary=f"CLIP ViT-L/14 and {base}, a gated layer before one block of {every}; worked examples are turns.",
        ),
    )  # fmt: skip


NEOX, MPT, RPJ = "EleutherAI/gpt-neox-20b", "mosaicml/mpt", "togethercomputer/RedPajama-INCITE"
OPEN_FLAMINGO_3B = _open(
    "OpenFlamingo-3B-vitl-mpt1b", MPT_1B, 1, MOSAIC_GPT, "transformer.blocks", f"{MPT}-1b-redpajama-200b", NEOX
)
OPEN_FLAMINGO_3B_INSTRUCT = _open(
    "OpenFlamingo-3B-vitl-mpt1b-langinstruct", MPT_1B, 1, MOSAIC_GPT, "transformer.blocks",
    f"{MPT}-1b-redpajama-200b-dolly", NEOX,
)  # fmt: skip
OPEN_FLAMINGO_4B = _open(
    "OpenFlamingo-4B-vitl-rpj3b", REDPAJAMA_3B, 2, NEOX_HF, "gpt_neox.layers", f"{RPJ}-Base-3B-v1", f"{RPJ}-Base-3B-v1"
)
OPEN_FLAMINGO_4B_INSTRUCT = _open(
    "OpenFlamingo-4B-vitl-rpj3b-langinstruct", REDPAJAMA_3B, 2, NEOX_HF, "gpt_neox.layers", f"{RPJ}-Instruct-3B-v1",
    f"{RPJ}-Instruct-3B-v1",
)  # fmt: skip
OPEN_FLAMINGO_9B = _open(
    "OpenFlamingo-9B-vitl-mpt7b", MPT_7B, 4, MPT_HF, "transformer.blocks", f"{MPT}-7b", f"{MPT}-7b"
)
