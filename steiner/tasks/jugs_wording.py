"""How a question of water jugs writes its givens: the jugs, the target and the limit of moves.

Spec, grammar -> the fields of steiner/tasks/questions/<language>/jugs.toml

Besides the rules for two and for three jugs, the jugs are composed of one phrase for each, so that
both numbers of jugs have equally many wordings. What a jug and its unit are called, and the words
that tell the jugs apart (colours, sizes, letters), are drawn once for the whole question.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from steiner.tasks.number_words import NUM_WORDS
from steiner.tasks.question_grammar import Field, QuestionGrammar
from steiner.types import Spec

_LIMIT_RULES = ("limit", "limit_sentence", "limit_first", "limit_line", "limit_aside")
_FREE_RULES = {"limit_sentence": "free_sentence", "limit_line": "free_line"}
"""Fields of the limit that may say that there is none -> rules for that."""
_FREE_SAID = 0.15
_WORDS = 0.08
"""Chance that a given is written as a word, whatever the habits of the voice."""


@dataclass(frozen=True, slots=True)
class _Composer:
    """Writes each jug with the same template, and joins them."""

    grammar: QuestionGrammar
    rng: random.Random
    fields: dict[str, Field]
    """The fields of the question so far."""
    jugs: Sequence[dict[str, Field]]
    """The fields of each jug."""

    def drawn(self, words: str) -> list[str]:
        """One entry of a list of [words]."""
        entry: list[str] = self.rng.choice(self.grammar.words[words])
        return entry

    def phrases(self, words: str, joins: str) -> str:
        """Jugs written with an entry [first, others] or [first, others, last], and joined."""
        first, others, *last = self.drawn(words)
        middle = [others] * (len(self.jugs) - 2)
        templates = [first, *middle, last[0] if last else others]
        pairs = zip(templates, self.jugs, strict=True)
        return self._joined([self._text(template, jug) for template, jug in pairs], joins)

    def sizes(self, template: str) -> str:
        """The sizes alone: `3, 5 and 8`, or `3L, 5L and 8L`."""
        return self._joined([self._text(template, jug) for jug in self.jugs], "size_joins")

    def table(self) -> str:
        """A line for each jug, after a heading if the entry [heading, line] has one."""
        heading, line = self.drawn("jug_tables")
        lines = [self._text(line, jug) for jug in self.jugs]
        inline = not heading and self.rng.random() < 0.2
        return self._text(heading, {}) + (", " if inline else "\n").join(lines)

    def _text(self, template: str, jug: dict[str, Field]) -> str:
        return self.grammar.expand(self.rng, template, self.fields | jug)

    def _joined(self, texts: Sequence[str], joins: str) -> str:
        between, before_last = self.drawn(joins)
        return between.join(texts[:-1]) + before_last + texts[-1]


def question_fields(spec: Spec, grammar: QuestionGrammar, rng: random.Random) -> dict[str, Field]:
    """The fields of steiner/tasks/questions/<language>/jugs.toml."""
    unit, units = rng.choice(grammar.words["units"])
    vessel, vessels = rng.choice(grammar.words["vessels"])
    capacities = spec.get("capacities", [0, 0])
    count = len(capacities)
    fields: dict[str, Field] = {
        **dict(zip("abc", map(str, capacities), strict=False)),
        "unit": unit,
        "units": units,
        "vessel": vessel,
        "vessels": vessels,
        **{f"v{n}": rng.choice(grammar.words["vessels"])[0] for n in (1, 2, 3)},
        "count": str(count),
        "count_word": grammar.numbers.singulars[count],
        "group": grammar.words["group"][count - 2],
        "both": grammar.words["both"][count - 2],
        "either": grammar.words["either"][count - 2],
        "target": _number(grammar, rng, spec["target"]) if "target" in spec else "",
        "open": "[",
        "close": "]",
        "less": "<",
    }
    jugs = _jug_fields(grammar, rng, capacities, fields)
    return fields | _jug_texts(_Composer(grammar, rng, fields, jugs)) | _limits(spec, grammar, rng)


def _jug_texts(composer: _Composer) -> dict[str, Field]:
    """All jugs as a noun phrase, as sentences without the last mark, as lines, and sizes alone."""
    grammar, rng, count = composer.grammar, composer.rng, len(composer.jugs)
    sizes = composer.sizes("{n}")
    quantities = composer.sizes("{n}{short}")
    listed = ", ".join(str(jug["n"]) for jug in composer.jugs)
    alone = {"sizes": sizes, "quantities": quantities, "csv": listed}
    fields = composer.fields | alone
    rule = rng.choice((f"<jugs{count}>", "<jug_sets>", ""))
    lines = rng.choice((f"<jug_lines{count}>", ""))
    return {
        **alone,
        "jugs": grammar.expand(rng, rule, fields) or composer.phrases("jug_items", "item_joins"),
        "jug_sentences": composer.phrases("jug_clauses", "clause_joins"),
        "jug_clauses": composer.phrases("jug_clauses", "inner_joins"),
        "things": composer.phrases("thing_items", "item_joins"),
        "thing_sentences": composer.phrases("thing_clauses", "clause_joins"),
        "numbered_sentences": composer.phrases("numbered_clauses", "inner_joins"),
        "jug_lines": grammar.expand(rng, lines, fields) or composer.table(),
    }


def _jug_fields(
    grammar: QuestionGrammar,
    rng: random.Random,
    capacities: Sequence[int],
    fields: dict[str, Field],
) -> list[dict[str, Field]]:
    """For each jug: size {n} with its article {an}, {letter}, {index}, {adj}, {name}, {thing}.

    {adj} goes after "a", {name} after "the". {thing} is another one for each jug, {other} is any
    vessel. {short} is the unit right after a size.
    """
    words, in_words = grammar.words, max(capacities) < NUM_WORDS and rng.random() < _WORDS
    short = "" if in_words else words["short_units"].get(fields["unit"], "")
    letters, adjectives = rng.choice(words["letters"]), _adjectives(grammar, rng, capacities)
    things = rng.sample(words["things"], len(capacities))
    names = rng.choice((adjectives, _names(grammar, rng, capacities)))
    return [
        {
            "n": grammar.numbers.text(size, in_words=in_words),
            "an": grammar.numbers.article(size),
            "short": short or f" {fields['units']}",
            "letter": letter,
            "index": str(index),
            "thing": thing,
            "adj": adjective,
            "name": name,
            "other": rng.choice(words["vessels"])[0],
        }
        for index, (size, letter, adjective, name, thing) in enumerate(
            zip(capacities, letters, adjectives, names, things, strict=False), 1
        )
    ]


def _adjectives(
    grammar: QuestionGrammar, rng: random.Random, capacities: Sequence[int]
) -> list[str]:
    """Words for jugs that may be any, or that tell their sizes: red and blue, small and big."""
    count = len(capacities)
    if rng.random() < 0.5:
        return rng.sample(rng.choice(grammar.words["adjectives"]), count)
    return _by_size(rng.choice(grammar.words[f"sizes{count}"]), capacities)


def _names(grammar: QuestionGrammar, rng: random.Random, capacities: Sequence[int]) -> list[str]:
    """Words for jugs that are known by place or by comparison: left and right, bigger, smaller."""
    count = len(capacities)
    if rng.random() < 0.5:
        places: list[str] = rng.choice(grammar.words[f"places{count}"])
        return places
    return _by_size(rng.choice(grammar.words[f"comparisons{count}"]), capacities)


def _by_size(words: Sequence[str], capacities: Sequence[int]) -> list[str]:
    """`words`, from the smallest jug to the largest, in the order of `capacities`."""
    ascending = sorted(capacities)
    return [words[ascending.index(size)] for size in capacities]


def _limits(spec: Spec, grammar: QuestionGrammar, rng: random.Random) -> dict[str, Field]:
    """The limit of moves in each form; empty where there is no limit, or it says that."""
    limit = spec.get("max_moves")
    if limit is None:
        said = rng.random() < _FREE_SAID
        rules = {rule: _FREE_RULES.get(rule, "") if said else "" for rule in _LIMIT_RULES}
    else:
        rules = {rule: rule for rule in _LIMIT_RULES}
    fields: dict[str, Field] = {"moves": "" if limit is None else _number(grammar, rng, limit)}
    return {
        field: grammar.expand(rng, f"<{rule}>", fields) if rule else ""
        for field, rule in rules.items()
    }


def _number(grammar: QuestionGrammar, rng: random.Random, number: int) -> str:
    in_words = number < NUM_WORDS and rng.random() < _WORDS
    return grammar.numbers.text(number, in_words=in_words)
