"""A comparison as one page that opens offline, in light and dark, on a phone and on a projector. It fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from anyvlm.anatomy import charts
from anyvlm.anatomy.amounts import DASH, amount
from anyvlm.anatomy.compare import Comparison, Cost, Row
from anyvlm.anatomy.svg import DARK, LIGHT, SERIES, Drawing, variables

_STYLE = """
:root{color-scheme:light dark;--font:Inter,Roboto,'Segoe UI',system-ui,-apple-system,'Helvetica Neue',Arial,sans-serif;LIGHT}
@media (prefers-color-scheme:dark){:root{DARK}}
*{box-sizing:border-box}
html{font:400 clamp(15px,.42vw + 11.2px,21px)/1.5 var(--font);color:var(--ink);background:var(--paper);
-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:118rem;padding:2.2rem clamp(1rem,3vw,3.5rem) 3rem}
h1{font-size:clamp(1.5rem,2.3vw,2.3rem);line-height:1.2;margin:0 0 .5rem;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.5rem;margin:3.2rem 0 .3rem;letter-spacing:-.01em}
p{margin:0 0 1rem;color:var(--soft);max-width:62rem}
a{color:inherit;text-underline-offset:.15em}
.dot{display:inline-block;width:.72em;height:.72em;border-radius:50%;margin-right:.42em;background:var(--c)}
.cards,.grid{display:grid;gap:1.2rem;grid-template-columns:1fr}
.card{border-top:4px solid var(--c);background:var(--panel);border-radius:0 0 .5rem .5rem;padding:1rem 1.1rem 1.1rem}
.card b{font-size:1.1rem;overflow-wrap:anywhere}.card .big{font-size:1.9rem;line-height:1.25;font-weight:600}
.card p{margin:.35rem 0 0;font-size:.93rem}
.grid{gap:2.4rem 2.2rem;margin-top:1.2rem;align-items:start}figure{margin:0;min-width:0}
@media (min-width:700px){.cards,.grid{grid-template-columns:repeat(2,minmax(0,1fr))}}
@media (min-width:1000px){.cards{grid-template-columns:repeat(COLUMNS,minmax(0,1fr))}}
@media (min-width:1000px){.grid.each{grid-template-columns:repeat(EACH,minmax(0,1fr))}}
@media (min-width:2300px){.grid.each{grid-template-columns:repeat(COLUMNS,minmax(0,1fr))}}
.keys{display:flex;flex-wrap:wrap;gap:.4rem 1.4rem;color:var(--soft);font-size:.95rem}
.keys i{display:inline-block;width:.85em;height:.85em;border-radius:2px;margin-right:.45em;vertical-align:-.06em}
table{border-collapse:collapse;width:100%;table-layout:fixed;margin-top:.8rem}
col.label{width:13.5%}
th,td{text-align:left;vertical-align:top;padding:.42rem .9rem .42rem 0;border-top:1px solid var(--line);overflow-wrap:anywhere}
thead th{border-top:0;border-bottom:2px solid var(--ink);position:sticky;top:0;background:var(--paper);padding-top:.7rem}
tbody th{font-weight:400;color:var(--soft)}
tr.group th{padding-top:1.5rem;border-top:0;font-weight:600;color:var(--ink);font-size:1.1rem}
td.same{color:var(--soft)}td.none{color:var(--soft)}
tr.more{display:none}:root:has(#more:checked) tr.more{display:table-row}
.switch{display:inline-flex;gap:.5rem;align-items:center;cursor:pointer;margin-top:.6rem;color:var(--soft)}
.switch input{width:1.05rem;height:1.05rem;accent-color:var(--vision)}
.number{font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{display:block;height:.3rem;border-radius:.15rem;background:var(--c);width:var(--share);min-width:2px;margin-top:.15rem}
footer{margin-top:3.5rem;border-top:1px solid var(--line);padding-top:1rem;font-size:.9rem}
code{font-family:ui-monospace,'SF Mono',Consolas,'DejaVu Sans Mono',monospace;font-size:.92em;overflow-wrap:anywhere}
@media (max-width:699px){
thead{display:none}table,tbody,tr,td,th{display:block}col{display:none}
:root:has(#more:checked) tr.more{display:block}
tbody th{border:0;padding:.9rem 0 .1rem;font-weight:600;color:var(--ink)}
tr.group th{border-bottom:2px solid var(--ink);padding:2rem 0 .3rem;font-size:1.2rem}
td{padding:.3rem 0 .3rem .9rem;border-left:3px solid var(--c,var(--line));border-top:0;margin-bottom:.25rem}
td::before{content:attr(data-name);display:block;font-size:.8rem;color:var(--soft)}
}
@media print{tr.more{display:none}h2{break-after:avoid}figure{break-inside:avoid}}
"""


def page(comparison: Comparison, picture: Drawing, command: str = "") -> str:
    """The whole page. `picture`: what is cut, drawn at the size of the case; `command`: what made the page."""
    count = len(comparison.names)
    each = 2 if count in (2, 4) else 3
    style = _STYLE.replace("LIGHT", variables(LIGHT)).replace("DARK", variables(DARK))
    style = style.replace("COLUMNS", str(min(count, 4))).replace("EACH", str(each))
    title = ", ".join(comparison.names)
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f"{''.join(_body(comparison, picture, command))}</body></html>\n"
    )


def _body(comparison: Comparison, picture: Drawing, command: str) -> Iterator[str]:
    yield f"<h1>{_joined(comparison.names)}</h1><p>{escape(question(comparison))}</p>"
    yield f'<div class="cards">{"".join(map(_card, range(len(comparison.cards)), [comparison] * len(comparison.cards)))}</div>'
    yield from _differences(comparison)
    yield from _costs(comparison)
    defined = Drawing(0, 0)
    defined.define(charts.PICTURE, picture)
    hidden = defined.inline().replace("width:100%;height:auto;display:block", "position:absolute;width:0;height:0")
    names = range(len(comparison.names))
    yield f"<h2>How the picture is cut</h2><p>{escape(_CUT)}</p>{hidden}"
    yield _grid([charts.cut(comparison, n) for n in names], "each")
    yield f"<h2>Where tokens and work go</h2>{_grid([charts.budget(comparison), charts.work(comparison)])}"
    keys = [f'<span><i style="background:var(--{kind})"></i>{escape(name)}</span>' for name, kind in charts.colours(comparison)]
    yield f'<h2>What the parameters are for</h2><p>{escape(_AREAS)}</p><div class="keys">{"".join(keys)}</div>'
    yield _grid([charts.treemap(comparison, n) for n in names], "each")
    yield "<h2>What larger pictures cost</h2><p>Upward, every line is ten times the one below.</p>"
    yield _grid([charts.curves(comparison, "visual"), charts.curves(comparison, "flops")])
    yield f"<footer>{''.join(f'<p>{escape(line)}</p>' for line in (*comparison.notes, _HOW))}"
    yield f"<p><code>{escape(command)}</code></p></footer>" if command else "</footer>"


_CUT = (
    "Blue frames are the arrays an encoder reads, thin lines its patches, thicker ones the rows that reach the language model; "
    "what is pale is not seen, grey is padding."
)
_MEMORY = (
    "Decoding and its cache are told at the context named, or at the longest that a system takes. Memory to train is weights "
    "and gradients in bf16 and 12 bytes of optimiser for every parameter that moves; activations, which depend on the batch, "
    "come on top."
)
_AREAS = "Areas are shares of one system's parameters; the same kind of part has the same colour in all systems."
_HOW = (
    "Every number is computed from the specs that build the models, without weights: tokens by the planner, parameters from "
    "modules without storage, FLOPs two for every multiply-add, bytes in decimal units. Speeds are rooflines of the named "
    "device, which no implementation exceeds: the larger of operations at its peak rate and bytes at its bandwidth."
)


def question(comparison: Comparison) -> str:
    """What every system is asked, in a sentence."""
    case = comparison.case
    pictures = "one picture" if case.images == 1 else f"{case.images} pictures"
    seen = [f"{pictures} of {case.size[0]:,} × {case.size[1]:,} pixels"] if case.images else []
    if case.seconds:
        rate = "" if case.fps is None else f", looked at {case.fps:g} times a second"
        seen.append(f"a video of {case.seconds:g} seconds ({case.size[0]:,} × {case.size[1]:,} pixels{rate})")
    said = f"{' and '.join([*seen, f'{case.text} tokens of text'])}; speeds at the roofline of {case.device} in {case.dtype}"
    return f"{said[0].upper()}{said[1:]}; decoding at {case.context:,} tokens."


def _joined(names: tuple[str, ...]) -> str:
    return ", ".join(map(escape, names[:-1])) + f" and {escape(names[-1])}"


def _colour(n: int) -> str:
    return f"--c:var(--{SERIES[n % len(SERIES)]})"


def _named(n: int, name: str) -> str:
    return f'<span class="dot" style="{_colour(n)}"></span>{escape(name)}'


def _card(n: int, comparison: Comparison) -> str:
    card = comparison.cards[n]
    paper = f"arXiv {card.paper}" if card.paper[:4].isdecimal() else card.paper.removeprefix("https://")
    address = f"https://arxiv.org/abs/{card.paper}" if card.paper[:4].isdecimal() else card.paper
    link = f'<a href="{escape(address)}">{escape(paper)}</a>' if card.paper else ""
    year = str(card.year) if card.year else ""
    facts = " · ".join(filter(None, (year, escape(card.licence), link)))
    total = f"{amount(card.total, 'parameters')}"
    active = "" if card.active in (0, card.total) else f", {amount(card.active, 'parameters')} for a token of text"
    return (
        f'<div class="card" style="{_colour(n)}"><b>{escape(card.name)}</b><div class="big">{total}</div>'
        f"<p>parameters{active}</p><p>{facts}</p><p>{escape(card.summary)}</p></div>"
    )


def _grid(drawings: list[Drawing], kind: str = "") -> str:
    return f'<div class="grid {kind}">{"".join(f"<figure>{each.inline()}</figure>" for each in drawings)}</div>'


def _head(comparison: Comparison) -> str:
    columns = "<col>" * len(comparison.names)
    names = "".join(f'<th scope="col">{_named(n, name)}</th>' for n, name in enumerate(comparison.names))
    return f'<colgroup><col class="label">{columns}</colgroup><thead><tr><th></th>{names}</tr></thead>'


def _title(comparison: Comparison, title: str, kind: str = "") -> str:
    across = len(comparison.names) + 1
    return f'<tr class="group {kind}"><th colspan="{across}" scope="rowgroup">{escape(title)}</th></tr>'


def _differences(comparison: Comparison) -> Iterator[str]:
    yield "<h2>What differs</h2>"
    yield '<label class="switch"><input type="checkbox" id="more">also what is alike, and the fine print</label>'
    yield f"<table>{_head(comparison)}"
    for group in comparison.differences:
        if group.title == "Origin":  # the cards say it
            continue
        shown = group.shown
        yield f"<tbody>{_title(comparison, group.title, '' if shown else 'more')}"
        for row in group.rows:
            yield _row(comparison, row, "" if row in shown else "more")
        yield "</tbody>"
    yield "</table>"


def _row(comparison: Comparison, row: Row, kind: str) -> str:
    if not row.differs:
        cells = f'<td class="same" colspan="{len(row.values)}" data-name="all">{escape(row.values[0] or DASH)}</td>'
    else:
        cells = "".join(
            f'<td class="{"" if said else "none"}" style="{_colour(n)}" data-name="{escape(name)}">{escape(said or DASH)}</td>'
            for n, (name, said) in enumerate(zip(comparison.names, row.values, strict=True))
        )
    return f'<tr class="{kind}"><th scope="row">{escape(row.label)}</th>{cells}</tr>'


def _costs(comparison: Comparison) -> Iterator[str]:
    yield f"<h2>What it costs</h2><p>{escape(_MEMORY)}</p><table>{_head(comparison)}"
    groups = dict.fromkeys(cost.group for cost in comparison.costs)
    for group in groups:
        yield f"<tbody>{_title(comparison, group)}"
        for cost in comparison.costs:
            if cost.group == group:
                yield f'<tr><th scope="row">{escape(cost.label)}</th>{_numbers(comparison, cost)}</tr>'
        yield "</tbody>"
    yield "</table>"


def _numbers(comparison: Comparison, cost: Cost) -> str:
    most = max([value for value in cost.values if value is not None], default=1)
    out = ""
    for n, (name, value) in enumerate(zip(comparison.names, cost.values, strict=True)):
        bar = "" if value is None else f'<span class="bar" style="--share:{100 * value / most:.1f}%"></span>'
        shown = f'<span class="number">{amount(value, cost.unit)}</span>{bar}'
        out += f'<td class="{"" if value is not None else "none"}" style="{_colour(n)}" data-name="{escape(name)}">{shown}</td>'
    return out
