"""Numbers for people: tokens, FLOPs, bytes, seconds, each with its unit."""

from __future__ import annotations

_STEPS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
DASH = "–"


def amount(number: float | None, unit: str) -> str:
    """8504297914368 FLOPs -> "8.50 TFLOPs"; 576 tokens -> "576"; a dash where there is none."""
    if number is None:
        return DASH
    match unit:
        case "tokens":
            return f"{number:,.0f}"
        case "FLOPs":
            return _scaled(number, "FLOPs")
        case "bytes":
            return _scaled(number, "B")
        case "parameters":
            return _scaled(number, "").replace("G", "B").rstrip()
        case "seconds":
            return _digits(number * 1000) + " ms" if number < 1 else _digits(number) + " s"
    return f"{_digits(number)} {unit}" if unit else _digits(number)


def _scaled(number: float, unit: str) -> str:
    for step, letter in _STEPS:
        if number >= 0.9995 * step:
            return f"{_digits(number / step)} {letter}{unit}"
    return f"{number:,.0f} {unit}"


def _digits(number: float) -> str:
    """Three digits that say something."""
    if number >= 99.95:
        return f"{number:,.0f}"
    if number >= 9.995:
        return f"{number:.1f}"
    return f"{number:.2f}" if number >= 0.01 else f"{number:.1g}"
