"""English for questions and answers: lists, numbers, plurals, and phrasings paired with the answer each one gets."""

from __future__ import annotations

from collections.abc import Sequence

from anyvlm.data.names import Name, head_of

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_IRREGULAR = {
    "man": "men", "woman": "women", "person": "people", "child": "children", "mouse": "mice", "foot": "feet",
    "tooth": "teeth", "goose": "geese", "ox": "oxen", "wolf": "wolves", "leaf": "leaves", "knife": "knives",
    "elf": "elves", "scarf": "scarves", "deer": "deer", "fish": "fish", "bison": "bison", "moose": "moose",
    "squid": "squid", "shrimp": "shrimp", "die": "dice", "dna": "dna", "canned food": "canned food",
}  # fmt: skip
_OES = ("tomato", "potato", "volcano", "mosquito", "mango", "buffalo")


def listed(things: Sequence[str]) -> str:
    """["a cat", "a tree", "a rocket"] -> "a cat, a tree and a rocket"."""
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"


def capital(text: str) -> str:
    """Upper-case the first letter, leaving the rest as it is."""
    return text[:1].upper() + text[1:]


def plural_word(word: str) -> str:
    """The plural of one English noun."""
    if word.lower() in _IRREGULAR:
        return _IRREGULAR[word.lower()]
    if word.endswith(("s", "x", "z", "ch", "sh")) or word in _OES:
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def plural(thing: Name) -> str:
    """The plural of a name, on its head noun: "faces with tears of joy", "flags of France"; plurals stay."""
    if thing.plural:
        return thing.text
    head = head_of(thing.text)
    before, _, last = head.rpartition(" ")
    return f"{before} {plural_word(last)}".strip() + thing.text[len(head) :]


def countable(thing: Name) -> bool:
    """Whether copies of it can be counted in plain words ("three owls", not "three bacon" or "three Mount Fuji")."""
    return bool(thing.article) and not thing.plural and (thing.article != "the" or thing.group == "flag")


def counted(number: int, one: str, many: str) -> str:
    """(1, "owl", "owls") -> "one owl"; (3, ...) -> "three owls"."""
    return f"{NUMBERS[number]} {one if number == 1 else many}"


# Each question has one form of answer, so that the form need not be guessed; {} is the name with its article.
NAMING_ONE = (
    ("What is this?", "This is {}."),
    ("What is shown here?", "This is {}."),
    ("What do you see?", "I see {}."),
    ("What can you see in this image?", "I see {}."),
    ("What is in the picture?", "The picture shows {}."),
    ("What does the picture show?", "The picture shows {}."),
    ("Describe the picture.", "The picture shows {}."),
    ("What is in the image?", "The image shows {}."),
    ("What does this image show?", "The image shows {}."),
    ("Describe this image in one short sentence.", "The image shows {}."),
    ("Name the object.", "It is {}."),
    ("Name the thing in the picture.", "It is {}."),
    ("What is it?", "It is {}."),
    ("Can you tell me what this is?", "It is {}."),
    ("Which object is this?", "It is {}."),
)
NAMING_ALL = (
    ("What is in the picture?", "The picture shows {}."),
    ("What does the picture show?", "The picture shows {}."),
    ("Describe the picture.", "The picture shows {}."),
    ("What is in the image?", "The image shows {}."),
    ("Describe this image.", "The image shows {}."),
    ("What do you see?", "I see {}."),
    ("List everything you see.", "I see {}."),
    ("Name all the objects in the picture.", "The objects are {}."),
    ("Which objects are there?", "The objects are {}."),
)
COUNTING = (
    "How many {} are there?",
    "How many {} are in the picture?",
    "How many {} do you see?",
    "Count the {}.",
    "How many {} can you see in this image?",
    "What is the number of {}?",
)
PRESENCE = ("Is there {} in the picture?", "Is there {} here?", "Do you see {}?", "Does the picture show {}?")
PRESENCE_PLURAL = ("Are there {} in the picture?", "Are there {} here?", "Do you see {}?", "Does the picture show {}?")
# First the letters, then the word: a small model finds one letter at a time and puts them together in words.
READING = (
    ("What does the text say?", 'The text says {}: "{}".'),
    ("Read the text.", 'The text says {}: "{}".'),
    ("Read the text in the image.", 'The text says {}: "{}".'),
    ("What is written here?", 'It says {}: "{}".'),
    ("What does it say?", 'It says {}: "{}".'),
    ("What does the sign say?", 'It says {}: "{}".'),
    ("What text is in the picture?", 'The picture says {}: "{}".'),
    ("What is written in the picture?", 'The picture says {}: "{}".'),
)
READING_WORD = (
    *READING,
    ("What word is this?", 'The word is {}: "{}".'),
    ("Which word is written here?", 'The word is {}: "{}".'),
)
JOINING = (
    ("Which word is spelled {}?", 'The word is {}: "{}".'),
    ("What do the letters {} say?", 'The text says {}: "{}".'),
    ("The picture shows the letters {}. What does the text say?", 'The text says {}: "{}".'),
)
SPELLING = ("Spell the word in the picture.", "How is the word spelled?", "Which letters are in the picture?")
BACKGROUND = (
    "What color is the background?",
    "What colour is the background?",
    "Which color is behind it?",
    "What is the background color?",
)
