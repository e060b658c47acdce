"""How much memory training and answering take, before a weight is fetched: the modules, run without data (`anatomy.trace`).

What is held is what `train.loop`, `train.optim` and `generate.engine` hold: weights; gradients in their dtype; of everything
trained a master copy and two moments in fp32; what autograd keeps; every logit that is learned from, in fp32; the cache.
Shape letters: B samples, T tokens, N patches, D width, R supervised places.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anyvlm.anatomy.trace import Trace, traced
from anyvlm.dual import Dual, DualSystem, TextTower, Tower
from anyvlm.errors import InputError
from anyvlm.inputs.masked import Masked
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.text import WordsBatch
from anyvlm.parts.cache import Cache
from anyvlm.parts.encdec import PROMPT
from anyvlm.parts.features import Encoder
from anyvlm.parts.language import LM, Context, additive
from anyvlm.parts.memory import recall
from anyvlm.parts.t5 import T5LM
from anyvlm.seq import Memory as Rows
from anyvlm.seq import Seq, mask
from anyvlm.system import VLM, Pixels, Stage, Stream, System, VisionSystem
from anyvlm.train.loop import trainable
from anyvlm.train.losses import over_rows

if TYPE_CHECKING:
    from anyvlm.match import AnySystem

META = torch.device("meta")
BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.0, "int4": 0.5}
"""Of one weight."""
SCALES = {"int8": 2 / 128, "int4": 2 / 32}
"""Of the scales beside it: one of two bytes for every 128 and every 32 weights of a matrix."""
FRAMEWORK = {"cpu": 320 << 20, "cuda": 620 << 20}
"""Python and torch themselves: a process's resident bytes, a CUDA context with its kernels. Counted neither by a tracer of
tensors nor by `torch.cuda.max_memory_allocated`."""
WORKSPACE = {"cpu": 0, "cuda": 33 << 20}
"""What cuBLAS takes from torch's allocator on cards since Hopper; 8 MB on others."""


