"""Jinja templates of others, run with what transformers offers them (utils/chat_template_utils.py, 5.23) and with bounds.

Loops, ranges, numbers and texts are bounded, which stops accidents and the attacks we know of, not every one: a server
must not take templates from its clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from anyvlm.errors import InputError, SpecError

Render: TypeAlias = Callable[[Mapping[str, object]], str]

ROUNDS = 100_000
"""Rounds of all loops of one rendering together."""
SIZE = 1_000_000
"""The largest number, and the longest text or list, output included."""


@lru_cache(maxsize=8)
def compiled(source: str) -> Render:
    """A function from variables to text. It raises InputError where the template itself refuses, SpecError where it fails."""
    with_bounds = _Environment()
    try:
        template = with_bounds.from_string(source)
    except (jinja2.TemplateError, RecursionError) as error:
        raise SpecError(f"The chat template cannot be used: {error}") from None

    def render(values: Mapping[str, object]) -> str:
        written: list[str] = []
        size = 0
        try:
            for part in template.generate(**values, _rounds=[0]):
                size += len(part)
                _bounded(size)
                written.append(part)
        except _Refused as refusal:
            raise InputError(f"The model's chat template refuses the conversation: {refusal}") from None
        except jinja2.TemplateError as error:
            raise SpecError(f"The chat template cannot be used: {error}") from None
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
            raise SpecError(f"The chat template fails on this conversation ({type(error).__name__}).") from None
        return "".join(written)

    return render


class _Refused(jinja2.TemplateError):
    """raise_exception() of a template."""


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
        self.filters |= {"tojson": _to_json, "_counted": _counted, "_bounded": _bounded}
        del self.filters["format"]  # "%999999999d" is a short text for a long one
        self.globals = {
            "raise_exception": _refuse,
            "strftime_now": lambda form: datetime.now().strftime(form),
            "range": range,  # its numbers are bounded, as all are, and so are the rounds over it
            "dict": lambda *pairs, **items: dict(*pairs, **items),
            "namespace": _namespace,
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Bounds().visit(super()._parse(source, name, filename))
        return tree

    def wrap_str_format(self, value: object) -> None:
        if super().wrap_str_format(value) is not None:
            raise SecurityError("str.format is not available.")

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        for text, times in ((left, right), (right, left)):
            if operator == "*" and isinstance(text, (str, list, tuple)) and isinstance(times, int):
                _bounded(len(text) * times)
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise jinja2.TemplateRuntimeError(f"the operator {operator} is not available.")
        return _bounded(super().call_binop(context, operator, left, right))


class _Bounds(NodeTransformer):
    """Wraps what can grow: rounds of loops, and the results of calls, filters and joins."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_counted")
        return node

    def visit_result(self, node: nodes.Expr) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_bounded")

    visit_Call = visit_Filter = visit_Concat = visit_Const = visit_result

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        self.generic_visit(node.call)  # a call block needs the bare call
        node.body = [self.visit(each) for each in node.body]
        return node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None)


@jinja2.pass_context
def _counted(context: Context, items: Iterable[object]) -> Iterator[object]:
    rounds = context["_rounds"]
    for item in items:
        rounds[0] += 1
        if rounds[0] > ROUNDS:
            raise jinja2.TemplateRuntimeError(f"it loops more than {ROUNDS} times.")
        yield item


def _bounded(value: object) -> object:
    size = abs(value) if isinstance(value, int) else len(value) if isinstance(value, (str, list, tuple, dict)) else 0
    if size > SIZE:
        raise jinja2.TemplateRuntimeError(f"it makes a number or text beyond {SIZE}.")
    return value


def _refuse(message: str) -> None:
    raise _Refused(message)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class _Namespace(Namespace):
    """Without names that begin with an underscore, which could pass for Python's own."""

    def __setitem__(self, name: str, value: object) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _namespace(*pairs: object, **items: object) -> _Namespace:
    for name in (values := dict(*pairs, **items)):
        _check_name(name)
    return _Namespace(values)


def _check_name(name: str) -> None:
    if name[:1] == "_":
        raise SecurityError(f"the name {name} is not available.")


class _Generation(jinja2.ext.Extension):
    """``{% generation %}...{% endgeneration %}`` marks answers for transformers' trainers; here it is only read over."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
