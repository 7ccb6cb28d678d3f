"""The numbers of a countdown as people write them: lists, counted, spoken, on lines, as data.

numbers, grammar, random stream -> text

Only questions for training use these; other splits ask with plain lists. The words are in [words]
of steiner/tasks/questions/<language>/countdown.toml.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence

from steiner.tasks.names import known_names
from steiner.tasks.number_words import NUM_WORDS
from steiner.tasks.question_grammar import QuestionGrammar

_SEPARATORS = (" ", ",", ", ", "; ", " / ", " | ", "  ", " - ", ". ", " , ", "...", " .. ", "\t")
_BRACKETS = ("({})", "[{}]", "{{{}}}", '"{}"', "<{}>", "*{}*", "[ {} ]")
_LETTERS = ("abcdef", "ABCDEF", "pqrstu", "uvwxyz")


def listed(numbers: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """`3, 5, 5 and nine`: on one line, some numbers perhaps in words."""
    words, texts = grammar.words, _texts(numbers, grammar, rng)
    match rng.randrange(9):
        case 0 | 1:
            return _ended(texts, rng.choice(words["ends"]))
        case 2:
            return rng.choice(_SEPARATORS).join(texts)
        case 3:
            return str(words["and"]).join(texts)
        case 4:
            return rng.choice(_BRACKETS).format(rng.choice((", ", " ", ",")).join(texts))
        case 5:
            in_order = sorted(numbers, reverse=rng.random() < 0.5)
            return _ended(_texts(in_order, grammar, rng), rng.choice(words["ends"]))
        case 6:
            bracket = rng.choice(_BRACKETS)
            return rng.choice((" ", ", ")).join(map(bracket.format, texts))
        case 7:
            return _with_repeats(numbers, grammar, rng, ", ")
        case _:
            return _ended(texts, rng.choice(words["long_ends"]))


def counted(numbers: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """`a 3, two 5s and a 9`: every number with its article, equal ones together."""
    words, names = grammar.words, grammar.numbers
    single, parts = rng.choice(words["singles"]), []
    in_words = max(numbers) < NUM_WORDS and rng.random() < 0.25
    for number, count in Counter(numbers).items():
        n = names.text(number, in_words=in_words)
        forms = words["pairs"] if count == 2 and rng.random() < 0.3 else words["counted"]
        if in_words:
            forms = words["counted_in_words"]
        form = single if count == 1 else rng.choice(forms)
        said = {"count": names.singulars[count], "digit": count, "n": n}
        times = words["twice" if count == 2 else "times"].format(**said)
        several = (
            names.plurals[number]
            if in_words
            else rng.choice(words["several_in_digits"]).format(**said)
        )
        parts.append(form.format(**said, times=times, several=several, a=names.article(number)))
    return _ended(parts, rng.choice(words["counted_ends"]))


def spoken(numbers: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """`three, uh, five, five again and nine`: as somebody reads them out."""
    filler = rng.choice(grammar.words["fillers"])
    return _with_repeats(numbers, grammar, rng, filler, in_words=0.7)


def owned(numbers: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """`Mia has 3, Ravi has 5 and Zoe has 9`."""
    form = rng.choice(grammar.words["owned"])
    names = rng.sample(known_names(grammar.language, held_out=False), len(numbers))
    parts = [
        form.format(name=name, n=number, a=grammar.numbers.article(number))
        for name, number in zip(names, numbers, strict=True)
    ]
    return _ended(parts, rng.choice(grammar.words["owned_ends"]))


def labelled(numbers: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """`red 3, blue 5 and green 9`: by colour, letter or suit."""
    words, kind = grammar.words, rng.randrange(3)
    if kind == 0:
        form, labels = rng.choice(words["lettered"]), list(rng.choice(_LETTERS))
    elif kind == 1 and max(numbers) <= 10:
        form, labels = words["suited"], [rng.choice(words["suits"]) for _ in numbers]
    else:
        form = rng.choice(words["coloured"])
        labels = rng.sample(words["colours"], len(numbers))
    parts = [form.format(c=c, n=n) for c, n in zip(labels, numbers, strict=False)]
    return _ended(parts, rng.choice(words["labelled_ends"]))


def on_lines(numbers: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """One number on each line, with a mark, its place, or nothing before it."""
    mark = rng.choice(rng.choice(grammar.words["line_marks"]))
    texts = _texts(numbers, grammar, rng)
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


def _texts(numbers: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> list[str]:
    """The numbers in digits; in a third of all cases, some or all of them in words."""
    share = rng.choice((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.3, 1.0))
    return [grammar.numbers.text(number, in_words=rng.random() < share) for number in numbers]


def _with_repeats(
    numbers: Sequence[int],
    grammar: QuestionGrammar,
    rng: random.Random,
    between: str,
    in_words: float = 0.1,
) -> str:
    """Equal numbers after each other, the later ones perhaps as `another 5`."""
    grouped = [number for number, count in Counter(numbers).items() for _ in range(count)]
    says_words = rng.random() < in_words
    parts: list[str] = []
    for place, number in enumerate(grouped):
        n = grammar.numbers.text(number, in_words=says_words)
        is_repeated = place > 0 and grouped[place - 1] == number
        parts.append(rng.choice(grammar.words["repeated"]).format(n=n) if is_repeated else n)
    end = rng.choice((*grammar.words["repeated_ends"], between)) if len(parts) > 1 else ""
    return between.join(parts[:-1]) + end + parts[-1]


def _ended(parts: Sequence[str], end: str) -> str:
    return ", ".join(parts[:-1]) + end + parts[-1] if len(parts) > 1 else parts[0]
