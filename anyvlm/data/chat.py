"""Plain questions without a picture, answered truthfully by code, so that language survives training on pictures."""

from __future__ import annotations

from collections.abc import Callable

from numpy.random import Generator

from anyvlm.data.ask import pick
from anyvlm.data.grammar import NUMBERS, listed
from anyvlm.data.sample import Sample, Turn

_CAPITALS = dict(
    pair.split(":")
    for pair in [
        "France:Paris",
        "Germany:Berlin",
        "Italy:Rome",
        "Spain:Madrid",
        "Portugal:Lisbon",
        "Japan:Tokyo",
        "China:Beijing",
        "India:New Delhi",
        "Russia:Moscow",
        "Canada:Ottawa",
        "Mexico:Mexico City",
        "Brazil:Brasilia",
        "Argentina:Buenos Aires",
        "Chile:Santiago",
        "Peru:Lima",
        "Egypt:Cairo",
        "Kenya:Nairobi",
        "Nigeria:Abuja",
        "Morocco:Rabat",
        "Ethiopia:Addis Ababa",
        "Turkey:Ankara",
        "Greece:Athens",
        "Poland:Warsaw",
        "Austria:Vienna",
        "Hungary:Budapest",
        "Sweden:Stockholm",
        "Norway:Oslo",
        "Denmark:Copenhagen",
        "Finland:Helsinki",
        "Ireland:Dublin",
        "Belgium:Brussels",
        "Switzerland:Bern",
        "Ukraine:Kyiv",
        "Australia:Canberra",
        "New Zealand:Wellington",
        "South Korea:Seoul",
        "Thailand:Bangkok",
        "Vietnam:Hanoi",
        "Indonesia:Jakarta",
        "Iran:Tehran",
        "Iraq:Baghdad",
        "Cuba:Havana",
    ]
)
_OPPOSITES = dict(
    pair.split(":")
    for pair in [
        "hot:cold",
        "big:small",
        "up:down",
        "left:right",
        "day:night",
        "black:white",
        "open:closed",
        "fast:slow",
        "happy:sad",
        "old:young",
        "rich:poor",
        "early:late",
        "full:empty",
        "hard:soft",
        "heavy:light",
        "high:low",
        "inside:outside",
        "long:short",
        "loud:quiet",
        "new:old",
        "strong:weak",
        "sweet:sour",
        "thick:thin",
        "true:false",
        "wet:dry",
        "wide:narrow",
        "win:lose",
        "push:pull",
        "always:never",
        "begin:end",
        "buy:sell",
    ]
)
_FACTS = {
    "What do bees make?": "Bees make honey.",
    "What is frozen water called?": "Frozen water is called ice.",
    "Which planet is closest to the Sun?": "Mercury is the planet closest to the Sun.",
    "Which planet is the largest in the Solar System?": "Jupiter is the largest planet in the Solar System.",
    "How many days are in a week?": "There are seven days in a week.",
    "How many months are in a year?": "There are twelve months in a year.",
    "How many legs does a spider have?": "A spider has eight legs.",
    "How many legs does an insect have?": "An insect has six legs.",
    "What color do you get by mixing blue and yellow paint?": "Mixing blue and yellow paint gives green.",
    "What color do you get by mixing red and white paint?": "Mixing red and white paint gives pink.",
    "Who wrote Romeo and Juliet?": "William Shakespeare wrote Romeo and Juliet.",
    "What is the largest ocean on Earth?": "The Pacific Ocean is the largest ocean on Earth.",
    "What is the tallest animal?": "The giraffe is the tallest animal.",
    "What gas do plants take in from the air?": "Plants take in carbon dioxide from the air.",
    "At what temperature does water boil at sea level?": "Water boils at 100 degrees Celsius at sea level.",
    "What is the chemical formula of water?": "The chemical formula of water is H2O.",
    "What do you use to cut paper?": "You can use scissors to cut paper.",
    "What do cows eat?": "Cows mostly eat grass.",
    "What is the young of a cat called?": "The young of a cat is called a kitten.",
    "What is the young of a dog called?": "The young of a dog is called a puppy.",
    "Which season comes after winter?": "Spring comes after winter.",
    "What is an umbrella used for?": "An umbrella is used to stay dry in the rain.",
    "What is a telescope used for?": "A telescope is used to look at distant things such as stars.",
    "What is a stethoscope used for?": "A stethoscope is used to listen to the heart and lungs.",
    "What do you call a person who flies a plane?": "A person who flies a plane is called a pilot.",
    "How many sides does a hexagon have?": "A hexagon has six sides.",
    "How many sides does a triangle have?": "A triangle has three sides.",
    "What is the first letter of the alphabet?": "The first letter of the alphabet is A.",
    "Which animal is known as the king of the jungle?": "The lion is known as the king of the jungle.",
    "What color is grass?": "Grass is green.",
    "What color is snow?": "Snow is white.",
    "What color is a ripe banana?": "A ripe banana is yellow.",
    "What color is a ripe tomato?": "A ripe tomato is red.",
    "What color are carrots?": "Carrots are orange.",
    "What color is coal?": "Coal is black.",
    "What color is the deep ocean?": "The deep ocean is dark blue.",
    "What color are emeralds?": "Emeralds are green.",
    "What color is chocolate?": "Chocolate is brown.",
    "Which planet is known as the Red Planet?": "Mars is known as the Red Planet.",
    "Which planet has bright rings?": "Saturn has bright rings.",
    "Which planet do we live on?": "We live on the planet Earth.",
    "Who wrote Don Quixote?": "Miguel de Cervantes wrote Don Quixote.",
    "Who painted the Mona Lisa?": "Leonardo da Vinci painted the Mona Lisa.",
    "Who developed the theory of relativity?": "Albert Einstein developed the theory of relativity.",
    "How many continents are there?": "There are seven continents.",
    "How many minutes are in an hour?": "There are sixty minutes in an hour.",
    "Which metal is liquid at room temperature?": "Mercury is liquid at room temperature.",
    "Which animal gives us wool?": "Sheep give us wool.",
    "What do caterpillars turn into?": "Caterpillars turn into butterflies or moths.",
    "What is the hottest season?": "Summer is the hottest season.",
    "What do we breathe?": "We breathe air, and our bodies use its oxygen.",
    "What is the largest mammal?": "The blue whale is the largest mammal.",
    "Where do fish live?": "Fish live in water.",
    "What shines at night?": "The Moon and the stars shine at night.",
    "What is bread made from?": "Bread is made from flour and water, usually with yeast and salt.",
}
_WORDS = [
    "cat",
    "dog",
    "apple",
    "house",
    "water",
    "bread",
    "river",
    "table",
    "garden",
    "music",
    "flower",
    "window",
    "yellow",
    "planet",
    "orange",
    "bridge",
]


