"""The numbers of a countdown as people write them: lists, counted, spoken, on lines, as data.

numbers, random stream -> text

Only questions for training use these; other splits ask with plain lists.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence

from steiner.tasks.names import known_names
from steiner.tasks.typing_habits import (
    article,
    number_in_text,
    number_in_words,
    plural_in_words,
)

_ENDS = (" and ", ", and ", " & ", ", ", ", then ", " and also ", " as well as ")
_SEPARATORS = (" ", ",", ", ", "; ", " / ", " | ", "  ", " - ", ". ", " , ", "...", " .. ", "\t")
_BRACKETS = ("({})", "[{}]", "{{{}}}", '"{}"', "<{}>", "*{}*", "[ {} ]")
_FILLERS = (", uh, ", ", um, ", "... ", ", then ", ", ", ", ", ", and ", " and ", " then ", ", er ")
_REPEATED = ("another {n}", "{n} again", "{n} once more", "a second {n}", "{n}", "one more {n}")
_COUNTED = (
    "{count} {several}",
    "{count} {several}",
    "{count} of the number {n}",
    "{n} {times}",
    "{n} ({times})",
    "{n} (there are {count} of those)",
    "{count} copies of {n}",
    "{n} (x{digit})",
)
_PAIRS = ("a pair of {several}", "a couple of {several}", "both {n} and {n}", "{n} and another {n}")
_PLURALS = ("s", "s", "s", "'s")
_SINGLES = ("{a} {n}", "{a} {n}", "one {n}", "{n}", "the {n}", "a single {n}")
_OWNED = (
    "{name} {n}",
    "{name} has {n}",
    "{name}: {n}",
    "{name} ({n})",
    "{name} with {n}",
    "{name} got the {n}",
    "{n} from {name}",
    "{name} drew {a} {n}",
    "{name} is {n}",
    "{name} = {n}",
    "{name} brings {a} {n}",
)
_COLOURS = ("red", "blue", "green", "yellow", "white", "black", "pink", "orange", "grey", "brown")
_COLOURED = (
    "{c} {n}",
    "the {c} one says {n}",
    "{n} on the {c} one",
    "{c}: {n}",
    "{c} = {n}",
    "{n} ({c})",
)
_SUITS = ("hearts", "spades", "clubs", "diamonds")
_LETTERS = ("abcdef", "ABCDEF", "pqrstu", "uvwxyz")
_LETTERED = ("{c} = {n}", "{c}={n}", "{c}: {n}", "{c} is {n}", "{c}) {n}", "({c}) {n}", "{c}:={n}")
_MARKS = ("- ", "* ", "", "  ", "\u2022 ", "> ", "-> ", "card: ", "tile: ", "number: ", "no. ")
_IN_ORDER = ("{i}) ", "{i}. ", "#{i}: ", "{letter}) ", "number {i}: ", "n{i} = ", "{letter} = ")


def listed(numbers: Sequence[int], rng: random.Random) -> str:
    """`3, 5, 5 and nine`: on one line, some numbers perhaps in words."""
    texts = _texts(numbers, rng)
    match rng.randrange(9):
        case 0 | 1:
            return _ended(texts, rng.choice(_ENDS[:4]))
        case 2:
            return rng.choice(_SEPARATORS).join(texts)
        case 3:
            return " and ".join(texts)
        case 4:
            return rng.choice(_BRACKETS).format(rng.choice((", ", " ", ",")).join(texts))
        case 5:
            in_order = sorted(numbers, reverse=rng.random() < 0.5)
            return _ended(_texts(in_order, rng), rng.choice(_ENDS[:4]))
        case 6:
            bracket = rng.choice(_BRACKETS)
            return rng.choice((" ", ", ")).join(map(bracket.format, texts))
        case 7:
            return _with_repeats(numbers, rng, ", ")
        case _:
            return _ended(texts, rng.choice(_ENDS[4:]))


def counted(numbers: Sequence[int], rng: random.Random) -> str:
    """`a 3, two 5s and a 9`: every number with its article, equal ones together."""
    single, parts = rng.choice(_SINGLES), []
    in_words = max(numbers) <= 99 and rng.random() < 0.25
    for number, count in Counter(numbers).items():
        n = number_in_text(number, in_words=in_words)
        forms: Sequence[str] = _PAIRS if count == 2 and rng.random() < 0.3 else _COUNTED
        if in_words:
            forms = _COUNTED[:2]
        form = single if count == 1 else rng.choice(forms)
        word = number_in_words(count)
        times = "twice" if count == 2 else f"{word} times"
        several = plural_in_words(number) if in_words else f"{n}{rng.choice(_PLURALS)}"
        said = {"n": n, "several": several, "a": article(number), "count": word}
        parts.append(form.format(**said, times=times, digit=count))
    return _ended(parts, rng.choice((" and ", " and ", ", and ", ", ")))


def spoken(numbers: Sequence[int], rng: random.Random) -> str:
    """`three, uh, five, five again and nine`: as somebody reads them out."""
    filler = rng.choice(_FILLERS)
    return _with_repeats(numbers, rng, filler, in_words=0.7)


def owned(numbers: Sequence[int], rng: random.Random) -> str:
    """`Mia has 3, Ravi has 5 and Zoe has 9`."""
    form = rng.choice(_OWNED)
    names = rng.sample(known_names(held_out=False), len(numbers))
    parts = [
        form.format(name=name, n=number, a=article(number))
        for name, number in zip(names, numbers, strict=True)
    ]
    return _ended(parts, rng.choice((" and ", ", and ", ", ")))


def labelled(numbers: Sequence[int], rng: random.Random) -> str:
    """`red 3, blue 5 and green 9`: by colour, letter or suit."""
    kind = rng.randrange(3)
    if kind == 0:
        form, labels = rng.choice(_LETTERED), list(rng.choice(_LETTERS))
    elif kind == 1 and max(numbers) <= 10:
        form, labels = "the {n} of {c}", [rng.choice(_SUITS) for _ in numbers]
    else:
        form, labels = rng.choice(_COLOURED), rng.sample(_COLOURS, len(numbers))
    parts = [form.format(c=c, n=n) for c, n in zip(labels, numbers, strict=False)]
    return _ended(parts, rng.choice((" and ", ", and ", ", ", ", ")))


def on_lines(numbers: Sequence[int], rng: random.Random) -> str:
    """One number on each line, with a mark, its place, or nothing before it."""
    mark = rng.choice(rng.choice((_MARKS, _IN_ORDER)))
    texts = _texts(numbers, rng)
    return "\n".join(
        mark.format(i=place + 1, letter="abcdef"[place]) + text for place, text in enumerate(texts)
    )


def as_data(numbers: Sequence[int], rng: random.Random) -> str:
    """As a list of a programming language, a set of values or a row of a table."""
    values = [*map(str, numbers)]
    match rng.randrange(7):
        case 0:
            return json.dumps(values)
        case 1:
            return f"({', '.join(values)})"
        case 2:
            return f"{{{','.join(values)}}}"
        case 3:
            return rng.choice((";", ",", "|", "\t", " ")).join(values)
        case 4:
            return f"[{','.join(values)}]"
        case 5:
            return json.dumps(dict(zip("abcdef", numbers, strict=False)))
        case _:
            return f"[{' '.join(values)}]"


def with_gaps(numbers: Sequence[int], rng: random.Random) -> str:
    """`3 _ 5 _ 9`: with a gap for each operator."""
    gap = rng.choice((" _ ", " ? ", " [ ] ", " ... ", " . ", " o ", " \u25a1 ", "__", " (?) "))
    return gap.join(map(str, numbers))


def _texts(numbers: Sequence[int], rng: random.Random) -> list[str]:
    """The numbers in digits; in a third of all cases, some or all of them in words."""
    share = rng.choice((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.3, 1.0))
    return [number_in_text(number, in_words=rng.random() < share) for number in numbers]


def _with_repeats(
    numbers: Sequence[int], rng: random.Random, between: str, in_words: float = 0.1
) -> str:
    """Equal numbers after each other, the later ones perhaps as `another 5`."""
    grouped = [number for number, count in Counter(numbers).items() for _ in range(count)]
    says_words = rng.random() < in_words
    parts: list[str] = []
    for place, number in enumerate(grouped):
        n = number_in_text(number, in_words=says_words)
        is_repeated = place > 0 and grouped[place - 1] == number
        parts.append(rng.choice(_REPEATED).format(n=n) if is_repeated else n)
    end = rng.choice((" and ", ", ", " and ", between)) if len(parts) > 1 else ""
    return between.join(parts[:-1]) + end + parts[-1]


def _ended(parts: Sequence[str], end: str) -> str:
    return ", ".join(parts[:-1]) + end + parts[-1] if len(parts) > 1 else parts[0]
