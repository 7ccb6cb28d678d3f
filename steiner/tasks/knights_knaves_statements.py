"""Claims of knights and knaves as sentences: writes them in the canonical line of a step that reads
a question, and reads them back. A person is a name and a letter there: `Wei A`.

Claim <-> text
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from steiner.tasks.knights_knaves_logic import KINDS, Claim, ordered
from steiner.tasks.phrases import Phrases

_FIELDS = ("speaker", "first", "second")
_MEANS = "=>"
"""Stands between a statement in the question's words and the claim that it makes."""
_OPENING, _CLOSING = "\"'(", ".!?\"')"
"""Marks that belong to a sentence."""


def render_claim(phrases: Phrases, names: Sequence[str], speaker: str, claim: Claim) -> str:
    """The claim as a sentence."""
    first, second = names[claim[1]], names[claim[-1]]
    return phrases.render(f"says_{claim[0]}", speaker=speaker, first=first, second=second)


def quote(text: str, statement: str) -> str:
    """The part of `text` that says `statement`, in other letter case, spaces and marks perhaps, on
    one line; empty if there is none."""
    places = [index for index, char in enumerate(text) if char.isalnum()]
    plain = "".join(text[index].casefold()[0] for index in places)
    wanted = "".join(char.casefold()[0] for char in statement if char.isalnum())
    start = plain.find(wanted)
    if start < 0 or not wanted:
        return ""
    first, after = places[start], places[start + len(wanted) - 1] + 1
    while first and text[first - 1] in _OPENING:
        first -= 1
    while after < len(text) and text[after] in _CLOSING:
        after += 1
    return " ".join(text[first:after].split()).replace(_MEANS, "")


def read_claims(phrases: Phrases, people: Sequence[str], text: str) -> tuple[Claim, ...] | None:
    """One claim of each person, in the order of `people`; None for any other text.

    Each may follow the question's own statement: `Wei: "she lies." => Wei A says Nurulla B lies.`
    """
    _, *quoted = text.split(_MEANS)
    parts = [*(claim.split(".")[0] for claim in quoted[:-1]), *quoted[-1:]]
    if not quoted:
        parts = text.rstrip(".").split(".")
    sentences = [f"{part.strip().removesuffix('.')}." for part in parts]
    found: dict[int, Claim] = {}
    for sentence in sentences:
        read = _read_claim(phrases, people, sentence)
        if read is None or read[0] in found or len({read[0], *read[1][1:]}) < len(read[1]):
            return None
        found[read[0]] = read[1]
    if len(found) < len(people):
        return None
    return tuple(found[person] for person in range(len(people)))


def _read_claim(phrases: Phrases, people: Sequence[str], sentence: str) -> tuple[int, Claim] | None:
    for kind in KINDS:
        found = phrases.match(sentence, f"says_{kind}")
        if found and all(person in people for person in found[1].values()):
            speaker, *others = (people.index(found[1][f]) for f in _FIELDS if f in found[1])
            return speaker, ordered((kind, *others))
    return None


def enumerated(phrases: Phrases, parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(parts[:-1])} {phrases.words['and']} {parts[-1]}"


def split(phrases: Phrases, text: str) -> list[str]:
    """The inverse of `enumerated`; a comma before the `and` is allowed."""
    last = phrases.words["and"]
    return re.split(rf", {last} |, | {last} ", text, flags=re.IGNORECASE)
