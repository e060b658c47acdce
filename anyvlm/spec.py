"""Specs: frozen descriptions of parts, edited as a tree before anything is built.

A spec holds numbers, strings, tuples, other specs and dictionaries of specs; nothing else. It can therefore be compared,
printed, changed and stored as JSON. The module a spec builds mirrors the spec tree.
"""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Literal, Self, TypeAlias, Union, get_args, get_origin

from anyvlm.errors import SpecError

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | Json"
Json: TypeAlias = dict[str, JsonValue]

_TAG = "spec"  # the JSON field that names the class


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of every spec. Subclasses are frozen, keyword-only dataclasses."""

    def but(self, **changes: object) -> Self:
        """A copy with changes; ``lm__depth=2`` reaches into the nested spec ``lm``.

        The step after a dictionary or tuple field is its key or index: ``streams__image__encoder__depth=1``.
        Raises SpecError for a name that does not exist.
        """
        flat: dict[str, object] = {}
        nested: dict[str, dict[str, object]] = {}
        for name, value in changes.items():
            head, _, rest = name.partition("__")
            if head not in _types(type(self)):
                raise SpecError(f"{type(self).__name__} has no field '{head}'; it has {', '.join(_types(type(self)))}.")
            if rest:
                nested.setdefault(head, {})[rest] = value
            else:
                flat[head] = value
        for head, inner in nested.items():
            flat[head] = _but(flat.get(head, getattr(self, head)), inner, f"{type(self).__name__}.{head}")
        return replace(self, **flat)

    def walk(self, path: str = "") -> Iterator[tuple[str, Spec]]:
        """Every spec of the tree with its dotted path, this one first."""
        yield path, self
        for field in fields(self):
            yield from _walk(getattr(self, field.name), f"{path}.{field.name}" if path else field.name)


def _but(value: object, changes: dict[str, object], at: str) -> object:
    if isinstance(value, Spec):
        return value.but(**changes)
    if not isinstance(value, (dict, tuple)):
        raise SpecError(f"{at} is {value!r}: it has no parts to change.")
    items: dict[object, object] = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    for name, change in changes.items():
        head, _, rest = name.partition("__")
        key: object = head if isinstance(value, dict) else int(head) if head.isdecimal() else head
        if key not in items:
            raise SpecError(f"{at} has no '{head}'; it has {', '.join(map(str, items)) or 'nothing'}.")
        items[key] = _but(items[key], {rest: change}, f"{at}.{head}") if rest else change
    return items if isinstance(value, dict) else tuple(items.values())


def _walk(value: object, path: str) -> Iterator[tuple[str, Spec]]:
    if isinstance(value, Spec):
        yield from value.walk(path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{path}.{key}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}.{index}")


@dataclass(frozen=True)
class Difference:
    """One field in which two specs differ; None stands for "not there"."""

    path: str
    a: object
    b: object


def diff(a: Spec, b: Spec) -> tuple[Difference, ...]:
    """The fields in which two specs differ, as deep as both sides have the same class."""
    return tuple(_diff(a, b, ""))


def _diff(a: object, b: object, path: str) -> Iterator[Difference]:
    if isinstance(a, Spec) and type(a) is type(b):
        for field in fields(a):
            yield from _diff(
                getattr(a, field.name), getattr(b, field.name), f"{path}.{field.name}" if path else field.name
            )
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            yield from _diff(a.get(key), b.get(key), f"{path}.{key}")
    elif isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) and any(isinstance(x, Spec) for x in a):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _diff(x, y, f"{path}.{index}")
    elif a != b:
        yield Difference(path, a, b)


# JSON -----------------------------------------------------------------------------------------------------------------


def to_json(spec: Spec) -> Json:
    """The spec as plain JSON values; the field "spec" names the class, every field is written out."""
    name = f"{type(spec).__module__.removeprefix('anyvlm.')}:{type(spec).__name__}"
    return {_TAG: name} | {field.name: _dump(getattr(spec, field.name)) for field in fields(spec)}


def _dump(value: object) -> JsonValue:
    if isinstance(value, Spec):
        return to_json(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (tuple, list)):
        return [_dump(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _dump(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise SpecError(f"A spec cannot hold a {type(value).__name__}: {value!r}.")


def from_json(data: object, path: str = "spec") -> Spec:
    """The spec a JSON value describes. Unknown fields, missing fields and wrong types raise SpecError with their path."""
    if not isinstance(data, dict) or not isinstance(data.get(_TAG), str):
        raise SpecError(f"{path}: expected an object with a field '{_TAG}' that names its class.")
    cls = _class(data[_TAG], path)
    hints = _types(cls)
    unknown = sorted(data.keys() - hints.keys() - {_TAG})
    if unknown:
        raise SpecError(
            f"{path}: {cls.__name__} has no field {', '.join(map(repr, unknown))}; it has {', '.join(hints)}."
        )
    values = {name: _load(data[name], hint, f"{path}.{name}") for name, hint in hints.items() if name in data}
    try:
        return cls(**values)
    except TypeError as error:  # a required field is missing
        raise SpecError(f"{path}: {str(error).replace('.__init__()', '')}.") from None


def _class(tag: str, path: str) -> type[Spec]:
    module, _, name = tag.partition(":")
    try:
        found = getattr(importlib.import_module(f"anyvlm.{module}"), name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, Spec) and is_dataclass(found)):
        raise SpecError(f"{path}: '{tag}' is not a spec of this version of anyvlm.")
    return found


def _types(cls: type) -> dict[str, object]:
    """The fields of a spec class and their types."""
    return _hints(cls)


@cache
def _hints(cls: type) -> dict[str, object]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _load(value: object, hint: object, path: str) -> object:
    """`value` as the type `hint`; raises SpecError with the path where it does not fit."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _load_union(value, args, path)
    if origin is Literal:
        if value in args:
            return value
        raise SpecError(f"{path}: {value!r} is not one of {', '.join(map(repr, args))}.")
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = args[:1] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        if len(kinds) == len(value):
            return tuple(
                _load(item, kind, f"{path}[{n}]") for n, (item, kind) in enumerate(zip(value, kinds, strict=True))
            )
    elif origin in (dict, Mapping) and isinstance(value, dict):
        return {str(key): _load(item, args[1], f"{path}.{key}") for key, item in value.items()}
    elif isinstance(hint, type):
        if issubclass(hint, Enum) and isinstance(value, str) and value in hint.__members__:
            return hint[value]
        if issubclass(hint, Spec):
            found = from_json(value, path)
            if isinstance(found, hint):
                return found
        if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if type(value) is hint and hint in (int, str, bool, type(None)):
            return value
    shown = getattr(hint, "__name__", str(hint)) if not args else str(hint)
    raise SpecError(f"{path}: expected {shown}, found {value!r}.")


def _load_union(value: object, options: tuple[object, ...], path: str) -> object:
    problems = []
    for option in sorted(options, key=lambda option: option is float):  # 1 is an int before it is a float
        try:
            return _load(value, option, path)
        except SpecError as error:
            problems.append(error)
    # the deepest complaint is about the option that was meant
    raise max(problems, key=lambda error: len(str(error).split(": ", 1)[0]))
