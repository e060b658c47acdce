"""The recipe of anyvlm-pocket-embed: features of both frozen encoders once, then light heads, on one CPU thread.

    python -m anyvlm.train.pocket_embed --out runs/embed                    # go on where it stopped
    python -m anyvlm.train.pocket_embed --out runs/embed --dev openmoji     # heads without that style, and its scores

Features are kept in the run folder in parts of 256 views: they may be made on any day, and any number of them trains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from anyvlm.data.captioned import View, icon, icons, scene
from anyvlm.data.icons import open_atlas
from anyvlm.data.score import wilson
from anyvlm.dual import Dual, PixelTower, TextTower, Tower, WordTower
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import Keys, Layout, Mount, convert, match, rename
from anyvlm.parts.features import Features, still
from anyvlm.system import Checkpoint, Stage
from anyvlm.train.loop import Task, run_stage
from anyvlm.train.pack import quantised
from anyvlm.weights.atomic import atomic_file
from anyvlm.weights.load import dequantised, load_tokenizer
from anyvlm.weights.readers import open_tensors
from anyvlm.weights.sources import resolve
from anyvlm.zoo.pocket_embed import POCKET_EMBED

PART, BATCH, SCENES, AGAIN = 256, 64, 2_000, 4_000
SEED = 20_261_127
_CONNECTOR = "towers.image.encoder.connector."
_BRIDGE = Mount(theirs="connectors.image.", ours=_CONNECTOR, keys=Keys(rules=rename({"then.layers.{}.": "then.layers.{}."})))
_HEADS = (_CONNECTOR, "towers.image.pool.", "towers.image.project.", "towers.text.project.", "contrasts.")
"""What ships: the connector, which stays as it is, and all that is trained."""


def initial() -> tuple[Dual, Tokenizer]:
    """Both encoders from their files, the connector from anyvlm-pocket, new heads; the map of texts begins as no change."""
    torch.manual_seed(0)
    module = Dual(POCKET_EMBED)
    own = dict(module.named_parameters())
    minilm, pocket = POCKET_EMBED.checkpoints[:2]
    tower = pocket.layouts[0]
    bridged = Layout(
        name=tower.name, mounts=(*tower.mounts, _BRIDGE), ignore=("connectors.image.line", "connectors.image.column", "lora.*")
    )
    for checkpoint in (minilm, Checkpoint(source=pocket.source, layouts=(bridged,))):
        tensors = dequantised(open_tensors(resolve(checkpoint.source)))
        for name, tensor in convert(tensors, match(tensors, checkpoint.layouts[0], POCKET_EMBED.part)):
            own[name].data.copy_(tensor)
    own["towers.text.project.weight"].data.copy_(torch.eye(POCKET_EMBED.shared))
    own["towers.text.project.bias"].data.zero_()
    tokenizer = load_tokenizer(POCKET_EMBED)
    assert tokenizer is not None
    return module.eval(), tokenizer


# Features -------------------------------------------------------------------------------------------------------------


def order() -> list[tuple[int, str, int]]:
    """(name, style, again) of icons and (-1, "scene", number): every icon once, then scenes, then some icons again.

    Shuffled, so that any beginning is a fair sample.
    """
    rng, all_ = np.random.default_rng(SEED), icons(open_atlas())
    first = [(*all_[n], 0) for n in rng.permutation(len(all_))] + [(-1, "scene", n) for n in range(SCENES)]
    second = [(*all_[n], 1) for n in rng.permutation(len(all_))[:AGAIN]]
    return [first[n] for n in rng.permutation(len(first))] + second


def view(which: tuple[int, str, int]) -> View:
    """The view that an entry of `order` stands for."""
    name, style, number = which
    return scene(open_atlas(), number) if name < 0 else icon(open_atlas(), name, style, number)


@torch.inference_mode()
def rows_of(encoder: nn.Module, images: Sequence[np.ndarray]) -> Tensor:
    """Rows (B, R, D) of pictures (224, 224, 3) by the tower's encoder, in its dtype."""
    spec = POCKET_EMBED.towers["image"]
    assert isinstance(spec, Tower)
    arrays = [torch.from_numpy(spec.policy.arrays(Image.fromarray(image))[0]) for image in images]
    grids = tuple(spec.encoder.grid(*x.shape[1:]) for x in arrays)
    rows: Features = encoder(torch.cat([still(x, spec.encoder) for x in arrays]), grids)
    return rows.groups()[0][1]


