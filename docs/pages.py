"""The pages of the site as HTML: rows of the catalogue, mechanisms, the ledger, guides. Everything is read off specs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from math import prod
from pathlib import Path

from markdown_it import MarkdownIt

from anyvlm import registry
from anyvlm.anatomy.diagram import diagram
from anyvlm.anatomy.words import DETAILS, GROUPS, facts, stage_words
from anyvlm.catalogue import PARTS, Entry, Standing
from anyvlm.cli._words import by, link, short
from anyvlm.cli.diagram import counted
from anyvlm.dual import DualSystem, Tower
from anyvlm.ground import GroundSystem
from anyvlm.inputs.messages import ask
from anyvlm.ledger import RINGS, Row, rows
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.system import System, VisionSystem
from docs.mechanisms import Mechanism
from docs.skin import FILTER, SORT, listed, page, table

ROOT = Path(__file__).parents[1]
PICTURE = (1024, 768)
GUIDES = {
    "README.md": ("start.html", "Start"),
    "CONTRIBUTING.md": ("add.html", "Add a system"),
    "docs/words.md": ("words.html", "Words"),
    "docs/benchmarks.md": ("benchmarks.html", "Benchmarks"),
    "CHANGELOG.md": ("changes.html", "What changed"),
    "LOG.md": ("log.html", "What was tried"),
    "anyvlm/zoo/pocket.md": ("pocket.html", "anyvlm-pocket"),
    "anyvlm/zoo/pocket_embed.md": ("pocket-embed.html", "anyvlm-pocket-embed"),
}
ELSEWHERE = {"docs/ledger.md": "ledger.html", "docs/systems.md": "index.html"}
Facts = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Library:
    """All that pages are made of: the rows of the catalogue and the mechanisms that get a page of their own."""

    rows: tuple[Standing, ...]
    mechanisms: tuple[Mechanism, ...]

    @cached_property
    def pages(self) -> dict[str, str]:
        """Titles of rows by name."""
        return {row.entry.name: row.entry.title for row in self.rows}

    def link(self, row: str, words: str, up: str = "") -> str:
        """To the page of a row ("": of parts), where it has one. `up`: from the folder of the page it stands on."""
        name = row or PARTS
        return f'<a href="{up}rows/{name}.html">{words}</a>' if name in self.pages else words

    @cached_property
    def systems(self) -> dict[str, AnySystem]:
        """Every registered system."""
        return {name: registry.system(name) for name in registry.SYSTEMS}

    @cached_property
    def facts(self) -> dict[str, Facts]:
        """What is said of each."""
        return {n: {(f.group, f.label): f.words for f in facts(system)} for n, system in self.systems.items()}

    @cached_property
    def known(self) -> dict[str, Row]:
        """The ledger."""
        return {row.name: row for row in rows()}

    def of(self, row: str) -> list[AnySystem]:
        """Systems of a row, "" for parts, the smallest first."""
        found = [system for system in self.systems.values() if system.meta.row == row]
        return sorted(found, key=lambda system: self.known[system.name].parameters if system.name in self.known else 0)

    def relative(self, system: AnySystem) -> tuple[AnySystem, list[tuple[str, str, str]]] | None:
        """The system of another row that differs in the fewest facts, and these: (what, of this, of that)."""
        own = self.facts[system.name]
        alike = [other for other in self.systems.values() if type(other) is type(system)]
        others = [other for other in alike if other.meta.row not in ("", system.meta.row)]
        others = [other for other in others if other.meta.family == system.meta.family] or others
        if not others:
            return None
        near = min(others, key=lambda other: sum(map(_weight, _unlike(own, self.facts[other.name]))))
        theirs = self.facts[near.name]
        keys = sorted(_unlike(own, theirs), key=lambda key: GROUPS.index(key[0]))
        return near, [(f"{key[0]}: {key[1]}", own.get(key, ""), theirs.get(key, "")) for key in keys]


def _unlike(a: Facts, b: Facts) -> list[tuple[str, str]]:
    """What is not said alike of both, in the order in which it is said."""
    keys = dict.fromkeys(key for key in (*a, *b) if key[0] not in ("Origin", "Weights"))
    return [key for key in keys if a.get(key) != b.get(key)]


def _weight(key: tuple[str, str]) -> float:
    """How much a difference counts: how picture and text meet more than which backbone it is, recipes and details little."""
    group, label = key
    if label.endswith(DETAILS) or group in ("Prompt", "Training"):
        return 0.25
    return 4 if label in ("kind", "how", "inserted layers") else 1


# Rows -----------------------------------------------------------------------------------------------------------------


def row_page(row: Standing, library: Library) -> str:
    """One row of the catalogue, built or not."""
    entry = row.entry
    systems = library.of("" if entry.name == PARTS else entry.name)
    body = f"<h1>{escape(entry.title)}</h1><p>{mark(row)}</p>{_entry(entry)}"
    if entry.name == PARTS:
        body += "<h2>All of them</h2>" + _sizes(systems, library)
    elif systems:
        body += _built(systems, library)
    else:
        body += _absent(row, library)
    return page(entry.title, body, at=f"rows/{entry.name}.html", scripts=SORT)


def mark(row: Standing) -> str:
    """Its status, with the ring."""
    words = f"built, {row.ring}" if row.ring else row.status
    return f'<span class="mark{" built" if row.systems else ""}">{words}</span>'


def _entry(entry: Entry) -> str:
    if entry.name == PARTS:
        return "<p>Language models and encoders that stand in the registry by themselves, as parts for others.</p>"
    paper = f'<a href="{escape(link(entry.paper))}">{escape(entry.paper)}</a>' if entry.paper else ""
    repo = f'<a href="https://github.com/{entry.repo}">{escape(entry.repo)}</a>' if entry.repo else ""
    family = f'<a href="../index.html#family={entry.family}">{entry.family}</a>'
    ways = f"{', '.join(entry.inputs)} → {', '.join(entry.outputs)}"
    return listed([
        ("catalogue", f"{entry.kind}, {entry.year}, family {family}"), ("paper", paper), ("code of its authors", repo),
        ("takes and gives, in its paper", ways),
    ])  # fmt: skip


def _absent(row: Standing, library: Library) -> str:
    entry = row.entry
    said = _code(f"It is not a model. Instead: {entry.instead}.") if entry.instead else "It is planned, and not built yet."
    size = f" The smallest released model is {escape(entry.size)}." if entry.size else ""
    near = [each for each in library.rows if each.systems and each.entry.family == entry.family][:12]
    links = ", ".join(library.link(each.entry.name, escape(each.entry.title), "../") for each in near)
    return f"<p>{said}{size}</p>" + (f"<h2>Built, of the same family</h2><p>{links}</p>" if links else "")


def _code(words: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words, quote=False))


def _built(systems: Sequence[AnySystem], library: Library) -> str:
    lead = _lead(systems, library)
    body = f'<p class="lead">{escape(lead.meta.summary)}</p>' if lead.meta.summary else ""
    for system in _kinds(systems, lead):
        body += f'<div class="drawing">{diagram(system, counted(system)).inline()}</div>'
    body += "<h2>Systems</h2>" + _sizes(systems, library)
    body += f"<h2>How to run it</h2><pre><code>{escape(chr(10).join(commands(lead)))}</code></pre>" + _python(lead)
    said = library.facts[lead.name]
    body += f"<h2>What it is made of</h2><p class=soft>Of <code>{lead.name}</code>.</p>"
    for group in (group for group in GROUPS if group not in ("Origin", "Prompt", "Training")):
        told = [(label, escape(words)) for (of, label), words in said.items() if of == group]
        body += f"<h3>{group}</h3>{listed(told)}" if told else ""
    if isinstance(lead, System):
        body += f'<h2>Prompt</h2><pre class="wrap"><code>{_prompt(lead)}</code></pre>'
    if found := library.relative(lead):
        near, unlike = found
        lines = [
            (what.endswith(DETAILS), [f"<b>{escape(what)}</b>", escape(own) or "–", escape(other) or "–"])
            for what, own, other in unlike
        ]
        name = library.link(near.meta.row, near.name, "../")
        body += "<h2>Beside its nearest relative</h2>"
        body += f"<p>Of the same lineage, if that has other rows, {name} differs from it least.</p>"
        head, first = ["", lead.name, near.name], [line for small, line in lines if not small]
        body += table(head, first, style="beside") if first else "<p>They differ in weights and details alone.</p>"
        if more := [line for small, line in lines if small]:
            body += f"<details><summary>Details</summary>{table(head, more, style='beside')}</details>"
    return body + _stages(lead) + _mechanisms(systems, library)


def _lead(systems: Sequence[AnySystem], library: Library) -> AnySystem:
    """The one in the middle of those that have passed the outermost ring."""
    ranks = {s.name: (("", *RINGS).index(library.known[s.name].ring) if s.name in library.known else 0) for s in systems}
    best = [system for system in systems if ranks[system.name] == max(ranks.values())]
    return best[(len(best) - 1) // 2]


def _kinds(systems: Sequence[AnySystem], lead: AnySystem) -> list[AnySystem]:
    """One system for each way in which parts are put together, the lead first."""
    found: dict[tuple[str, ...], AnySystem] = {_shape(lead): lead}
    for system in systems:
        found.setdefault(_shape(system), system)
    return list(found.values())


def _shape(system: AnySystem) -> tuple[str, ...]:
    """What its parts are, sizes aside."""
    match system:
        case System():
            parts: list[object] = [system.lm, *(p for s in system.streams.values() for p in (s.encoder, s.connector))]
        case DualSystem():
            parts = [tower.encoder for tower in system.towers.values()]
        case _:
            parts = [system.encoder]
    return (type(system).__name__, *(type(part).__name__ for part in parts))


def _sizes(systems: Sequence[AnySystem], library: Library) -> str:
    lines = []
    for system in systems:
        row = library.known.get(system.name)
        count = f"{row.parameters}|{short(row.parameters)}" if row else "0|"
        different = f"{row.difference}|{row.difference:.1e}" if row and row.difference is not None else "1|"
        rings = ", ".join(row.rings) if row else ""
        name, licence = f'<code class="nowrap">{system.name}</code>', escape(system.meta.license)
        reference = escape(row.reference) if row else ""
        lines.append([name, count, _whole(_tokens(system)), licence, _whole(rings), different, reference])
    wide, high = PICTURE
    head = ["name", "parameters", f"picture of {wide} × {high}", "licence", "tests passed", "difference", "from"]
    return table(head, lines, numbers=(1, 5), sorts=True, style="sizes")


def _whole(words: str) -> str:
    return f'<span class="nowrap">{escape(words)}</span>'


def _tokens(system: AnySystem) -> str:
    """What becomes of a picture."""
    match system:
        case System() if system.streams:
            stream = next(iter(system.streams.values()))
            cut = stream.policy.cut(*PICTURE)
            tokens = sum(1 if isinstance(cell, str) else prod(cell) for cell in stream.cells(cut))
            return f"{tokens:,} {'rows beside' if stream.reach else 'tokens'}"
        case DualSystem() if isinstance(tower := system.towers.get("image"), Tower):
            h, w = tower.policy.cut(*PICTURE).sizes[0]
            return f"{by((w, h))} pixels, {system.shared:,} numbers"
        case System() | DualSystem():
            return ""
        case GroundSystem():
            h, w = system.policy.cut(*PICTURE).sizes[0]
            return f"{by((w, h))} pixels, {sum(map(prod, system.maps((h, w)))):,} places"
    return f"{by(system.policy.size[::-1])} pixels"


def commands(system: AnySystem) -> list[str]:
    """What one can type. Every line is checked against the command line by a test."""
    name, lines = system.name, []
    match system:
        case System() if system.streams:
            lines.append(f'anyvlm ask picture.png "What is in the picture?" --model {name}')
            lines.append(f"anyvlm tokens picture.png --model {name}")
            if any(stream.film for stream in system.streams.values()):
                lines.append(f'anyvlm ask "What happens?" --video film.mp4 --model {name}')
            if system.painting and system.code and system.code.draws:
                lines.append(f'anyvlm paint "a lighthouse at night" --model {name} -o lighthouse.png')
        case System():
            lines.append(f'anyvlm ask "What is the capital of France?" --model {name}')
        case DualSystem() if {"image", "text"} <= system.towers.keys():
            lines += [
                f"anyvlm classify picture.png --labels cat,dog --model {name}", f"anyvlm index pictures --model {name}",
                'anyvlm search pictures "a dog in the snow"',
            ]  # fmt: skip
    chosen = f" --stage {system.stages[-1].name}" if system.stages else ""
    lines += [f"anyvlm show {name}", f"anyvlm diagram {name} -o {name}.svg{chosen}"]
    lines.append(f"anyvlm compare {name} {next(other for other in _BESIDE[type(system)] if other != name)} --html beside.html")
    return [*lines, *_estimates(system), *_remixes(system)]


_BESIDE: dict[type[AnySystem], tuple[str, str]] = {
    System: ("llava-1.5-7b", "flamingo-9b"), DualSystem: ("clip-vit-b-32", "siglip-vit-b-16-224"),
    MatchSystem: ("blip-itm-base-coco", "clip-vit-b-32"), GroundSystem: ("glip-t", "clip-vit-b-32"),
    VisionSystem: ("dinov2-small", "clip-vit-b-32"),
}  # fmt: skip
"""What people know of every kind: the first that is not the system itself is laid beside it."""


def _estimates(system: AnySystem) -> Iterator[str]:
    if isinstance(system, System | DualSystem | VisionSystem):
        learns = [stage.name for stage in system.stages if "next_token" in stage.losses]
        chosen = f" --stage {learns[-1]}" if learns and isinstance(system, System) else ""
        yield f"anyvlm estimate {system.name} --gpu 24GB{chosen}"


def _remixes(system: AnySystem) -> Iterator[str]:
    """With another eye; or its own eye for LLaVA, from what has one and no language model."""
    match system:
        case System():
            if system.streams and not system.painting and not system.embedding and system.lm.context > 64:
                yield f"anyvlm remix {system.name} --encoder siglip-so400m-384 --connector perceiver -o my.system.json"
        case GroundSystem():
            return  # its eye gives maps of several sizes
        case DualSystem() if not isinstance(system.towers.get("image"), Tower):
            return
        case _:
            yield f"anyvlm remix llava-1.5-7b --encoder {system.name} -o my.system.json"


def _python(system: AnySystem) -> str:
    calls = {
        System: 'model.ask("picture.png", "What is in the picture?")',
        MatchSystem: 'model.match("picture.png", ["a cat", "a dog"])',
    }
    call = next((call for kind, call in calls.items() if isinstance(system, kind)), "")
    if not call and not isinstance(system, DualSystem):
        call = 'model.encode("picture.png")'
    if isinstance(system, GroundSystem):  # until it has its heads
        text = "import anyvlm\nfrom anyvlm.weights.load import load_module\n\n"
        text += f'module = load_module(anyvlm.system("{system.name}"))'
    else:
        text = f'import anyvlm\n\nmodel = anyvlm.load("{system.name}")' + f"\nprint({call})" * bool(call)
    return f"<pre><code>{escape(text)}</code></pre>"


def _prompt(system: System) -> str:
    """One question as the tokenizer gets it."""
    asked = ask(["a picture"] if system.streams else [], "What is in the picture?")
    pieces = system.template.render(asked)
    return "".join(f'<span class="{piece.kind}">{escape(piece.text)}</span>' for piece in pieces)


def _stages(system: AnySystem) -> str:
    if not system.stages:
        return "<h2>Stages</h2><p>No recipe is recorded.</p>"
    lines = []
    for stage in system.stages:
        long = f"{stage.epochs:g} epochs" if stage.epochs else f"{stage.steps:,} steps" if stage.steps else "–"
        words = stage_words(stage).partition("trains ")[2].partition(";")[0]
        losses = ", ".join(f"{name} × {weight:g}" if weight != 1 else name for name, weight in stage.losses.items())
        lines.append([
            escape(stage.name), escape(words), escape(", ".join(stage.data)) or "–", escape(losses.replace("_", " ")),
            f"{stage.lr:g}" if stage.lr is not None else "–", f"{stage.batch:,}" if stage.batch else "–", long,
            escape(stage.note),
        ])  # fmt: skip
    head = ["stage", "trains", "on", "losses", "rate", "batch", "for", ""]
    intro = "<h2>Stages</h2><p class=soft>In the paper's numbers; – where it gives none.</p>"
    return intro + table(head, lines, numbers=(4, 5))


def _mechanisms(systems: Sequence[AnySystem], library: Library) -> str:
    used = [each for each in library.mechanisms if each.found(systems)]
    links = "".join(f'<li><a href="../mechanisms/{each.slug}.html">{escape(each.title)}</a></li>' for each in used)
    return f"<h2>Mechanisms</h2><ul>{links}</ul>" if links else ""


# Other pages ----------------------------------------------------------------------------------------------------------


def index_page(library: Library) -> str:
    """All rows, with search and filters."""
    families = list(dict.fromkeys(row.entry.family for row in library.rows))
    ordered = sorted(library.rows, key=lambda row: families.index(row.entry.family))
    lines = []
    for row in ordered:
        entry = row.entry
        counts = [one.parameters for one in row.systems if one.parameters]
        size = entry.instead or entry.size
        if counts:
            size = short(min(counts)) + (f" to {short(max(counts))}" if max(counts) > min(counts) else "")
        words = " ".join((entry.name, entry.title, entry.family, entry.kind, entry.repo, size, *(s.name for s in row.systems)))
        status = row.status.replace(" ", "-")
        many = str(len(row.systems)) if row.systems else ""
        lines.append(
            f'<tr data-t="{escape(words.lower())}" data-family="{entry.family}" data-status="{status}" '
            f'data-io="{" ".join((*entry.inputs, *entry.outputs))}">'
            f'<td><a href="rows/{entry.name}.html">{escape(entry.title)}</a></td>'
            f'<td class="narrow">{entry.family}</td><td class="n narrow">{entry.year or ""}</td><td>{mark(row)}</td>'
            f'<td class="n narrow">{many}</td><td class="{"" if counts else "soft"}">{_code(size)}</td></tr>'
        )
    built = [row for row in library.rows if row.systems and row.entry.name != PARTS]
    rest = [row for row in library.rows if not row.systems and row.status == "planned"]
    total = sum(row.entry.name != PARTS for row in library.rows)
    ways = sorted({name for row in library.rows for name in (*row.entry.inputs, *row.entry.outputs)} - {"text"})
    other = total - len(built) - len(rest)
    head = ("system", "family", "year", "status", "names", "size")
    cells = "".join(f'<th data-k{_css(name)}>{name}</th>' for name in head)
    return page(
        "Systems",
        f"<h1>Every vision-language system, as compositions of shared parts</h1><p class=lead>{total} rows of the literature: "
        f"{len(built)} built, {len(rest)} planned, {other} that are no models. {len(registry.SYSTEMS)} names can be loaded.</p>"
        f'<div class="bar" role="img" aria-label="{len(built)} of {total} built"><i style="flex:{len(built)}"></i>'
        f'<i style="flex:{other}"></i><span style="flex:{len(rest)}"></span></div>'
        '<div class="filters"><input type="search" data-q placeholder="Search names, titles, repositories" aria-label="Search">'
        f"{_select('status', ['built', 'planned', 'not-a-model'])}{_select('family', families)}"
        f"{_select('io', ways, 'input or output')}"
        '<span class="soft" data-n></span></div>'
        f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>',
        at="index.html", scripts=FILTER + SORT,
    )  # fmt: skip


def _css(name: str) -> str:
    classes = " ".join(filter(None, ("n" * (name in ("year", "names")), "narrow" * (name in ("family", "year", "names")))))
    return f' class="{classes}"' if classes else ""


def _select(name: str, options: Sequence[str], label: str = "") -> str:
    shown = {each: each.replace("-", " ") if name == "status" else each for each in options}
    inner = "".join(f'<option value="{each}">{words}</option>' for each, words in shown.items())
    label = label or name
    return f'<select data-f="{name}" aria-label="{label}"><option value="">any {label}</option>{inner}</select>'


def ledger_page(library: Library) -> str:
    """Every registered name with what tests have shown."""
    lines = []
    for name, system in library.systems.items():
        row, place = library.known.get(name), system.meta.row or PARTS
        cells = [library.link(place, _whole(name)), place]
        if row:
            number = f'data-v="{row.difference}">{row.difference:.1e}' if row.difference is not None else 'data-v="1">'
            cells += [f'<td class="n" data-v="{row.parameters}">{short(row.parameters)}</td>', row.ring]
            cells += [f'<td class="n" {number}</td>', escape(row.reference), _whole(row.date)]
        tds = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in cells)
        words = f"{name} {place} {row.reference if row else ''}".lower()
        lines.append(f'<tr data-t="{escape(words)}" data-ring="{" ".join(row.rings) if row else ""}">{tds}</tr>')
    heads = ("system", "row", "parameters", "ring", "difference", "from", "date")
    cells_ = "".join(f"<th data-k{' class=n' * (head in heads[2:5:2])}>{head}</th>" for head in heads)
    return page(
        "Ledger",
        "<h1>Ledger</h1><p class=lead>What tests have shown of every name. The ring is the outermost one passed: laws on a "
        "tiny twin, manifest of all names and shapes, parity with a reference class, golden values of the authors' code, "
        "behaviour on real data. The difference is the largest seen in any comparison.</p>"
        '<div class="filters"><input type="search" data-q placeholder="Search" aria-label="Search">'
        f'{_select("ring", RINGS)}<span class="soft" data-n></span></div>'
        f'<div class="wide"><table><thead><tr>{cells_}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>',
        at="ledger.html", scripts=FILTER + SORT,
    )  # fmt: skip


def mechanisms_page(library: Library) -> str:
    """The table of mechanisms."""
    lines = []
    for each in library.mechanisms:
        found = {system.meta.row or PARTS for system in each.found(library.systems.values())}
        lines.append([f'<a href="mechanisms/{each.slug}.html">{escape(each.title)}</a>', _code(each.said), str(len(found))])
    intro = "<h1>Mechanisms</h1><p class=lead>What papers add to the common frame, how it is said, and in how many rows.</p>"
    return page("Mechanisms", intro + table(["mechanism", "said by", "rows"], lines, numbers=(2,)), at="mechanisms.html")


def mechanism_page(each: Mechanism, library: Library) -> str:
    """One mechanism: how it is said, what its parts are, which systems use it, the file to read."""
    found = each.found(library.systems.values())
    body = f"<h1>{escape(each.title[0].upper() + each.title[1:])}</h1>"
    body += listed([("said by", _code(each.said)), ("a test must show", escape(each.invariant))])
    for name in each.classes:
        if text := _explained(name, found):
            body += f'<h3><code>{name}</code></h3><p class="wrap">{_code(text)}</p>'
    rows_: dict[str, list[str]] = {}
    for system in found:
        rows_.setdefault(system.meta.row or PARTS, []).append(system.name)
    titles = library.pages
    lines = [[library.link(row, escape(titles.get(row, row)), "../"), escape(", ".join(n))] for row, n in rows_.items()]
    body += "<h2>Systems</h2>" + table(["row", "names"], lines)
    if found:
        chosen = next((s for file in each.files for s in found if registry.SYSTEMS[s.name].startswith(f"{file}:")), found[0])
        body += f'<h2>For example</h2><div class="drawing">{diagram(chosen, counted(chosen)).inline()}</div>'
    for file in each.files:
        path = ROOT / "anyvlm" / "zoo" / f"{file}.py"
        body += f"<h2><code>anyvlm/zoo/{file}.py</code></h2><pre><code>{escape(path.read_text(encoding='utf-8'))}</code></pre>"
    return page(each.title, body, at=f"mechanisms/{each.slug}.html")


def _explained(name: str, systems: Sequence[AnySystem]) -> str:
    """The docstring of a spec, as one paragraph a line."""
    for system in systems:
        for _, spec in system.walk():
            for cls in type(spec).__mro__:
                if cls.__name__ == name and cls.__doc__:
                    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(cls) or "")
    return ""


def guide_page(source: str) -> str:
    """A document of the repository; links to files that have no page here are left as text."""
    markdown = MarkdownIt("commonmark").enable("table")
    address, title = GUIDES[source]
    html = markdown.render((ROOT / source).read_text(encoding="utf-8"))
    folder = Path(source).parent

    def linked(found: re.Match[str]) -> str:
        target, words = found[1], found[2]
        if target.startswith(("http://", "https://", "#")):
            return found[0]
        path = (folder / target.partition("#")[0]).as_posix()
        place = GUIDES[path][0] if path in GUIDES else ELSEWHERE.get(path)
        return f'<a href="{place}">{words}</a>' if place else words

    html = re.sub(r'<a href="([^"]*)">(.*?)</a>', linked, html)
    html = re.sub(r"<img[^>]*>", "", html)
    html = html.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return page(title, html, at=address)