def _capital(rng: Generator) -> tuple[str, str, str]:
    country = pick(rng, tuple(_CAPITALS))
    city = _CAPITALS[country]
    if rng.random() < 0.3:
        return f"Which country has the capital {city}?", f"{city} is the capital of {country}.", country
    return f"What is the capital of {country}?", f"The capital of {country} is {city}.", city


def _sum(rng: Generator) -> tuple[str, str, str]:
    a, b = (int(n) for n in rng.integers(1, 50, 2))
    if rng.random() < 0.5:
        return f"What is {a} + {b}?", f"{a} + {b} = {a + b}.", str(a + b)
    a, b = max(a, b), min(a, b)
    return f"What is {a} - {b}?", f"{a} - {b} = {a - b}.", str(a - b)


def _product(rng: Generator) -> tuple[str, str, str]:
    a, b = (int(n) for n in rng.integers(2, 11, 2))
    return f"What is {a} times {b}?", f"{a} times {b} is {a * b}.", str(a * b)


def _opposite(rng: Generator) -> tuple[str, str, str]:
    word = pick(rng, tuple(_OPPOSITES))
    return f'What is the opposite of "{word}"?', f'The opposite of "{word}" is "{_OPPOSITES[word]}".', _OPPOSITES[word]


def _fact(rng: Generator) -> tuple[str, str, str]:
    question = pick(rng, tuple(_FACTS))
    return question, _FACTS[question], _FACTS[question].lower().rstrip(".")


def _spelling(rng: Generator) -> tuple[str, str, str]:
    word = pick(rng, _WORDS)
    if rng.random() < 0.5:
        spelled = "-".join(word.upper())
        return f'How do you spell "{word}"?', f'"{word}" is spelled {spelled}.', spelled.lower()
    return f'How many letters are in "{word}"?', f'"{word}" has {NUMBERS[len(word)]} letters.', str(len(word))


def _sorting(rng: Generator) -> tuple[str, str, str]:
    chosen = [int(n) for n in rng.choice(60, 3, replace=False)]
    ordered = listed([str(n) for n in sorted(chosen)])
    return f"Sort these numbers: {', '.join(map(str, chosen))}.", f"In order they are {ordered}.", ordered


_MAKERS: tuple[Callable[[Generator], tuple[str, str, str]], ...] = (
    _capital, _sum, _product, _opposite, _fact, _fact, _spelling, _sorting,
)  # fmt: skip


def chat(rng: Generator) -> Sample:
    """One to three plain questions; `image` is None."""
    made = [pick(rng, _MAKERS)(rng) for _ in range(int(rng.integers(1, 4)))]
    turns = {question: Turn(question, answer, key.lower(), "chat") for question, answer, key in made}
    return Sample(None, (), tuple(turns.values()), "chat")
