"""Claims of knights and knaves as sentences: writes them, and reads them from typed questions.

Claim <-> text
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from steiner.tasks.knights_knaves_logic import KINDS, Claim, ordered
from steiner.tasks.phrases import Phrases
from steiner.types import UserError

_MIN_SPEAKERS = 3
"""A text in unknown words is a puzzle if at least this many persons speak."""
_ONE_CLAIM = "each person makes one statement, about one or two others"


def render_claim(phrases: Phrases, names: Sequence[str], speaker: str, claim: Claim) -> str:
    """The claim as a sentence."""
    first, second = names[claim[1]], names[claim[-1]]
    return phrases.render(f"says_{claim[0]}", speaker=speaker, first=first, second=second)


def read_claims(phrases: Phrases, names: Sequence[str], text: str) -> tuple[Claim, ...]:
    """One claim of each person, in the order of `names`. Raises UserError for any other text."""
    found: dict[int, Claim] = {}
    for sentence in filter(None, map(str.strip, text.split("."))):
        speaker, claim = _read_claim(phrases, [name.lower() for name in names], f"{sentence}.")
        if speaker in found or len({speaker, *claim[1:]}) < len(claim):
            raise UserError(f"'{sentence}' is one too many, or not about others", _ONE_CLAIM)
        found[speaker] = claim
    if len(found) < len(names):
        silent = next(name for person, name in enumerate(names) if person not in found)
        raise UserError(f"{silent} says nothing", _ONE_CLAIM)
    return tuple(found[person] for person in range(len(names)))


def find_claims(phrases: Phrases, text: str) -> tuple[list[str], str] | None:
    """The speakers in a text of unknown words, and their statements; None if fewer than three
    speak, or if one speaks about somebody else."""
    names: list[str] = []
    statements: list[str] = []
    for sentence in re.split(r"[.?!:\n]", text):
        statement = f"{sentence.strip()}."
        if said := phrases.match(statement, *(f"says_{kind}" for kind in KINDS)):
            names.append(said[1]["speaker"])
            statements.append(statement)
    all_statements = " ".join(statements)
    try:
        read_claims(phrases, names, all_statements)
    except UserError:
        return None
    return (names, all_statements) if len(names) >= _MIN_SPEAKERS else None


def _read_claim(phrases: Phrases, names: Sequence[str], sentence: str) -> tuple[int, Claim]:
    for text in (sentence, sentence.lower()):
        for kind in KINDS:
            found = phrases.match(text, f"says_{kind}")
            persons = [name.lower() for name in found[1].values()] if found else []
            if found and all(name in names for name in persons):
                speaker, *others = map(names.index, persons)
                return speaker, ordered((kind, *others))
    forms = (
        phrases.render(f"says_{k}", speaker="A", first="B", second="C") for k in ("knave", "same")
    )
    raise UserError(f"cannot read the statement '{sentence}'", f"for example: {' '.join(forms)}")


def enumerated(phrases: Phrases, parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(parts[:-1])} {phrases.words['and']} {parts[-1]}"


def split(phrases: Phrases, text: str) -> list[str]:
    """The inverse of `enumerated`; a comma before the `and` is allowed."""
    last = phrases.words["and"]
    return re.split(rf", {last} |, | {last} ", text)
