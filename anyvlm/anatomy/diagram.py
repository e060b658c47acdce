"""A system as a drawing at slide size: cards from inputs to outputs, the stack of layers, what stages train in colour."""

from __future__ import annotations

from collections.abc import Sequence

from anyvlm.anatomy.cards import Body, Card, Count, Scheme, State, scheme
from anyvlm.anatomy.svg import BOLD, Drawing, fitted, measure, wrapped
from anyvlm.anatomy.words import stage_words
from anyvlm.errors import InputError
from anyvlm.match import AnySystem

WIDTH, HEIGHT = 1280, 720
_EDGE, _TOP, _FOOT = 36, 124, 652  # margins at the sides; where cards begin and end
_LABEL, _TITLE, _LINE = 12.5, 17, 14  # sizes of text
_PAD, _STEP = 13, 18.5  # inside a card; from line to line
_PIP = 17  # side of a stage's square
_GAP = 30  # between columns
_STACK = 66  # width of a stack of layers
_WIDER, _BOLDER = 1.1, 1.14  # the widest common typeface (DejaVu), and its bold, against what is measured
_EDGES = {"trained": "connector", "lora": "connector", "partly": "connector", "frozen": "vision"}
_FILLS = {"trained": "trained", "lora": "frozen", "partly": "trained", "frozen": "frozen"}
_NAMES: dict[State, str] = {
    "trained": "trained", "partly": "trained in part", "lora": "low-rank updates", "frozen": "frozen"
}  # fmt: skip


def diagram(system: AnySystem, count: Count, stage: str | None = None) -> Drawing:
    """The drawing. `stage`: cards in the colours of that stage; else a square on each card for every stage.

    Raises InputError for a stage it does not have.
    """
    return _Sheet(scheme(system, count), stage).draw()


