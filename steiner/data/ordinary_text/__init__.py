"""Ordinary text: what the embedded base model is pre-trained on and what later stages mix in.

stream names, mixture -> endless Documents

Arithmetic, lists, short questions, prose from the standard library, and each single skill that the
tasks' steps need, in similar words. It contains no search, no reasoning token and no problem of the
validation or test split. The paper's base was trained on the web; an embedded base of a million
parameters is trained on this.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache, partial
from itertools import islice
from statistics import fmean

from steiner.data.ordinary_text import (
    chat,
    countdown,
    facts,
    grids,
    jugs,
    knights,
    lists,
    prose,
    reading,
    steps,
)
from steiner.data.ordinary_text.generators import CHAT_SHARE, Document, FactGroup, as_document
from steiner.randomness import random_stream
from steiner.types import UserError

__all__ = ["DEFAULT_MIXTURE", "Document", "documents", "held_out_documents", "kinds_of_documents"]

DEFAULT_MIXTURE: Mapping[str, float] = {
    "arithmetic": 0.03,
    "comparisons": 0.01,
    "lists": 0.03,
    "lookups": 0.05,
    "chat": 0.02,
    "prose": 0.20,
    "countdown reading": 0.06,
    "knights_knaves reading": 0.08,
    "mini_sudoku reading": 0.06,
    "jugs reading": 0.06,
    "other reading": 0.02,
    "countdown facts": 0.03,
    "countdown steps": 0.06,
    "knights_knaves facts": 0.03,
    "knights_knaves steps": 0.10,
    "mini_sudoku facts": 0.02,
    "mini_sudoku steps": 0.06,
    "jugs facts": 0.03,
    "jugs steps": 0.05,
}
"""Kind -> share of all tokens."""

_BLOCK = 256
"""Documents whose kinds are drawn together."""

_SAMPLE = 128
"""Documents on which the mean length of a kind is estimated."""

_TOKEN = re.compile(r"[a-zA-Z]+|\d\d?|[^\w ]|_")
"""Approximates one token."""

_GENERATORS: Mapping[str, Callable[[random.Random], Iterator[FactGroup]]] = (
    {
        "arithmetic": facts.arithmetic,
        "comparisons": facts.comparisons,
        "lists": lists.lists,
        "lookups": lists.lookups,
        "chat": chat.chat,
        "countdown facts": countdown.facts,
        "knights_knaves facts": knights.facts,
        "mini_sudoku facts": grids.facts,
        "jugs facts": jugs.facts,
    }
    | {
        f"{name} steps": partial(steps.steps, name=name)
        for name in ("countdown", "knights_knaves", "mini_sudoku", "jugs")
    }
    | {
        f"{name} reading": partial(reading.reading, name=name)
        for name in ("countdown", "knights_knaves", "mini_sudoku", "jugs", "other")
    }
)


def documents(*names: object, kinds: Mapping[str, float] | None = None) -> Iterator[Document]:
    """Endless documents, the same for the same names; `kinds` are shares of tokens.

    Raises UserError for an unknown kind.
    """
    return (document for _, document in kinds_of_documents(*names, kinds=kinds))


def held_out_documents(count: int) -> list[Document]:
    """Documents for measuring perplexity, from a separate stream, with prose that training never
    uses."""
    stream = kinds_of_documents("held-out", held_out=True)
    return [document for _, document in islice(stream, count)]


def kinds_of_documents(
    *names: object, kinds: Mapping[str, float] | None = None, held_out: bool = False
) -> Iterator[tuple[str, Document]]:
    """Documents with the name of their kind."""
    shares = DEFAULT_MIXTURE if kinds is None else kinds
    _require_known(shares)
    sources = {kind: _source(kind, held_out, *names) for kind in shares}
    weights = [share / _mean_length(kind, held_out) for kind, share in shares.items()]
    rng = random_stream("ordinary", *names)
    while True:
        for kind in rng.choices(list(shares), weights, k=_BLOCK):
            yield kind, next(sources[kind])


@cache
def _mean_length(kind: str, held_out: bool) -> float:
    """Mean tokens of a document of that kind, estimated on a separate sample."""
    sample = islice(_source(kind, held_out, "lengths"), _SAMPLE)
    return fmean(_num_tokens(document) for document in sample)


def _num_tokens(document: Document) -> int:
    turns = len(document.parts) if document.is_dialogue else 1
    return sum(len(_TOKEN.findall(part)) for part in document.parts) + 4 * turns


def _source(kind: str, held_out: bool, *names: object) -> Iterator[Document]:
    """Endless documents of one kind."""
    rng = random_stream("ordinary", *names, kind)
    if kind == "prose":
        return (Document(("", passage)) for passage in prose.prose(rng, held_out))
    chat_share = 0.6 if kind == "chat" else CHAT_SHARE
    return (as_document(rng, group, chat_share) for group in _GENERATORS[kind](rng))


def _require_known(shares: Mapping[str, float]) -> None:
    for kind in shares:
        if kind not in DEFAULT_MIXTURE:
            near = get_close_matches(kind, DEFAULT_MIXTURE, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(DEFAULT_MIXTURE)}"
            raise UserError(f"unknown kind of ordinary text '{kind}'", hint)