def make_features(module: Dual, folder: Path, views: int) -> None:
    """Parts 00000.safetensors ... of the first `views` views: rows in fp16, and what they show as metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    tower = module.towers["image"]
    assert isinstance(tower, PixelTower)
    encoder = deepcopy(tower.encoder).bfloat16()  # half the time; heads are trained on what is kept
    todo = order()[:views]
    for start in track(range(0, len(todo), PART), "views", console=Console(stderr=True)):
        path = folder / f"{start // PART:05}.safetensors"
        if path.exists():
            continue
        shown = [view(which) for which in todo[start : start + PART]]
        rows = [rows_of(encoder, [v.image for v in shown[n : n + BATCH]]).half() for n in range(0, len(shown), BATCH)]
        said = json.dumps([(v.name, v.style, v.captions) for v in shown])
        with atomic_file(path) as partial:
            save_file({"rows": torch.cat(rows)}, partial, metadata={"views": said})


@dataclass(frozen=True)
class Kept:
    """The rows of every view (mapped from disk), its name (-1: a scene), style, and the numbers of its captions."""

    rows: tuple[Tensor, ...]
    names: tuple[int, ...]
    styles: tuple[str, ...]
    said: tuple[tuple[int, ...], ...]
    lines: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> Kept:
        """All parts there are."""
        rows, facts = list[Tensor](), list[tuple[int, str, list[str]]]()
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                rows += list(file.get_tensor("rows"))
                facts += json.loads(file.metadata()["views"])
        plain = [thing.text for thing in open_atlas().names]  # the first lines: line n is name n
        lines = tuple(dict.fromkeys([*plain, *(line for _, _, said in facts for line in said)]))
        number = {line: n for n, line in enumerate(lines)}
        return cls(
            tuple(rows), tuple(f[0] for f in facts), tuple(f[1] for f in facts),
            tuple(tuple(number[line] for line in f[2]) for f in facts), lines,
        )  # fmt: skip

    @cached_property
    def by_name(self) -> Mapping[int, list[int]]:
        """The views of each name; of -1, the scenes."""
        found: dict[int, list[int]] = {}
        for n, name in enumerate(self.names):
            found.setdefault(name, []).append(n)
        return found

    def without(self, style: str) -> Kept:
        """All but one style."""
        return self._some([n for n, each in enumerate(self.styles) if each != style])

    def only(self, style: str) -> Kept:
        """One style."""
        return self._some([n for n, each in enumerate(self.styles) if each == style])

    def _some(self, keep: list[int]) -> Kept:
        rows, names, styles, said = (tuple(all_[n] for n in keep) for all_ in (self.rows, self.names, self.styles, self.said))
        return Kept(rows, names, styles, said, self.lines)  # type: ignore[arg-type]


@torch.inference_mode()
def read_lines(module: Dual, tokenizer: Tokenizer, lines: Sequence[str]) -> Tensor:
    """(L, D) what the frozen tower makes of texts, before its map; those of one length together."""
    tower, spec = module.towers["text"], POCKET_EMBED.towers["text"]
    assert isinstance(tower, WordTower) and isinstance(spec, TextTower)
    ids = [spec.policy.encode(tokenizer, line) for line in lines]
    by_length = sorted(range(len(ids)), key=lambda n: len(ids[n].ids))
    out = torch.empty(len(ids), spec.out)
    for start in range(0, len(ids), 256):
        some = by_length[start : start + 256]
        words = spec.policy.collate(tokenizer, [ids[n] for n in some])
        out[some] = tower.pool(tower.encoder(words.ids_BT, words.seen_BT), words.seen_BT)
    return out


# Training -------------------------------------------------------------------------------------------------------------

Batch = tuple[Tensor, Tensor]
"""Rows (B, R, D) and texts (B, D), partners at the same places."""


def choices(kept: Kept, size: int, step: int) -> Iterator[tuple[int, int]]:
    """(view, line) of one batch: each name at most once, in an order that goes through all; an eighth are scenes."""
    scenes = kept.by_name.get(-1, [])
    named, some = sorted(kept.by_name.keys() - {-1}), min(size // 8, len(scenes))
    rng = np.random.default_rng([SEED, step])
    per = min(size - some, len(named))
    rounds = max(1, len(named) // per)
    shuffled = np.random.default_rng([SEED, 1, step // rounds]).permutation(named)[step % rounds * per :][:per]
    views = [int(rng.choice(kept.by_name[int(name)])) for name in shuffled]
    views += [scenes[n] for n in rng.choice(len(scenes), some, replace=False)] if some else []
    for n in views:
        yield n, int(rng.choice(kept.said[n]))


def task(kept: Kept, texts_LD: Tensor, stage: Stage) -> Task[Batch]:
    """Partners against all others of the batch, in which no name is there twice."""
    assert stage.batch and stage.steps
    size = stage.batch

    def batch(step: int) -> Batch:
        drawn = list(choices(kept, size, step))
        return torch.stack([kept.rows[n] for n, _ in drawn]).float(), texts_LD[[line for _, line in drawn]]

    def losses(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(model, Dual)
        return {"image-text": model.contrast().loss(see(model, batch[0]), say(model, batch[1]))}

    return Task(batch, losses, stage.steps)


def see(model: Dual, rows_BRD: Tensor) -> Tensor:
    """Points (B, E) of rows that were kept."""
    tower = model.towers["image"]
    assert isinstance(tower, PixelTower) and tower.project is not None
    return F.normalize(tower.project(tower.pool(rows_BRD)), dim=-1)


def say(model: Dual, text_BD: Tensor) -> Tensor:
    """Points (B, E) of texts that were read."""
    tower = model.towers["text"]
    assert isinstance(tower, WordTower) and tower.project is not None
    return F.normalize(tower.project(text_BD), dim=-1)


# Scores ---------------------------------------------------------------------------------------------------------------


def recall(cosine_IJ: Tensor, truth_I: Tensor, k: int) -> int:
    """How many lines have their truth among the k highest."""
    k = min(k, cosine_IJ.shape[1])
    return int((cosine_IJ.topk(k, 1).indices == truth_I[:, None]).any(1).sum())


def report(cosine_NK: Tensor, truth_N: Tensor) -> dict[str, tuple[float, float, float]]:
    """Recall at 1 and 5 in both directions, with Wilson's 95 % interval: pictures N among K names, and names among pictures."""
    out = {}
    sides = {"image to text": (cosine_NK, truth_N), "text to image": (cosine_NK.T[truth_N], torch.arange(len(truth_N)))}
    for side, (cosine, truth) in sides.items():
        for k in (1, 5):
            right = recall(cosine, truth, k)
            out[f"{side} @{k}"] = (right / len(truth), *wilson(right, len(truth)))
    return out