@dataclass(frozen=True)
class Memory:
    """Bytes at the moment when most is held (`when`: "backward", "update", "answer"), by what they are for."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    logits: int
    cache: int
    framework: int
    when: str

    @property
    def tensors(self) -> int:
        """All but the framework: what torch's allocator counts."""
        return self.total - self.framework

    @property
    def total(self) -> int:
        """All of it."""
        return sum(size for size in asdict(self).values() if isinstance(size, int))


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked of a system. `pictures`: of each sample, `size` (width, height) large; `length`: tokens of a sample, those
    of its pictures among them; `dtype`: of the weights."""

    batch: int = 1
    length: int = 2048
    pictures: int = 1
    size: tuple[int, int] = (1024, 768)
    dtype: str = "bf16"
    device: str = "cuda"


def training(system: AnySystem, stage: Stage, load: Load) -> Memory:
    """One step of a stage. Raises InputError for a system, stage or load that cannot be."""
    if isinstance(system, System) and "next_token" not in stage.losses:
        raise InputError(f"The stage '{stage.name}' of '{system.name}' has losses of its own, whose memory is not known here.")
    module = _module(system, load.dtype).train()
    moving = trainable(module, stage)
    with traced(load.device) as trace:
        trace.known(iter(module.parameters()))
        _forward(system, module, load, trace).backward()
        peak = trace.peak([trace.number(p.grad) for p in moving.values() if p.grad is not None])
    count, weights = sum(p.numel() for p in moving.values()), _weights(module, load.dtype)
    logits, gradients = peak.pop("logits", 0), peak.pop("apart", 0)
    held = 12 * count  # the master copy and both moments
    back = Memory(
        weights, gradients, held, sum(peak.values()) + WORKSPACE[load.device], logits, 0, FRAMEWORK[load.device], "backward"
    )
    return max(back, _update(count, weights, load), key=lambda memory: memory.total)


def updating(system: AnySystem, stage: Stage, load: Load) -> Memory:
    """The update alone, which takes as much whatever the batch; `training` is never less."""
    whole = _module(system, load.dtype)
    count = sum(p.numel() for p in trainable(whole, stage).values())
    return _update(count, _weights(whole, load.dtype), load)


def _update(count: int, weights: int, load: Load) -> Memory:
    """Every gradient is made fp32; the update itself needs nothing."""
    each = int(BYTES[load.dtype])
    return Memory(
        weights, each * count + (4 * count if each != 4 else 0), 12 * count, WORKSPACE[load.device], 0, 0,
        FRAMEWORK[load.device], "update",
    )  # fmt: skip


@torch.no_grad()
def answering(system: AnySystem, load: Load, room: int = 0) -> Memory:
    """The prompt of a conversation and `room` tokens of its answer; of an encoder or of towers, one pass over a batch."""
    computed = replace(load, dtype=load.dtype if load.dtype in _DTYPES else "bf16")  # what is smaller is unpacked to be used
    module = _module(system, computed.dtype).eval()
    with traced(load.device) as trace:
        trace.known(iter(module.parameters()))
        if isinstance(module, VLM):
            assert isinstance(system, System)
            result: object = _prompt(system, module, computed, trace, room)
        elif isinstance(module, Dual):
            assert isinstance(system, DualSystem)
            result = {name: module.points(name, x) for name, x in _pairs(system, computed).items()}
        elif isinstance(system, VisionSystem):
            pixels = _pixels(system.encoder, system.policy, computed, load.batch)
            result = module(pixels.x_NC, pixels.grids)
        else:
            raise InputError(f"The memory of '{system.name}' is not known here; it is a system that scores pairs.")
        peak = trace.peak()
        del result
    cache, logits = peak.pop("cache", 0), peak.pop("logits", 0)
    rest = sum(peak.values()) + WORKSPACE[load.device]
    return Memory(_weights(module, load.dtype), 0, 0, rest, logits, cache, FRAMEWORK[load.device], "answer")


_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


# Modules --------------------------------------------------------------------------------------------------------------


def _module(system: AnySystem, dtype: str) -> nn.Module:
    with META:
        return system.build().to(_DTYPES[dtype])


def _weights(module: nn.Module, dtype: str) -> int:
    """Bytes of all weights; in int8 and int4 those of matrices, with their scales, the rest in bf16."""
    matrices = sum(p.numel() for p in module.parameters() if p.ndim > 1)
    others = sum(p.numel() for p in module.parameters() if p.ndim < 2)
    return ceil(matrices * (BYTES[dtype] + SCALES.get(dtype, 0.0)) + others * max(2.0, BYTES[dtype]))


# Batches --------------------------------------------------------------------------------------------------------------


def _pixels(encoder: Encoder, policy: Policy, load: Load, count: int) -> Pixels:
    """The patches of `count` pictures."""
    cuts, dtype, channels = [policy.cut(*load.size)] * count, load.dtype, 4 if isinstance(policy, Masked) else 3
    sizes = [size for cut in cuts for size in cut.sizes]
    grids = tuple(encoder.grid(h, w) for h, w in sizes)
    each = encoder.cut(torch.empty(channels, *sizes[0], device=META)).shape[1]
    return Pixels(torch.empty(sum(map(prod, grids)), each, dtype=_DTYPES[dtype], device=META), grids, tuple(cuts))


def _seen(stream: Stream, load: Load) -> Pixels:
    pixels = _pixels(stream.encoder, stream.policy_among(load.pictures), load, load.pictures * load.batch)
    return replace(pixels, texts=((0,) * min(32, stream.reads.limit),) * len(pixels.grids)) if stream.reads else pixels


def _pairs(system: DualSystem, load: Load) -> dict[str, Pixels | WordsBatch]:
    """A batch of pictures and texts."""
    out: dict[str, Pixels | WordsBatch] = {}
    for name, tower in system.towers.items():
        if isinstance(tower, Tower):
            out[name] = _pixels(tower.encoder, tower.policy, load, load.batch)
        elif isinstance(tower, TextTower):
            out[name] = WordsBatch(torch.zeros(load.batch, tower.policy.context, dtype=torch.long, device=META), None)
    return out


def _sequence(system: System, vlm: VLM, load: Load, trace: Trace) -> Seq:
    """Text and pictures, embedded and laid out as `VLM.assemble` does it."""
    B, T, name = load.batch, load.length, next(iter(system.streams), "")
    trace.phase = "text"
    x_BTD = vlm.lm.embed(torch.zeros(B, T, dtype=torch.long, device=META))
    memory = {}
    if name and load.pictures:
        trace.phase = "pictures"
        stream = system.streams[name]
        rows = vlm.rows({name: _seen(stream, load)})[name]
        x_ND = rows.x_ND if rows.x_ND.is_floating_point() else vlm.lm.embed(rows.x_ND[:, 0])
        if stream.reach:
            each = len(x_ND) // B
            memory[name] = Rows(x_ND.view(B, each, -1), torch.zeros(B, T, each, dtype=torch.bool, device=META))
        else:
            taken = len(x_ND) // B
            if taken >= T:
                raise InputError(
                    f"{load.pictures} pictures take {taken} tokens of '{system.name}', and {T} are all there are; make the "
                    "length greater or take fewer pictures."
                )
            at_BT = torch.zeros(B, T, dtype=torch.bool, device=META)
            x_BTD = x_BTD.masked_scatter(at_BT[..., None], x_ND.to(x_BTD.dtype))
    zeros, count = torch.zeros(B, T, dtype=torch.long, device=META), torch.arange(T, device=META).expand(B, T)
    return Seq(x_BTD, zeros, count.expand(system.lm.axes, B, T), count, zeros, memory)


def _begun(system: System, lm: LM, seq: Seq, answer: int) -> Seq:
    """`LM.begin`, which looks at the data to tell prompts from answers: here the last `answer` tokens are it."""
    if lm.spec.start is None:
        return seq
    if not isinstance(lm, T5LM):
        raise InputError(f"The memory of '{system.name}' is not known here; an encoder of its own kind reads its prompt.")
    B, S = seq.seg_BT.shape[0], seq.seg_BT.shape[1] - answer
    prompt = Seq(
        seq.x_BTD[:, :S], seq.kind_BT[:, :S], seq.pos_PBT[..., :S], torch.zeros_like(seq.seg_BT[:, :S]), seq.seg_BT[:, :S]
    )
    rows_BSD, zeros = lm.encoder(prompt), torch.zeros(B, answer + 1, dtype=torch.long, device=META)
    seen = {PROMPT: Rows(rows_BSD, torch.zeros(B, answer + 1, S, dtype=torch.bool, device=META))}
    return Seq(lm.embed(zeros), zeros, zeros[None], zeros, zeros, seen)


def _hidden(system: System, lm: LM, seq: Seq, keys: Seq, cache: Cache | None) -> Tensor:
    """`LM.hidden` of a batch in which nothing is hidden but the future, which it sees by looking at the data."""
    dtype, window = seq.x_BTD.dtype, lm.spec.window
    relative = lm.relative(seq.pos_PBT, keys.pos_PBT)
    plain = relative is None and system.attention == "causal"
    full = None if plain else additive(mask(seq, keys), dtype, relative)
    near = full
    if window is not None and keys.seg_BT.shape[1] > window:
        near = additive(mask(seq, keys, window), dtype, relative)
    tables, recalls = lm.tables(seq.pos_PBT, dtype), recall(seq.memory, dtype)
    return lm.run(seq.x_BTD, Context(tables, full, near, cache, recalls))


# Programs -------------------------------------------------------------------------------------------------------------


def _forward(system: AnySystem, module: nn.Module, load: Load, trace: Trace) -> Tensor:
    """The loss of a batch, as the training loop computes it: next tokens of all text, or the contrasts of towers."""
    if isinstance(module, Dual):
        assert isinstance(system, DualSystem)
        trace.phase = "pairs"
        return torch.stack(list(module.losses(_pairs(system, load)).values())).sum()
    if not isinstance(module, VLM) or not isinstance(system, System):
        raise InputError(f"'{system.name}' has no recipe that anyvlm knows the memory of; ask for what answering takes.")
    seq = _sequence(system, module, load, trace)
    lm, rows = module.lm, rows_of(system, load)
    trace.phase = "language"
    begun = _begun(system, lm, seq, (load.length - rows) // 2)
    hidden_BTD = _hidden(system, lm, begun, begun, None)
    trace.phase = "logits"
    supervised = load.batch * max(1, min(load.length - rows, hidden_BTD.shape[1]))  # all text
    rows_RD = hidden_BTD.flatten(0, 1)[:supervised]
    out = _loss(lm, rows_RD)
    trace.phase = "backward"
    return out


def _loss(lm: LM, rows_RD: Tensor) -> Tensor:
    """`losses.next_token` where all places count, which it finds by looking at the labels; of very many in larger chunks."""
    labels_R = torch.zeros(len(rows_RD), dtype=torch.long, device=META)
    return over_rows(lm, rows_RD, labels_R, max(128, len(rows_RD) // 64))


def rows_of(system: System, load: Load) -> int:
    """Tokens of a sample that rows of pictures take."""
    stream = next(iter(system.streams.values()), None)
    if stream is None or stream.reach or not load.pictures:
        return 0
    return load.pictures * sum(map(prod, stream.rows(stream.policy_among(load.pictures).cut(*load.size))))


def _prompt(system: System, vlm: VLM, load: Load, trace: Trace, room: int) -> tuple[object, ...]:
    """`generate.engine.prefill`."""
    seq = _sequence(system, vlm, load, trace)
    trace.phase = "language"
    seq = _begun(system, vlm.lm, seq, 0)
    trace.phase = "cache"
    cache = vlm.lm.spec.cache(load.batch, seq.x_BTD.shape[1] + room, like=seq.x_BTD)
    keys = cache.extend(seq)
    trace.phase = "language"
    hidden_BTD = _hidden(system, vlm.lm, seq, keys, cache)
    trace.phase = "logits"
    return cache, hidden_BTD, vlm.lm.logits(hidden_BTD[:, -1])
