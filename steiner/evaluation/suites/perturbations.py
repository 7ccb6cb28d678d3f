"""The first problems of the main suite, each asked in a changed form that a person could type.

Problem -> the same problem, with another question or dialogue

One suite for each perturbation. It has problems of the main suite, so the report compares
accuracies problem by problem. The task's own grader grades the answers. Perturbations of the case
accept names and labels in either case, since the model can only repeat what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from steiner.evaluation.suites import EvalItem, Suite, problems_of
from steiner.recipe import Recipe
from steiner.tasks import Grade, grade, make_problem
from steiner.types import Message, Problem, Split

PREFIX = "perturbed/"
"""Suite names are this and the perturbation's name."""

UNCOMMON_NAMES = ("Zuleika", "Thaddeus", "Oyelaran", "Wilhelmina", "Xiadani", "Bartholomew")


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A change of a problem's question that leaves the problem as it is."""

    name: str
    title: str
    apply: Callable[[Problem], Problem | None]
    """None if the change means nothing for the problem."""
    changes_case: bool = False


class PerturbedSuite(Suite):
    """Problems of the test split under one perturbation."""

    is_paired = True

    def __init__(self, perturbation: Perturbation) -> None:
        self.perturbation = perturbation
        self.name, self.title = f"{PREFIX}{perturbation.name}", perturbation.title

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        changed = map(self.perturbation.apply, problems_of(recipe, Split.TEST, num_per_family))
        return [EvalItem(self.name, problem) for problem in changed if problem is not None]

    def grade(self, item: EvalItem, answer: str) -> Grade:
        found = grade(item.problem, answer)
        if found is not Grade.RIGHT and self.perturbation.changes_case:
            return grade(item.problem, _restore_case(item.problem, answer))
        return found


def _with_question(change: Callable[[str], str]) -> Callable[[Problem], Problem]:
    """Changes the text of the last message."""

    def apply(problem: Problem) -> Problem:
        *earlier, last = problem.messages
        return replace(problem, messages=(*earlier, replace(last, content=change(last.content))))

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
    """Adds a system prompt; the training data have none."""
    prompt = Message("system", "You are a friendly expert. Always answer briefly.")
    rest = (message for message in problem.messages if message.role != "system")
    return replace(problem, messages=(prompt, *rest))


def _with_uncommon_names(problem: Problem) -> Problem | None:
    """Renames the persons. The canonical key, the level and the wording stay."""
    names = problem.spec.get("names")
    if not names or len(names) > len(UNCOMMON_NAMES):
        return None
    return make_problem(
        problem.family,
        {**problem.spec, "names": list(UNCOMMON_NAMES[: len(names)])},
        level=problem.level,
        language=problem.language,
        wording=problem.wording,
    )


def _restore_case(problem: Problem, answer: str) -> str:
    """`answer` in lower case, except names of persons and single-letter labels of the question."""
    original = make_problem(
        problem.family, problem.spec, language=problem.language, wording=problem.wording
    )
    words = {*problem.spec.get("names", ()), *re.findall(r"\b[A-Z]\b", original.question)}
    text = answer.lower()
    for word in words:
        text = re.sub(rf"\b{re.escape(word.lower())}\b", word, text)
    return text


PERTURBATIONS = (
    Perturbation("lower_case", "lower case", _with_question(str.lower), changes_case=True),
    Perturbation("upper_case", "upper case", _with_question(str.upper), changes_case=True),
    Perturbation("no_punctuation", "no punctuation", _with_question(_without_punctuation)),
    Perturbation("other_punctuation", "other punctuation", _with_question(_other_punctuation)),
    Perturbation("extra_whitespace", "extra white space", _with_question(_extra_whitespace)),
    Perturbation("greeting", "a greeting before", _with_question("Hello! {}".format)),
    Perturbation("thanks", "thanks after", _with_question("{} Thanks!".format)),
    Perturbation("system_prompt", "another system prompt", _with_system_prompt),
    Perturbation("uncommon_names", "uncommon names", _with_uncommon_names),
)

SUITES = tuple(map(PerturbedSuite, PERTURBATIONS))
