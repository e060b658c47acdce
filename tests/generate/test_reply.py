"""Stop strings: no part of one is ever shown, and what is shown adds up."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from anyvlm.generate.reply import Reply, StopText

letters = st.text("abX", max_size=6)


@given(st.lists(letters, max_size=12), st.lists(letters.filter(bool), max_size=3))
@example(["aa", "aab"], ["aab"])
@example(["a", "b", "a"], ["abX", "ba"])
def test_shown_is_the_text_before_the_first_stop_string(pieces: list[str], stops: list[str]) -> None:
    whole, guard, shown = "".join(pieces), StopText(stops), ""
    for n, piece in enumerate(pieces, 1):
        shown += guard.push(piece)
        arrived = "".join(pieces[:n])
        ends = [end for end in (arrived.find(stop) for stop in stops) if end >= 0]
        assert guard.found == bool(ends)
        if ends:
            # Streamed greedily: a stop string that completes first wins, even if one that began earlier could follow.
            assert arrived.startswith(shown)
            assert not any(stop in shown for stop in stops)
            assert arrived[len(shown) :].startswith(tuple(stops))
            break
        rest = arrived[len(shown) :]  # held back: the start of a stop string, and no longer than needed
        assert arrived == shown + rest
        assert not rest or any(stop.startswith(rest) and stop != rest for stop in stops)
        assert not any(shown.endswith(stop[:k]) for stop in stops for k in range(1, len(stop)) if not rest)
    else:
        shown += guard.finish()
        assert shown == whole
    assert guard.push("more") == "" or not guard.found


class Letters:
    """id 97 is "a"; the last letter is held back, as a tokenizer does with half a character."""

    def __init__(self) -> None:
        self.held = ""

    def push(self, id: int) -> str:
        out, self.held = self.held, chr(id)
        return out

    def finish(self) -> str:
        return self.held


def say(text: str, **settings: object) -> tuple[list[str], Reply]:
    reply = Reply(Letters(), **{"ends": {0}, "stops": (), "max_tokens": 99, **settings})  # type: ignore[arg-type]
    shown = []
    for letter in text:
        shown.append(reply.push(ord(letter)))
        if reply.finish:
            break
    return shown, reply


def test_the_end_token_flushes_what_was_held() -> None:
    shown, reply = say("abc\0")
    assert ("".join(shown), reply.finish, reply.tokens) == ("abc", "stop", 4)


def test_max_tokens_flush_too() -> None:
    shown, reply = say("abcdef", max_tokens=3, stops=("cx",))
    assert ("".join(shown), reply.finish, reply.tokens) == ("abc", "length", 3)


def test_a_stop_string_completed_by_the_flush_counts() -> None:
    shown, reply = say("abcd", max_tokens=4, stops=("cd",))
    assert ("".join(shown), reply.finish) == ("ab", "stop")


def test_a_stop_string_is_never_half_shown() -> None:
    shown, reply = say("one END two", stops=("END",))
    assert ("".join(shown), reply.finish) == ("one ", "stop")
