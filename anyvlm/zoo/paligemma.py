"""PaliGemma (2407.07726): SigLIP-So400m, one linear layer, Gemma-2B that sees picture and prompt whole, answers left to right.

Numbers: the paper's section 3.2, big_vision 5f95305 configs/proj/paligemma/README.md, the config.json of each repository.
The linear layer's rows enter Gemma as they are: older transformers divides them by sqrt(width) only because it multiplies
all embeddings by it afterwards. Positions count from 1 there and from 0 here, which rotary attention cannot tell apart.
"""

from __future__ import annotations

from anyvlm.inputs.boxes import Locations
from anyvlm.inputs.formats import PALIGEMMA
from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.parts.catalog.clip import SIGLIP_HF, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.gemma import GEMMA_2B
from anyvlm.parts.catalog.layouts import PROJECTOR_PALIGEMMA, llava_hf
from anyvlm.parts.catalog.llama import LLAMA_HF
from anyvlm.parts.code.mask import MaskCode
from anyvlm.parts.connect.mlp import Projector
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

ALL = ("encoders.*", "connectors.*", "lm.*")
PRETRAIN = Stage(
    name="pretrain-224", train=ALL, context=256 + 128, schedule="constant",
    note="1B examples; the encoder's rate warms up slowly; rate falls with the square root of the step and is not cooled down",
)  # fmt: skip
PRETRAIN_448 = PRETRAIN.but(name="pretrain-448", context=1024 + 512, note="50M examples, more reading and small things")
PRETRAIN_896 = PRETRAIN.but(name="pretrain-896", context=4096 + 512, note="10M examples")
MIX = Stage(name="mix", train=ALL, data=("all transfer tasks",), context=256 + 256, note="rates are not published")


def _paligemma(name: str, side: int, stages: tuple[Stage, ...], summary: str) -> System:
    source = Hub(repo=f"google/{name}")
    return System(
        name=name,
        lm=GEMMA_2B.but(vocab=257216),  # 1,024 places, 128 pieces of masks, <image>, rounded up to 64
        streams={
            "image": Stream(
                policy=ImagePolicy(size=(side, side), fit="stretch", mean=HALF, std=HALF),
                encoder=SIGLIP_SO400M_14_384.but(size=side),
                connector=Projector(depth=1),
            )
        },
        template=PALIGEMMA,
        attention="prefix",
        boxes=Locations(),
        masks=MaskCode(),
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=llava_hf(LLAMA_HF, SIGLIP_HF, bridge=PROJECTOR_PALIGEMMA)),),
        stages=stages,
        meta=Meta(paper="2407.07726", year=2024, license="Gemma", family="paligemma", row="paligemma", summary=summary),
    )


PALIGEMMA_3B_PT_224 = _paligemma(
    "paligemma-3b-pt-224", 224, (PRETRAIN,), "To be fine-tuned: SigLIP and Gemma as a prefix-LM, 256 tokens a picture."
)
PALIGEMMA_3B_PT_448 = _paligemma(
    "paligemma-3b-pt-448", 448, (PRETRAIN, PRETRAIN_448), "To be fine-tuned, at 448 pixels: 1,024 tokens a picture."
)
PALIGEMMA_3B_PT_896 = _paligemma(
    "paligemma-3b-pt-896", 896, (PRETRAIN, PRETRAIN_448, PRETRAIN_896), "To be fine-tuned, at 896 pixels: 4,096 tokens."
)
PALIGEMMA_3B_MIX_224 = _paligemma(
    "paligemma-3b-mix-224", 224, (PRETRAIN, MIX), "Answers, captions, reads and detects, at 224 pixels."
)
PALIGEMMA_3B_MIX_448 = _paligemma(
    "paligemma-3b-mix-448", 448, (PRETRAIN, PRETRAIN_448, MIX.but(context=1024 + 512)), "The same at 448 pixels."
)
