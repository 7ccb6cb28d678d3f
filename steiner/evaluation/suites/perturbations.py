"""The first problems of the main suite, each asked in a changed form that a person could type.

Problem -> the same problem, with another question or dialogue

One suite for each perturbation. It has problems of the main suite, so the report compares
accuracies problem by problem. The task's own grader grades the answers, in any letter case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from steiner.evaluation.suites import EvalItem, Suite, problems_of
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.tasks.names import known_names
from steiner.types import Message, Problem, Split

PREFIX = "perturbed/"
"""Suite names are this and the perturbation's name."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A change of a problem's question that leaves the problem as it is."""

    name: str
    title: str
    apply: Callable[[Problem], Problem | None]
    """None if the change means nothing for the problem."""


class PerturbedSuite(Suite):
    """Problems of the test split under one perturbation."""

    is_paired = True

    def __init__(self, perturbation: Perturbation) -> None:
        self.perturbation = perturbation
        self.name, self.title = f"{PREFIX}{perturbation.name}", perturbation.title

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        changed = map(self.perturbation.apply, problems_of(recipe, Split.TEST, num_per_family))
        return [EvalItem(self.name, problem) for problem in changed if problem is not None]


def _sparing_grids(change: Callable[[str], str]) -> Callable[[Problem], Problem | None]:
    """As `_with_question`, but of no question with a grid, in which every mark counts."""

    def apply(problem: Problem) -> Problem | None:
        return None if "grid" in problem.spec else _with_question(change)(problem)

    return apply


def _with_question(change: Callable[[str], str]) -> Callable[[Problem], Problem | None]:
    """Changes the text of the last message."""

    def apply(problem: Problem) -> Problem | None:
        *earlier, last = problem.messages
        asked = replace(last, content=change(last.content))
        return None if asked == last else replace(problem, messages=(*earlier, asked))

    return apply


def _without_punctuation(question: str) -> str:
    """Drops the marks between words; operators and the blanks of grids stay."""
    return re.sub(r"[.,;:?!]+(?=\s|$)", "", question)


def _other_punctuation(question: str) -> str:
    """Commas become semicolons, full stops become exclamation marks."""
    swapped = re.sub(r",(?=\s|$)", ";", question)
    return re.sub(r"\.(?=\s|$)", "!", swapped)


def _extra_whitespace(question: str) -> str:
    return "\n  " + question.replace(" ", "  ") + "  \n"


def _with_system_prompt(problem: Problem) -> Problem:
    """A system prompt that is in no training data; those have others."""
    prompt = Message("system", "You are a friendly expert. Always answer briefly.")
    rest = (message for message in problem.messages if message.role != "system")
    return replace(problem, messages=(prompt, *rest))


def _with_unseen_names(problem: Problem) -> Problem | None:
    """Persons with names that training never saw; the canonical key and the words stay."""
    names = problem.spec.get("names")
    if not names:
        return None
    rng = random_stream("unseen names", problem.key)
    unseen = rng.sample(known_names(held_out=True), len(names))
    new = {
        name: other if name[0].isupper() else other.lower()
        for name, other in zip(names, unseen, strict=True)
    }
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, names))})(?!\w)")
    *earlier, last = problem.messages
    asked = replace(last, content=pattern.sub(lambda found: new[found[0]], last.content))
    return replace(
        problem, messages=(*earlier, asked), spec={**problem.spec, "names": list(new.values())}
    )


PERTURBATIONS = (
    Perturbation("lower_case", "lower case", _with_question(str.lower)),
    Perturbation("upper_case", "upper case", _with_question(str.upper)),
    Perturbation("no_punctuation", "no punctuation", _sparing_grids(_without_punctuation)),
    Perturbation(
        "other_punctuation",
        "other punctuation",
        _sparing_grids(_other_punctuation),
    ),
    Perturbation(
        "extra_whitespace",
        "extra white space",
        _sparing_grids(_extra_whitespace),
    ),
    Perturbation("greeting", "a greeting before", _with_question("Hello! {}".format)),
    Perturbation("thanks", "thanks after", _with_question("{} Thanks!".format)),
    Perturbation("system_prompt", "another system prompt", _with_system_prompt),
    Perturbation("unseen_names", "names never seen", _with_unseen_names),
)

SUITES = tuple(map(PerturbedSuite, PERTURBATIONS))
