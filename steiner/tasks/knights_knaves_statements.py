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


def render_claim(phrases: Phrases, names: Sequence[str], speaker: str, claim: Claim) -> str:
    """The claim as a sentence."""
    first, second = names[claim[1]], names[claim[-1]]
    return phrases.render(f"says_{claim[0]}", speaker=speaker, first=first, second=second)


def read_claims(phrases: Phrases, people: Sequence[str], text: str) -> tuple[Claim, ...] | None:
    """One claim of each person, in the order of `people`; None for any other text."""
    found: dict[int, Claim] = {}
    for sentence in filter(None, map(str.strip, text.split("."))):
        read = _read_claim(phrases, people, f"{sentence}.")
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