def train(out: Path, views: int, dev: str | None = None) -> tuple[Dual, Kept, Tensor]:
    """Features, then heads, going on where an earlier run stopped."""
    module, tokenizer = initial()
    make_features(module, out / "features", views)
    kept = Kept.open(out / "features")
    texts_LD = read_lines(module, tokenizer, kept.lines)
    for stage in POCKET_EMBED.stages:
        used = kept if dev is None else kept.without(dev)
        run_stage(module, stage, task(used, texts_LD, stage), out / (dev or "all"), workers=0)
    return module, kept, texts_LD


def main(
    out: Annotated[Path, typer.Option(help="run folder: features, checkpoints, log.jsonl")] = Path("runs/embed"),
    views: Annotated[int, typer.Option(help="pictures to compute features of")] = 14_000,
    dev: Annotated[str | None, typer.Option(help="leave this style out and score it")] = None,
    threads: Annotated[int, typer.Option(help="threads that compute")] = 1,
) -> None:
    """Train anyvlm-pocket-embed and write the packaged file into the run folder."""
    torch.set_num_threads(threads)
    module, kept, texts_LD = train(out, views, dev)
    if dev is not None:
        unseen, count = kept.only(dev), len(open_atlas().names)
        with torch.inference_mode():
            parts = [unseen.rows[n : n + PART] for n in range(0, len(unseen.rows), PART)]
            seen_NE = torch.cat([see(module, torch.stack(part).float()) for part in parts])
            cosine_NK = seen_NE @ say(module, texts_LD[:count]).T
        print(json.dumps(report(cosine_NK, torch.tensor(unseen.names)), indent=1))
        return
    with atomic_file(out / "pocket_embed.safetensors") as partial:
        heads = {name: p.detach() for name, p in module.named_parameters() if name.startswith(_HEADS)}
        save_file(quantised(heads), partial)
    print(out / "pocket_embed.safetensors")


if __name__ == "__main__":
    typer.run(main)
