"""Ordinary text: what the embedded base model is pre-trained on, and what later training keeps.

stream names, mixture -> endless Documents

Arithmetic, lists, short questions, the standard library's prose, and each single skill that the
families' steps need, in words close to theirs: no search, no reasoning token, and no problem of the
validation or test split. Where the paper's base had the web, a base of 3M parameters has this.
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
    steps,
)
from steiner.data.ordinary_text.lessons import CHAT_SHARE, Document, Lesson, as_document
from steiner.randomness import random_stream
from steiner.types import UserError

__all__ = ["DEFAULT_MIXTURE", "Document", "documents", "held_out_documents", "kinds_of_documents"]

DEFAULT_MIXTURE: Mapping[str, float] = {
    "arithmetic": 0.03,
    "comparisons": 0.01,
    "lists": 0.02,
    "lookups": 0.03,
    "chat": 0.01,
    "prose": 0.02,
    "countdown facts": 0.03,
    "countdown questions": 0.02,
    "countdown steps": 0.11,
    "knights_knaves facts": 0.04,
    "knights_knaves questions": 0.03,
    "knights_knaves steps": 0.20,
    "mini_sudoku facts": 0.02,
    "mini_sudoku questions": 0.04,
    "mini_sudoku steps": 0.17,
    "jugs facts": 0.06,
    "jugs questions": 0.02,
    "jugs steps": 0.14,
}
"""Kind -> its share of all tokens."""

_BLOCK = 256
"""Documents whose kinds are drawn at once."""

_SAMPLE = 128
"""Documents by which the length of a kind's is known."""

_TOKEN = re.compile(r"[a-zA-Z]+|\d\d?|[^\w ]|_")
"""About what the tokenizer makes one token of."""

_LESSONS: Mapping[str, Callable[[random.Random], Iterator[Lesson]]] = {
    "arithmetic": facts.arithmetic,
    "comparisons": facts.comparisons,
    "lists": lists.lists,
    "lookups": lists.lookups,
    "chat": chat.chat,
    "countdown facts": countdown.facts,
    "countdown questions": countdown.questions,
    "knights_knaves facts": knights.facts,
    "knights_knaves questions": knights.questions,
    "mini_sudoku facts": grids.facts,
    "mini_sudoku questions": grids.questions,
    "jugs facts": jugs.facts,
    "jugs questions": jugs.questions,
} | {
    f"{name} steps": partial(steps.steps, name=name)
    for name in ("countdown", "knights_knaves", "mini_sudoku", "jugs")
}


def documents(*names: object, kinds: Mapping[str, float] | None = None) -> Iterator[Document]:
    """Documents without end, the same ones for the same names; `kinds` are shares of tokens.

    Raises UserError for an unknown kind.
    """
    return (document for _, document in kinds_of_documents(*names, kinds=kinds))


def held_out_documents(count: int) -> list[Document]:
    """Documents for measuring perplexity: a stream of their own, with prose that training never
    sees."""
    stream = kinds_of_documents("held-out", held_out=True)
    return [document for _, document in islice(stream, count)]


def kinds_of_documents(
    *names: object, kinds: Mapping[str, float] | None = None, held_out: bool = False
) -> Iterator[tuple[str, Document]]:
    """Documents, each with the kind that it is of."""
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
    """About how many tokens a document of that kind has, by a sample of its own."""
    sample = islice(_source(kind, held_out, "lengths"), _SAMPLE)
    return fmean(_num_tokens(document) for document in sample)


def _num_tokens(document: Document) -> int:
    turns = len(document.parts) if document.is_dialogue else 1
    return sum(len(_TOKEN.findall(part)) for part in document.parts) + 4 * turns


def _source(kind: str, held_out: bool, *names: object) -> Iterator[Document]:
    """The documents of one kind."""
    rng = random_stream("ordinary", *names, kind)
    if kind == "prose":
        return (Document(("", passage)) for passage in prose.prose(rng, held_out))
    chat_share = 0.6 if kind == "chat" else CHAT_SHARE
    return (as_document(rng, lesson, chat_share) for lesson in _LESSONS[kind](rng))


def _require_known(shares: Mapping[str, float]) -> None:
    for kind in shares:
        if kind not in DEFAULT_MIXTURE:
            near = get_close_matches(kind, DEFAULT_MIXTURE, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(DEFAULT_MIXTURE)}"
            raise UserError(f"unknown kind of ordinary text '{kind}'", hint)
