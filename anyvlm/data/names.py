"""Emoji code points to natural English names ("1f34e" -> "red apple"), and how a name stands in a sentence.

Names are those of the Unicode CLDR as listed by the PyPI package `emoji`, made natural by a short table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SKIN_TONES = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})
GENDERS = frozenset({"2640", "2642", "1f468", "1f469"})  # signs and people that only repeat a "person ..." picture
KEYCAP, JOINER, VARIANT = "20e3", "200d", "fe0f"

_DROPPED = re.compile(
    r"Japanese .*button|input |mahjong|(large|medium|small) square|square button|medium-small|facing right|"
    r"^diamond with|thirty$|o.clock$|^part alternation|^trade mark|^registered|^copyright|^(double )?curly loop|"
    r"wavy dash|^pregnant (man|person)|^breast-feeding|^VS |^NG |^CL |^merperson|^hollow red|^transgender s|^circled M|"
    r"^(men|women|man|woman) (with|holding|wrestling|in|feeding)|^couple|^family|^kiss:|^[A-Z]\.|button \("
)
_RENAMED = {
    "biohazard": "biohazard sign",
    "dashing away": "dashing cloud",
    "divide": "division sign",
    "dizzy": "dizzy star",
    "dna": "DNA strand",
    "foggy": "foggy city",
    "high voltage": "lightning bolt",
    "infinity": "infinity sign",
    "information": "information sign",
    "locked": "locked padlock",
    "locked with key": "padlock with a key",
    "locked with pen": "padlock with a pen",
    "minus": "minus sign",
    "mobile phone off": "mobile phone turned off",
    "mount fuji": "Mount Fuji",
    "multiply": "multiplication sign",
    "om": "om symbol",
    "person bald": "bald person",
    "person beard": "bearded person",
    "plus": "plus sign",
    "prohibited": "prohibited sign",
    "radioactive": "radioactive sign",
    "rolling on the floor laughing": "face rolling on the floor laughing",
    "star-struck": "star-struck face",
    "unlocked": "unlocked padlock",
    "warning": "warning sign",
    "wireless": "wireless symbol",
}
_ZODIAC = [
    "Aquarius",
    "Aries",
    "Cancer",
    "Capricorn",
    "Gemini",
    "Leo",
    "Libra",
    "Ophiuchus",
    "Pisces",
    "Sagittarius",
    "Scorpio",
    "Taurus",
    "Virgo",
]
_BARE = frozenset({"Santa Claus", "Mrs. Claus", "Mx Claus", "Mount Fuji", "ZZZ"})
_THE = frozenset({"Statue of Liberty", "Tokyo tower", "milky way"})
_THE_COUNTRIES = frozenset(
    [
        "United States",
        "United Kingdom",
        "United Arab Emirates",
        "United Nations",
        "European Union",
        "Netherlands",
        "Philippines",
        "Bahamas",
        "Gambia",
        "Maldives",
        "Comoros",
        "Seychelles",
        "Dominican Republic",
        "Central African Republic",
        "Vatican City",
    ]
)
_MASS = frozenset(
    [
        "bacon",
        "bread",
        "rice",
        "butter",
        "salt",
        "fog",
        "fire",
        "ice",
        "sake",
        "sushi",
        "spaghetti",
        "soap",
        "thread",
        "yarn",
        "wood",
        "coral",
        "tennis",
        "hockey",
        "badminton",
        "lacrosse",
        "custard",
        "fondue",
        "oden",
        "luggage",
        "mate",
        "popcorn",
        "exchange",
        "claim",
        "control",
        "garlic",
        "broccoli",
        "construction",
        "camping",
        "bowling",
        "racing",
        "pong",
        "meat",
        "cooking",
        "flatbread",
        "water",
        "liquid",
        "polish",
        "rail",
    ]
)
_PLURALS = frozenset({"men", "women", "people", "skis"})
_SINGULARS = frozenset(["thumbs", "rhinoceros", "lens"])
_HEAD = re.compile(r" (?:with|of|in|on|behind|over|at|and|without|under|from|up|down|turned|facing|pointing) ")
_ACTING = frozenset({"person", "people", "face", "globe", "head", "woman", "man", "chart", "leaf", "mobile"})
_TURNS = re.compile(
    r"left|right|clockwise|button|sign|flag|map|globe|moon|medal|clock|calendar|question|magnif|keyboard|cap 10|"
    r"note|score|arrow|news|letter|OK|ZZZ|[A-Z]{2}|symbol|atm|ball|hundred|dollar|yen|euro|pound|chart|zodiac|menorah"
)


@dataclass(frozen=True)
class Name:
    """One thing that can be drawn: how it is written, what stands before it, and whether it is plural.

    `text` keeps proper capitals ("flag of France"); `key` is what scoring compares ("flag of france").
    `group` is "flag", "face" or "object", so that scores can be told apart.
    """

    text: str
    article: str
    plural: bool
    group: str

    @property
    def key(self) -> str:
        return self.text.lower()

    @property
    def noun(self) -> str:
        """The name with its article: "a red apple", "an owl", "grapes", "the flag of France"."""
        return f"{self.article} {self.text}".strip()

    @property
    def the(self) -> str:
        """The name as something already known: "the red apple", but "Santa Claus"."""
        return self.text if self.text in _BARE else f"the {self.text}"

    @property
    def mirrors(self) -> bool:
        """Whether a left-right flip leaves the name true (not for arrows, flags, letters, moons...)."""
        return not _TURNS.search(self.text)


def head_of(text: str) -> str:
    """The words up to and including the head noun: "face with tears of joy" -> "face"."""
    words = text.split()
    if words[0] in _ACTING and len(words) > 1 and words[1].endswith("ing"):
        return words[0]
    return _HEAD.split(text)[0]


def _is_plural(head: str) -> bool:
    if head in _PLURALS:
        return True
    return head.endswith("s") and not head.endswith(("ss", "us", "is", "'s")) and head not in _SINGULARS


def name(text: str) -> Name:
    """Decide article and number of a written name from its head noun (the last word before a preposition)."""
    if text.startswith("flag of "):
        return Name(text, "the", False, "flag")
    group = "face" if re.search(r"\bface\b|smiling|grinning|joy$", text) else "object"
    if text in _BARE or text in _THE:
        return Name(text, "the" if text in _THE else "", False, group)
    head = head_of(text).split()[-1].lower()
    plural = _is_plural(head)
    if plural or head in _MASS:
        return Name(text, "", plural, group)
    first = text.split()[0]
    vowel = first[0].lower() in "aeiou" and not re.match(r"uni|eu|ewe|one|use", first.lower())
    vowel = vowel or first == "SOS" or first.lower() in ("x-ray", "hourglass")
    return Name(text, "an" if vowel else "a", False, group)


def covers(general: Name, thing: Name) -> bool:
    """Whether a picture of `thing` might rightly be called `general`: a black cat is a cat, and so is a cat face."""
    padded = f" {thing.key} "
    return padded.startswith(f" {general.key} ") or padded.endswith(f" {general.key} ")


def written(codepoints: str, cldr: str, alias: str = "") -> str | None:
    """The natural name of an emoji, or None if it is left out.

    codepoints: lower-case hexadecimal joined by "-", without variation selectors; cldr: the name in the package
    `emoji` (":red_apple:"). Left out: skin tones, keycaps, pictures that only change the gender of a person, clock
    faces, lettered buttons, sizes of squares.
    """
    parts = codepoints.split("-")
    if SKIN_TONES & set(parts) or KEYCAP in parts or (JOINER in parts and GENDERS & set(parts)):
        return None
    text = cldr.strip(":").replace("_", " ").replace("’", "'").replace("ñ", "n")
    if len(parts) == 2 and all("1f1e6" <= p <= "1f1ff" for p in parts) or parts[0] == "1f3f4" and len(parts) > 3:
        if JOINER in parts:
            return text
        text = text.replace(" SAR China", "").replace("&", "and").split(" (")[0]
        country = text.encode("ascii", "ignore").decode()
        if country != text:
            return None
        return f"flag of {'the ' if text in _THE_COUNTRIES or text.endswith('Islands') else ''}{text}"
    if _DROPPED.search(text) or not text.isascii():
        return None
    if text in _ZODIAC:
        return f"{text} sign"
    if text.startswith("no "):
        return f"{text} sign"
    if m := re.fullmatch(r"person ((?:blond|curly|red|white) hair)", text):
        return f"person with {m[1]}"
    return _RENAMED.get(text, text)