class _Sheet:
    def __init__(self, plan: Scheme, stage: str | None) -> None:
        names = [each.name for each in plan.stages]
        if stage is not None and stage not in names:
            raise InputError(f"'{plan.title}' has no stage '{stage}'; it has {', '.join(names) or 'none'}.")
        self.plan, self.stage = plan, None if stage is None else names.index(stage)
        self.out = Drawing(WIDTH, HEIGHT, f"Architecture of {plan.title}")

    def draw(self) -> Drawing:
        """Everything."""
        plan = self.plan
        self.out.rect(0, 0, WIDTH, HEIGHT, "paper")
        self.out.text(_EDGE, 62, plan.title, 32, bold=True, room=(WIDTH - 2 * _EDGE) / _BOLDER)
        self.out.text(_EDGE, 92, plan.about, 16, fill="soft", room=(WIDTH - 2 * _EDGE) / _WIDER)
        lanes = max((len(lane) for lane in plan.lanes), default=1 if plan.text else 0)
        across = WIDTH - 2 * _EDGE
        ends = 0 if not plan.outputs else 150 if lanes > 1 else 240
        middle = 340 if lanes >= 3 else 400 if plan.lanes else 520
        card = min((across - ends - middle - _GAP * (lanes + bool(ends))) / max(lanes, 1), 300)
        whole = card * lanes + middle + ends + _GAP * (lanes + bool(ends))
        left = _EDGE + (across - whole) / 2
        at = [left + n * (card + _GAP) for n in range(lanes)]
        body = (left + lanes * (card + _GAP), middle)
        self._body(*body)
        self._lanes(at, card, body[0])
        if plan.outputs:
            self._outputs(body[0] + middle + _GAP, ends, body[0] + middle)
        self._legend()
        return self.out

    # Ways in

    def _lanes(self, at: Sequence[float], width: float, body: float) -> None:
        plan = self.plan
        foot = self._foot()
        if plan.text is not None:
            height = self._text_height()
            y = _FOOT - height
            self._card(plan.text, at[0], y, width, height)
            middle = y + height / 2
            self.out.arrow([(at[0] + width, middle), (body, middle)], thick=2, head=9)
            if plan.told:
                x = at[-1] + width / 2
                tall = min(self._height(plan.lanes[0][-1], width), foot - _TOP)
                self.out.arrow([(x, middle), (x, self._middle() + tall / 2)], thick=2, head=9)
        for n, lane in enumerate(plan.lanes):
            top, end = self._lane_box(n, foot)
            centre = (top + end) / 2
            first, *rest = lane
            if n == 0 and plan.beside:
                self._ways((first, *plan.beside), at[0], width, (top, end), at[1])
            else:
                rest = list(lane)
            for x, card in zip(at[len(lane) - len(rest) :], rest, strict=True):
                height = min(self._height(card, width), end - top)
                self._card(card, x, centre - height / 2, width, height)
                to = body if card is lane[-1] else x + width + _GAP
                self.out.arrow([(x + width, centre), (to, centre)], thick=2, head=9)

    def _ways(self, cards: Sequence[Card], x: float, width: float, box: tuple[float, float], to: float) -> None:
        """Cards above each other whose arrows meet in one."""
        room, centre = box[1] - box[0], sum(box) / 2
        heights = [min(self._height(card, width), (room - 20) / len(cards)) for card in cards]
        y = centre - (sum(heights) + 20 * (len(cards) - 1)) / 2
        turn = (x + width + to) / 2
        for card, height in zip(cards, heights, strict=True):
            self._card(card, x, y, width, height)
            middle = y + height / 2
            self.out.path([(x + width, middle), (turn, middle), (turn, centre)], stroke="soft", thick=2)
            y += height + 20
        self.out.arrow([(turn, centre), (to, centre)], thick=2, head=9)

    def _lane_box(self, n: int, foot: float) -> tuple[float, float]:
        many = len(self.plan.lanes)
        gap = 14 if many > 3 else 24
        room = (foot - _TOP - gap * (many - 1)) / max(many, 1)
        top = _TOP + n * (room + gap)
        return top, top + room

    # Where everything meets

    def _body(self, x: float, width: float) -> None:
        body: Body = self.plan.body
        top, height = float(_TOP), float(_FOOT - _TOP)
        if not body.depths:
            height = min(max(self._height(body.card, width) + 40, 260), height)
            top = (_TOP + _FOOT - height) / 2
            if len(self.plan.lanes) > 1:
                top, height = float(_TOP), float(_FOOT - _TOP)
        end = self._card(body.card, x, top, width, height, right=_stacks(body) + 24 * body.reads)
        if body.depths:
            strip = 64 if body.rows else 0
            place = (x + width - _stacks(body), top + 46, _stacks(body), height - 62 - strip)
            self._stack(body, *place)
            if body.reads:
                self._memory(body, x, max(self._middle(), end + 14), *place)
        elif not self.plan.outputs:
            self._matrix(x + _PAD + 4, end + 16, width - 2 * _PAD - 4, top + height - _PAD)
        if body.rows:
            self._strip(body.rows, x + _PAD + 4, top + height - 58, width - 2 * _PAD - 4)

    def _stack(self, body: Body, x: float, y: float, width: float, height: float) -> None:
        """Layers from below to above, marks on them, what they are called beside."""
        wide = (width - _PAD - 8 * len(body.depths)) / len(body.depths)
        names = ("reads", "writes") if len(body.depths) > 1 else ("",)
        foot = y + height - 20
        for n, (depth, name) in enumerate(zip(body.depths, names, strict=True)):
            left = x + n * (wide + 8)
            step = (foot - y) / depth
            marks = body.marks if n == len(body.depths) - 1 else ()
            within = {layer: mark for mark in marks if not mark.before for layer in mark.layers}
            for layer in range(depth):
                mark = within.get(layer)
                fill, told = (mark.kind, f": {mark.name}") if mark else (body.card.kind, "")
                top, tall = foot - (layer + 1) * step + min(step * 0.12, 1.5), step - min(step * 0.24, 3)
                self.out.rect(left, top, wide, tall, fill, round=min(step / 5, 3), title=f"layer {layer}{told}")
            for mark in (mark for mark in marks if mark.before):
                for layer in mark.layers:
                    at = foot - layer * step
                    thick = min(max(step * 0.4, 3), 6)
                    self.out.rect(left - 7, at - thick / 2, wide + 10, thick, mark.kind, round=1.5)
            self.out.text(left + wide / 2, foot + 15, f"{depth} {name}".strip(), 12, fill="soft", anchor="middle")

    def _memory(self, body: Body, left: float, entry: float, x: float, y: float, width: float, height: float) -> None:
        """The way of rows beside the sequence to the layers that read them."""
        foot, trunk = y + height - 20, x - 20
        step = (foot - y) / body.depths[-1]
        inner = x + (len(body.depths) - 1) * ((width - _PAD - 8 * len(body.depths)) / len(body.depths) + 8)
        levels = [foot - layer * step for mark in body.marks if mark.before for layer in mark.layers]
        entry = min(entry, foot)
        self.out.path([(left, entry), (trunk, entry)], stroke="fusion", thick=2)
        self.out.path([(trunk, min([*levels, entry])), (trunk, max([*levels, entry]))], stroke="fusion", thick=2)
        for level in levels:
            self.out.line(trunk, level, inner - 7, level, "fusion", thick=min(1.5, step / 3))

    def _matrix(self, x: float, y: float, width: float, end: float) -> None:
        """Every item of one side against every one of the other; partners on the diagonal."""
        side = min(width * 0.62, end - y - 24)
        if side < 90:
            return
        many, left = 6, x + (width - side) / 2
        top = y + (end - y - side - 24) / 2
        cell = side / many
        for row in range(many):
            for column in range(many):
                fill = "fusion" if row == column else "free"
                self.out.rect(left + column * cell + 1, top + row * cell + 1, cell - 2, cell - 2, fill, round=3)
        self.out.text(left + side / 2, top + side + 20, "partners on the diagonal", 13, fill="soft", anchor="middle")

    def _middle(self) -> float:
        """The height at which the only lane runs."""
        top, end = self._lane_box(0, self._foot())
        return (top + end) / 2

    def _foot(self) -> float:
        """Where lanes end: above the card of text."""
        text = self.plan.text
        return _FOOT if text is None else _FOOT - self._text_height() - 26

    def _text_height(self) -> float:
        return 90 if self.plan.text and self.plan.text.lines else 72

    def _strip(self, rows: int, x: float, y: float, width: float) -> None:
        """The sequence: words, rows of the picture, words."""
        cells = 18
        step = width / cells
        for n in range(cells):
            seen = 3 <= n < 12
            self.out.rect(x + n * step + 1, y, step - 2, 16, "vision" if seen else "text", round=2.5)
        words = f"{rows:,} rows of the picture among words" if rows > 1 else "one row of the picture among words"
        self.out.text(x, y + 36, words, 13, fill="soft", room=width / _WIDER)

    # Ways out

    def _outputs(self, x: float, width: float, body: float) -> None:
        cards = self.plan.outputs
        heights = [min(self._height(card, width), (_FOOT - _TOP) / len(cards) - 24) for card in cards]
        gap = 26
        y = (_TOP + _FOOT - sum(heights) - gap * (len(cards) - 1)) / 2
        for card, height in zip(cards, heights, strict=True):
            self.out.arrow([(body, y + height / 2), (x, y + height / 2)], thick=2, head=9)
            self._card(card, x, y, width, height)
            y += height + gap

    # Cards

    def _height(self, card: Card, width: float) -> float:
        room = width - 2 * _PAD - 4
        lines = sum(len(wrapped(line, room / _WIDER, _LINE)) for line in card.lines)
        titles = min(len(wrapped(card.title, room / _BOLDER, _TITLE * BOLD)), 3)
        return 2 * _PAD + _PIP + 8 + titles * (_TITLE + 4) + lines * _STEP + (4 if lines else 0)

    def _card(self, card: Card, x: float, y: float, width: float, height: float, right: float = 0) -> float:
        """`right`: room at the right that its lines leave free. Returns where its text ends."""
        pad = _PAD if height > 84 else 8
        state = self._state(card.states)
        fill, edge = (_FILLS[state], _EDGES[state]) if state else ("panel", "line")
        dash, thick = ("7 4" if state == "partly" else "", 2.5 if state in ("lora", "partly") else 1.25)
        self.out.rect(x, y, width, height, fill, stroke=edge, thick=thick, round=9, dash=dash)
        self.out.rect(x, y + 9, 5, height - 18, card.kind, round=2)
        left, room = x + _PAD + 4, width - 2 * _PAD - 4
        pips = self._pips(card.states, x + width - _PAD, y + pad) if self.stage is None else 0
        at = y + pad + 12
        self.out.text(left, at, card.label.upper(), _LABEL, fill="soft", bold=True, room=(room - pips) / _BOLDER)
        at += 13 if pad == _PAD else 6
        room -= right
        foot = y + height - pad + 5 - (72 if right and self.plan.body.rows else 0)
        titles = wrapped(card.title, room / _BOLDER, _TITLE * BOLD)
        for n, line in enumerate(titles[:3]):
            if at + _TITLE + 4 > foot + 1:
                return at
            at += _TITLE + 4
            shown = f"{line} …" if n == 2 and len(titles) > 3 else line
            self.out.text(left, at - 3, shown, _TITLE, bold=True, room=room / _BOLDER)
        at += 4 if pad == _PAD else 1
        parts = [part for line in card.lines for part in wrapped(line, room / _WIDER, _LINE)]
        for n, part in enumerate(parts):
            if at + _STEP > foot + 1:
                return at
            at += _STEP
            last = at + _STEP > foot + 1 and n + 1 < len(parts)
            self.out.text(left, at - 4, f"{part} …" if last else part, _LINE, fill="soft", room=room / _WIDER)
        return at

    def _state(self, states: tuple[State, ...]) -> State | None:
        return states[self.stage] if self.stage is not None and states else None

    def _pips(self, states: tuple[State, ...], right: float, y: float) -> float:
        """A square for every stage, up to `right`; how much room they take."""
        x = right - (_PIP + 4) * len(states) + 4
        for n, state in enumerate(states):
            self._pip(x + n * (_PIP + 4), y, str(n + 1), state)
        return right - x + 8 if states else 0

    def _pip(self, x: float, y: float, word: str, state: State) -> None:
        thick, dash = (2, "3 2") if state == "partly" else (2, "") if state == "lora" else (1.25, "")
        self.out.rect(x, y, _PIP, _PIP, _FILLS[state], stroke=_EDGES[state], thick=thick, round=4, dash=dash)
        if word:
            self.out.text(x + _PIP / 2, y + 13, word, 12, anchor="middle", bold=True)

    # Legend

    def _legend(self) -> None:
        stages = self.plan.stages
        y = HEIGHT - 32.0
        cards = [card for lane in self.plan.lanes for card in lane] + [self.plan.body.card, *self.plan.outputs]
        shown = [self.stage] if self.stage is not None else range(len(stages))
        marks = self.plan.body.marks
        done = [card.states for card in cards] + [mark.states for mark in marks]
        found = {states[n] for states in done if states for n in shown}
        x = float(_EDGE)
        for state, name in _NAMES.items():
            if state in found:
                self._pip(x, y - 13, "", state)
                self.out.text(x + _PIP + 7, y, name, 13.5)
                x += _PIP + 7 + measure(name, 13.5) * _WIDER + 18
        for mark in marks:
            self.out.rect(x, y - 8, _PIP, 5 if mark.before else 9, mark.kind, round=2)
            said = self._state(mark.states)
            name = f"{mark.name}, {len(mark.layers)} layers" + (f", {_NAMES[said]}" if said else "")
            name = fitted(name, max(WIDTH - _EDGE - x - 420, 60), 13.5)
            self.out.text(x + _PIP + 7, y, name, 13.5)
            x += _PIP + 9 + measure(name, 13.5) * _WIDER
            if mark.states and self.stage is None:
                self._pips(mark.states, x + (_PIP + 4) * len(mark.states), y - 13)
                x += (_PIP + 4) * len(mark.states)
            x += 18
        if stages:
            words = "stages: " + ", ".join(f"{n} {stage.name}" for n, stage in enumerate(stages, 1))
            if self.stage is not None:
                words = f"stage {self.stage + 1} of {len(stages)}, {stage_words(stages[self.stage])}"
        else:
            words = "no recipe recorded"
        self.out.text(WIDTH - _EDGE, y, words, 13.5, fill="soft", anchor="end", room=(WIDTH - _EDGE - x - 8) / _WIDER)


def _stacks(body: Body) -> float:
    return _STACK * len(body.depths) + _PAD if body.depths else 0.0
