"""How a question of countdown writes its givens: the numbers and the target.

numbers, target, grammar, random stream -> the fields of
steiner/tasks/questions/<language>/countdown.toml

Questions for training have more layouts of the numbers (countdown_numbers.py) than the others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from steiner.tasks import countdown_numbers as layouts
from steiner.tasks.names import known_names
from steiner.tasks.question_grammar import Field, QuestionGrammar

_SEPARATORS = (", ", " ", ",", "; ", " / ", ", ", " ")


def question_fields(
    numbers: Sequence[int], target: int, grammar: QuestionGrammar, rng: random.Random
) -> dict[str, Field]:
    """The fields of steiner/tasks/questions/<language>/countdown.toml; the order is random."""
    shuffled = rng.sample(list(numbers), len(numbers))
    *first, last = map(str, shuffled)
    end = rng.choice(grammar.words["ends"])
    inline = rng.choice((", ".join(first) + end + last, _join(shuffled, rng.choice(_SEPARATORS))))
    mark = rng.choice(("- ", "* ", "", "  "))
    return {
        "numbers": inline,
        "numbers_json": f"[{_join(shuffled, ', ')}]",
        "number_lines": "\n".join(f"{mark}{number}" for number in shuffled),
        "target": str(target),
        "count": str(len(shuffled)),
        "count_word": grammar.numbers.singulars[len(shuffled)],
    }


def training_fields(
    numbers: Sequence[int], target: int, grammar: QuestionGrammar, rng: random.Random
) -> dict[str, Field]:
    """Fields that only voices of training use, and a wider `numbers`; see countdown_numbers.py."""
    shuffled = rng.sample(list(numbers), len(numbers))
    cut = rng.randint(1, max(1, len(shuffled) - 1))
    name, friend = rng.sample(known_names(grammar.language, held_out=False), 2)
    fields: dict[str, Field] = {
        "counted": partial(layouts.counted, shuffled, grammar),
        "spoken": partial(layouts.spoken, shuffled, grammar),
        "owned": partial(layouts.owned, shuffled, grammar),
        "labelled": partial(layouts.labelled, shuffled, grammar),
        "lines": partial(layouts.on_lines, shuffled, grammar),
        "data": partial(layouts.as_data, shuffled),
        "gaps": partial(layouts.with_gaps, shuffled),
        "some": partial(layouts.listed, shuffled[:cut], grammar),
        "others": partial(layouts.listed, shuffled[cut:], grammar),
        "target_said": grammar.numbers.text(target, in_words=rng.random() < 0.2),
        "a_target": f"{grammar.numbers.article(target)} {target}",
        "name": name,
        "friend": friend,
    }
    if rng.random() < 0.5:
        fields["numbers"] = partial(layouts.listed, shuffled, grammar)
    return fields


def _join(numbers: Sequence[int], separator: str) -> str:
    return separator.join(map(str, numbers))
