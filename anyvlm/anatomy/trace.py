"""What a program allocates, told by running its modules on the meta device: every tensor with its size, none with data.

Kernels that keep less than the operations they replace (fused attention, fused norms) are stood in for by what they keep.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from anyvlm.parts.attention import on_cpu


class Trace(TorchDispatchMode):
    """A log of allocations and frees: (storage, bytes, phase), bytes negative where one is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.phase = ""
        self.events: list[tuple[int, int, str]] = []
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._count = 0
        self._numbers: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., object], types: Sequence[type], args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:  # fmt: skip
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return out

    def known(self, tensors: Iterator[Tensor]) -> None:
        """Storages that were there before and do not count."""
        for tensor in tensors:
            self._hold(tensor.untyped_storage(), 0)

    def number(self, tensor: Tensor) -> int:
        """The number of a tensor's storage in `events`; -1 if it is not among them."""
        return self._numbers.get(id(tensor.untyped_storage()), -1)

    def _note(self, storage: torch.UntypedStorage) -> None:
        held = self._alive.get(id(storage))
        if held is None or held() is not storage:
            self._hold(storage, storage.nbytes())

    def _hold(self, storage: torch.UntypedStorage, size: int) -> None:
        key, number, phase = id(storage), self._count, self.phase
        self._count += 1

        def gone(_: weakref.ref[torch.UntypedStorage]) -> None:
            self.events.append((number, -size, phase))

        self._alive[key], self._numbers[key] = weakref.ref(storage, gone), number
        self.events.append((number, size, phase))

    def peak(self, apart: Sequence[int] = ()) -> dict[str, int]:
        """Bytes by phase at the moment when most is alive; those of the storages `apart` under their own name, "apart"."""
        now = most = at = 0
        for n, (_, size, _) in enumerate(self.events, 1):
            now += size
            if now > most:
                most, at = now, n
        out: dict[str, int] = {}
        own = set(apart)
        for number, size, phase in self.events[:at]:
            name = "apart" if number in own else phase
            out[name] = out.get(name, 0) + size
        return out


class _Saving(Protocol):
    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Attention(torch.autograd.Function):
    """Fused attention keeps its inputs, its output and one number a row."""

    @staticmethod
    def forward(ctx: _Saving, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        B, H, T, _ = q.shape
        out = q.new_empty(B, T, H, v.shape[-1]).transpose(1, 2)
        ctx.save_for_backward(q, k, v, out, q.new_empty(B, H, T, dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: _Saving, grad: Tensor) -> tuple[Tensor, ...]:
        q, k, v, *_ = ctx.saved_tensors
        return tuple(x.new_empty(x.shape) for x in (q, k, v))


class _Norm(torch.autograd.Function):
    """A fused norm keeps its input and one number a row."""

    @staticmethod
    def forward(ctx: _Saving, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, x.new_empty(x.shape[:-1], dtype=torch.float32))
        return x.new_empty(x.shape)

    @staticmethod
    def backward(ctx: _Saving, grad: Tensor) -> tuple[Tensor, ...]:
        x, weight, _ = ctx.saved_tensors
        return x.new_empty(x.shape), weight.new_empty(weight.shape)


class Kernels(TorchFunctionMode):
    """Chooses what the modules would choose on `device` ("cpu" or "cuda"), though their tensors are on none."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.cuda = device != "cpu"

    def __torch_function__(
        self, func: Callable[..., object], types: Sequence[type], args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:  # fmt: skip
        given = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            q, k, v = (x for x in args if isinstance(x, Tensor))
            added, causal, scale = given.get("attn_mask"), bool(given.get("is_causal")), given.get("scale")
            assert (added is None or isinstance(added, Tensor)) and (scale is None or isinstance(scale, float))
            if not self.cuda and (out := on_cpu(q, k, v, added, causal, scale)) is not None:
                return out
            return _Attention.apply(q, k, v)  # type: ignore[no-untyped-call]
        if self.cuda and func is torch.nn.functional.rms_norm:
            return _Norm.apply(args[0], given["weight"])  # type: ignore[no-untyped-call]
        if func == _IS_CUDA:
            return self.cuda
        if func is torch.Tensor.bincount:  # how many rows each expert has depends on data: here all have as many
            rows, experts = args[0], given["minlength"]
            assert isinstance(rows, Tensor) and isinstance(experts, int)
            return torch.tensor([rows.numel() * (n + 1) // experts - rows.numel() * n // experts for n in range(experts)])
        if func is torch.nn.functional.grouped_mm:
            rows, weights = (x for x in args if isinstance(x, Tensor))
            return rows @ weights[0]
        return func(*args, **given)


_IS_CUDA = torch.Tensor.is_cuda.__get__  # type: ignore[attr-defined]


@contextmanager
def traced(device: str) -> Iterator[Trace]:
    """Everything in the block is logged, as it would be on `device`."""
    with Kernels(device), Trace() as trace:
        yield trace
