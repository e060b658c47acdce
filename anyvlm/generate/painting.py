"""Pictures from a prompt: codes one by one, guided away from what would be drawn unasked, then pixels.

Shape letters: R pictures, B rows (R, or 2 R with guidance: asked, then unasked), K codes, n codes of a picture, D width.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from anyvlm.errors import InputError
from anyvlm.generate.answer import Answer, Timings, Usage
from anyvlm.generate.engine import prefill
from anyvlm.generate.sampling import Sampling, choose, real, whole
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message
from anyvlm.inputs.painting import Painting
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.match import AnySystem
from anyvlm.parts.features import Grid
from anyvlm.system import VLM, Batch, System


def painting_of(system: AnySystem) -> tuple[Painting, Grid]:
    """How a system makes pictures, and the grid of their codes. Raises InputError for one that cannot."""
    if not isinstance(system, System) or system.painting is None or system.code is None:
        raise InputError(f"'{system.name}' cannot paint; take a system that can, such as janus-pro-1b.")
    if not system.code.draws:
        raise InputError(
            f"'{system.name}' cannot paint: its files hold no decoder of pictures. Put the vqgan.ckpt of Meta's download "
            "into a directory with transformers' files, and load that."
        )
    return system.painting, system.code.grid(*system.painting.size)


def asked(system: System, tokenizer: Tokenizer, prompt: str) -> tuple[Plan, Plan]:
    """The tokens up to where a picture begins: with the prompt, and where nothing is asked for.

    Raises InputError if a whole picture does not fit behind them.
    """
    painting, (_, h, w) = painting_of(system)
    here = system.but(template=painting.template)
    laid = plan(here, tokenizer, [Message("user", (prompt,))], sizes=[], max_tokens=h * w + 1)
    whole = (*laid.ids, tokenizer.id(painting.begin))
    between = () if painting.blank is None else (tokenizer.id(painting.blank),) * (len(whole) - 2)
    return _text(whole), _text((whole[0], *between, whole[-1]))


def _text(ids: tuple[int, ...]) -> Plan:
    return Plan(ids, (0,) * len(ids), (False,) * len(ids), ())


class Brush:
    """Settings of one painting; what is None is the authors' setting, or a seed drawn afresh. Raises InputError."""

    def __init__(
        self, system: System, *, guidance: float | None, temperature: float | None, top_k: int, top_p: float | None,
        seed: int | None, count: int, rows: int,
    ) -> None:  # fmt: skip
        self.painting, self.grid = painting_of(system)
        self.guidance = float(self.painting.guidance if guidance is None else guidance)
        self.count, self.rows = count, rows
        real("guidance", self.guidance, 0, 100)
        whole("count", count, 1, 1024)
        whole("rows", rows, 1, 1024)
        self.sampling = Sampling(
            temperature=self.painting.temperature if temperature is None else temperature, top_k=top_k,
            top_p=self.painting.top_p if top_p is None else top_p, seed=secrets.randbelow(2**31) if seed is None else seed,
        )  # fmt: skip

    @property
    def places(self) -> int:
        """Codes of one picture."""
        return self.grid[1] * self.grid[2]

    def generators(self, first: int, count: int, device: torch.device) -> list[torch.Generator]:
        """Sources of randomness of pictures number `first` and on, whose number is added to the seed."""
        assert self.sampling.seed is not None
        seeds = (self.sampling.seed + first + n for n in range(count))
        return [replace(self.sampling, seed=seed).generators(1, device)[0] for seed in seeds]


def paint(
    vlm: VLM, tokenizer: Tokenizer, device: torch.device, prompt: str, brush: Brush, progress: Callable[[float], None] | None
) -> Answer:
    """As many pictures of a prompt as the brush says. `progress`: is told the share that is done, after every code."""
    begin = time.perf_counter()
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("The prompt is empty; say what the picture shall show.")
    plans = asked(vlm.spec, tokenizer, prompt)[: 1 if brush.guidance == 1.0 else 2]
    made, times = list[Image.Image](), [time.perf_counter()]
    steps = -(-brush.count // brush.rows) * brush.places

    def tell() -> None:
        times.append(time.perf_counter())
        if progress is not None:
            progress((len(times) - 1) / steps)

    for start in range(0, brush.count, brush.rows):
        some = min(brush.rows, brush.count - start)
        laid = [plan for plan in plans for _ in range(some)]
        batch = collate(vlm.spec, laid, [[] for _ in laid]).to(device)
        written_Rn = codes(vlm, batch, brush, brush.generators(start, some, device), tell)
        made += draw(vlm, written_Rn, brush.grid)
    ready, first, last = (moment - begin for moment in (times[0], times[1], times[-1]))
    rate = brush.count * (brush.places - 1) / (last - first) if last > first else 0.0
    timings = Timings(ready, first, time.perf_counter() - begin, rate)
    usage = Usage(len(plans[0]), 0, brush.count * brush.places)
    return Answer("", "stop", usage, timings, images=tuple(made))


@torch.inference_mode()
def codes(
    vlm: VLM, batch: Batch, brush: Brush, generators: Sequence[torch.Generator], tell: Callable[[], None] | None = None
) -> Tensor:
    """Codes (R, n) of one picture for every generator; a picture is never less than whole.

    `batch`: prompts that end where a picture begins, R of them, and unless guidance is 1 as many where nothing is asked:
    logits are unasked + guidance * (asked - unasked) (2207.12598). `tell` is called after every code.
    """
    lm, painter, guidance = vlm.lm, vlm.painter, brush.guidance
    assert painter is not None
    hidden_BD, steps = prefill(vlm, batch, None, brush.places)
    out = []
    while True:
        logits_BK = painter.logits(lm, hidden_BD).float()
        if guidance != 1.0:
            with_RK, without_RK = logits_BK.chunk(2)
            logits_BK = without_RK + guidance * (with_RK - without_RK)
        out.append(choose(logits_BK, brush.sampling, None, generators))
        if tell is not None:
            tell()
        if len(out) == brush.places:
            return torch.stack(out, 1)
        hidden_BD = steps.hidden(painter.embed(lm, out[-1].repeat(1 if guidance == 1.0 else 2)[:, None]))


@torch.inference_mode()
def draw(vlm: VLM, codes_Rn: Tensor, grid: Grid) -> tuple[Image.Image, ...]:
    """The pictures that codes stand for, one after another."""
    ids_Rhw = codes_Rn.view(len(codes_Rn), *grid[1:])
    return tuple(image for ids_hw in ids_Rhw for image in images(vlm.code.decode(ids_hw[None])))


def images(pixels_BCHW: Tensor) -> list[Image.Image]:
    """Pixels from -1 to 1, what leaves that range cut off, as 8-bit pictures."""
    bytes_BHWC = ((pixels_BCHW.float().clamp(-1, 1) + 1) / 2 * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(one) for one in bytes_BHWC]
