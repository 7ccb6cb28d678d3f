"""Questions of knights and knaves in words, by the grammar of a language.

Spec, QuestionGrammar -> WordedQuestion
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from steiner.tasks.knights_knaves_logic import UNORDERED
from steiner.tasks.knights_knaves_statements import quote
from steiner.tasks.protocols import WordedQuestion
from steiner.tasks.question_grammar import Field, QuestionGrammar
from steiner.types import Spec, Split

_ONE_SENTENCE = 0.2
"""Share of puzzles whose statements are clauses of one sentence."""
_TRIES = 20
"""Most questions drawn for a problem until one says which word means a liar."""
_SENTENCE_END = re.compile(r"[.?!]\s")
_WORD_FIELDS = ("a_knight", "a_knave", "knight", "knave", "knights", "knaves")


def worded(
    spec: Spec, grammar: QuestionGrammar, rng: random.Random, split: Split
) -> WordedQuestion:
    """The puzzle as a person may type it; a training question with words of its own for the two
    roles says which of them lies."""
    fields, claims = _question_fields(spec, grammar, rng)
    if missing := spec.get("missing", ""):
        return WordedQuestion(grammar.missing(rng, split, missing, fields), "missing")
    words = tuple(map(str, word_fields(spec, grammar).values()))
    for _ in range(_TRIES):
        voice, text = grammar.question(rng, split, fields)
        statements = next((t for t in claims if all(quote(text, each) for each in t)), ())
        if split is not Split.TRAIN or _says_who_lies(text, grammar, statements, words):
            break
    return WordedQuestion(text, voice, statements)


def word_fields(spec: Spec, grammar: QuestionGrammar) -> dict[str, Field]:
    """The question's words for the two roles, singular and plural."""
    terms = tuple(spec.get("terms", grammar.words["terms"]))
    pairs = {tuple(pair[:2]): pair for pair in grammar.words["pairs"]}
    nouns = [term.split(" ", 1)[-1] for term in terms]
    plurals = (grammar.words["plural"].format(noun=noun) for noun in nouns)
    words = pairs.get(terms, [*terms, *nouns, *plurals])
    return dict(zip(_WORD_FIELDS, words, strict=True))


def _question_fields(
    spec: Spec, grammar: QuestionGrammar, rng: random.Random
) -> tuple[dict[str, Field], list[tuple[str, ...]]]:
    """The fields of steiner/tasks/questions/<language>/knights_knaves.toml, and the persons'
    statements in each of the fields that tell them."""
    names, fields = spec["names"], word_fields(spec, grammar)
    between, last = rng.choice(grammar.words["name_joins"])
    fields["people"] = between.join(names[:-1]) + last + names[-1]
    mark = rng.choice(("", "- ", "* "))
    fields["people_lines"] = "\n".join(mark + name for name in names)
    fields["count"], fields["count_word"] = str(len(names)), grammar.numbers.singulars[len(names)]
    sentences, claims = _sentences(spec, grammar, rng)
    lines = _statements(spec, grammar, rng, grammar.template(rng, "statement_line"))
    fields |= {"statements": sentences, "statement_lines": "\n".join(lines)}
    return fields, [claims, lines]


def _sentences(
    spec: Spec, grammar: QuestionGrammar, rng: random.Random
) -> tuple[str, tuple[str, ...]]:
    """All statements as sentences, or as the clauses of one long sentence; and each of them."""
    in_one_sentence = rng.random() < _ONE_SENTENCE and "says" in spec
    rule = "clause" if in_one_sentence else "statement"
    alike = grammar.template(rng, rule) if rng.random() < 0.4 else f"<{rule}>"
    claims = _statements(spec, grammar, rng, alike)
    if not in_one_sentence:
        return " ".join(claims), claims
    between = str(rng.choice(grammar.words["clause_joins"]))
    last = rng.choice((*grammar.words["last_clause_joins"], between))
    return between.join(claims[:-1]) + last + claims[-1] + ".", claims


def _statements(
    spec: Spec, grammar: QuestionGrammar, rng: random.Random, template: str
) -> tuple[str, ...]:
    speakers = range(len(spec.get("says", ())))
    return tuple(worded_statement(spec, grammar, rng, speaker, template) for speaker in speakers)


def worded_statement(
    spec: Spec, grammar: QuestionGrammar, rng: random.Random, speaker: int, template: str
) -> str:
    """One person's claim in random words, by `template`.

    `{claim}` is a clause, `{quip}` anything that the person may say, and `{tells}` a sentence
    about the speaker, such as `Ann accuses Bob of lying`.
    """
    kind, *others = spec["says"][speaker]
    if kind in UNORDERED and rng.random() < 0.5:
        others.reverse()
    first, *_, second = (spec["names"][person] for person in (others[0], *others))
    fields = word_fields(spec, grammar) | {
        "speaker": spec["names"][speaker],
        "first": first,
        "second": second,
        "number": str(speaker + 1),
    }
    form = rng.choice(("claim", "quip"))
    fields["claim"] = grammar.expand(rng, f"<claim_{kind}>", fields)
    fields["quip"] = grammar.expand(rng, f"<{form}_{kind}>", fields)
    fields["tells"] = grammar.expand(rng, f"<tells_{kind}>", fields)
    return grammar.expand(rng, template, fields)


def _says_who_lies(
    text: str, grammar: QuestionGrammar, statements: Sequence[str], words: Sequence[str]
) -> bool:
    """True if `text` says, outside of the statements, which of the two words means a liar.

    Words such as `a liar` say so themselves; so do knights and knaves, by tradition.
    """
    truth = re.compile(rf"\b(?:{'|'.join(grammar.words['truth'])})\b")
    if words[0] == grammar.words["terms"][0] or truth.search(" ".join(words)):
        return True
    plain = " ".join(text.casefold().split())
    for statement in statements:
        plain = plain.replace(quote(plain, statement), " ")
    sentences = [part for part in _SENTENCE_END.split(plain) if truth.search(part)]
    return any(word.casefold() in sentence for sentence in sentences for word in words)
