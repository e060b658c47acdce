"""Tensors of which only the shape is known, and what is not known at all."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from math import prod


class Unseen(Exception):
    """Only the real torch knows."""


class Unknown:
    """Something of torch that is not modelled; whatever is made of it is unknown as well."""

    _what = "a value"

    def __init__(self, what: str = "a value") -> None:
        self._what = what

    def within(self, package: str) -> bool:
        """Whether it is of a package of torch, or made by something of it."""
        return f"{self._what}.".removeprefix(f"{package}.") != f"{self._what}."

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(f"{self._what}.{name}")

    def __call__(self, *_args: object, **_kwargs: object) -> Unknown:
        return Unknown(f"{self._what}()")

    def __getitem__(self, _key: object) -> Unknown:
        return Unknown(f"{self._what}[]")

    def __setitem__(self, _key: object, _value: object) -> None:
        return

    def __enter__(self) -> Unknown:
        return self

    def __exit__(self, *_error: object) -> None:
        return


def _looked(self: Unknown, *_others: object) -> object:
    raise Unseen(f"{self._what} is only known to torch")


def _made(self: object, *_others: object) -> Unknown:
    return Unknown()


for _name in ("bool", "int", "float", "index", "iter", "len", "contains", "eq", "ne", "lt", "le", "gt", "ge", "str", "format"):
    setattr(Unknown, f"__{_name}__", _looked)
for _name in ("matmul", "pow", "mod", "floordiv", "and", "or", "xor", "add", "sub", "mul", "truediv"):
    setattr(Unknown, f"__{_name}__", _made)
    setattr(Unknown, f"__r{_name}__", _made)
for _name in ("neg", "invert", "abs"):
    setattr(Unknown, f"__{_name}__", _made)
setattr(Unknown, "__hash__", object.__hash__)  # noqa: B010  (its own `__eq__` has taken it away)


class Tensor(Unknown):
    """Of it only the shape is known, as of torch's own on the meta device."""

    is_meta = True

    def __init__(self, shape: Iterable[int]) -> None:
        super().__init__("a tensor")
        self.shape = tuple(map(operator.index, shape))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def size(self) -> tuple[int, ...]:
        """The shape."""
        return self.shape

    def __len__(self) -> int:
        return self.shape[0]


def _keeps(self: Tensor, *_others: object, **_more: object) -> Tensor:
    return self


def _scaled(self: Tensor, other: object) -> Unknown:
    return Tensor(self.shape) if isinstance(other, (int, float)) else Unknown()


_SAME = ("zero_", "fill_", "normal_", "uniform_", "copy_", "requires_grad_", "detach", "contiguous", "float", "to", "clone")
for _name in _SAME:
    setattr(Tensor, _name, _keeps)
for _name in ("add", "sub", "mul", "truediv"):
    setattr(Tensor, f"__{_name}__", _scaled)
    setattr(Tensor, f"__r{_name}__", _scaled)


class Parameter(Tensor):
    """A tensor that a module counts as its own."""

    def __init__(self, data: Tensor, requires_grad: bool = True) -> None:
        if not isinstance(data, Tensor):
            raise Unseen(f"the shape of a parameter made from {type(data).__name__}")
        super().__init__(data.shape)
        self.requires_grad = requires_grad
