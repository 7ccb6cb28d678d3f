"""GSM8K with a real base: the same base trained on worked solutions and on search paths.

Setting -> accuracy on the test set by step budget, and on unseen BIG-Bench-Hard tasks

    make bench FIGURE="gsm8k gsm8k-rl gsm8k-votes gsm8k-unseen --base models/smollm2"

At equal training tokens: (a) SFT on the data set's own solutions; (b) CPT and SFT on search paths;
(c) RL from (b), with the teacher's continuations as the value of steps. The teacher, which writes
the wrong turns, is the same base: so small a model does not keep to the required form, so it first
learns it from worked solutions of other training questions. Those tokens, half as many again, are
outside the equal tokens: (b) and (c) rest on 1.5 times the tokens of (a). All at the same learning
rates and batch sizes. Trained models and graded answers are kept under runs/bench, so that a killed
run continues.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from experiments.baselines import train_chats
from steiner import __version__
from steiner.evaluation.budget_curves import within_budgets
from steiner.evaluation.model_runner import ItemCompletion, ModelRunner
from steiner.evaluation.statistics import difference, proportion
from steiner.evaluation.suites import MAIN, EvalItem, problems_of
from steiner.files import model_digest, read_json, write_json
from steiner.inference.budget import Budget
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.pipeline import runs as pipeline
from steiner.questions.presets import suite_settings
from steiner.questions.reading import Question, read_questions
from steiner.questions.task import register_questions
from steiner.randomness import random_stream
from steiner.recipe import Recipe, RlRecipe
from steiner.recipe_file import load_recipe
from steiner.tasks import Grade, grade
from steiner.teacher.steps import continuing_messages, render, worked_solution
from steiner.types import Message, Problem, Rollout, Split

BUDGETS = (2, 4, 8, 16)
UNSEEN = ("logical_deduction_three_objects", "web_of_lies", "date_understanding")
"""Tasks of BIG-Bench-Hard that nothing was trained on."""
_CPT_SHARE = 0.25
_TEACHER_SHARE = 0.5
"""Tokens of the teacher's own training, as a share of the models'."""
_TOKENS_PER_QUESTION = 500
"""Training tokens for each question that the teacher is asked about."""
_CALCULATOR_MARK = re.compile(r"<<[^<>]*>>")
_PLAIN_TOKENS = 256
"""Longest plain answer."""
_TEMPERATURE = 0.7
"""Of votes."""

Graded = Mapping[str, bool]
"""Problem key -> right."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """Graded answers of one model to one suite."""

    right: Mapping[str, Graded]
    """Step budget as text, or "" for none -> Graded."""
    tokens: float
    """Mean tokens of a completion without a budget."""

    def at(self, budget: int | None = None) -> list[bool]:
        """The grades within a budget, in the order of the problems."""
        return list(self.right[str(budget or "")].values())


def gsm8k(setting: Setting) -> Iterator[Measured]:
    """Accuracy on the test set of the base, (a) and (b); (b) by budget and over (a)."""
    solutions = plain(setting, _solutions_model(setting))
    base = plain(setting, Path(setting.base), examples=4)
    sft = _ours(setting, _run(setting, "sft"))
    note = f"{setting.tokens:,} training tokens"
    yield share("base, 4 examples", base.at(), f"{base.tokens:.0f} tokens an answer")
    yield share("(a) SFT on solutions", solutions.at(), f"{note}, {solutions.tokens:.0f} an answer")
    yield share("(b) SFT on search paths", sft.at(), f"{note}, {sft.tokens:.0f} an answer")
    for budget in BUDGETS:
        yield share(f"(b) within {budget} steps", sft.at(budget))
    yield Measured.of("(b) over (a)", difference(sft.at(), solutions.at()), "points")


def after_rl(setting: Setting) -> Iterator[Measured]:
    """Accuracy of (c), by budget, and over (a)."""
    solutions = plain(setting, _solutions_model(setting))
    rl = _ours(setting, _run(setting, "rl"))
    yield share("(c) RL", rl.at(), f"{setting.rl_steps} steps, {rl.tokens:.0f} tokens an answer")
    for budget in BUDGETS:
        yield share(f"(c) within {budget} steps", rl.at(budget))
    gain = difference(rl.at(), solutions.at())
    yield Measured.of("(c) over (a)", gain, "points", "at least 5.56 and interval above 0")
    rise = difference(rl.at(BUDGETS[-1]), rl.at(BUDGETS[0]))
    yield Measured.of("(c) within 16 steps over 2", rise, "points", "interval above 0")


def votes(setting: Setting) -> Iterator[Measured]:
    """Rivals that spend more tokens: eight examples, and majority votes of as many tokens."""
    few = plain(setting, Path(setting.base), examples=8)
    yield share("base, 8 examples", few.at(), f"{few.tokens:.0f} tokens an answer")
    model = _solutions_model(setting)
    ours = _ours(setting, _run(setting, "rl"))
    count = max(1, round(ours.tokens / plain(setting, model).tokens))
    voted = _voted(setting, model, count)
    yield share(f"(a) majority of {count}", voted.at(), f"{count * voted.tokens:.0f} tokens")


def unseen(setting: Setting) -> Iterator[Measured]:
    """Accuracy of the base, (a) and (b) on tasks that no model was trained on."""
    for name in UNSEEN:
        found = {
            "base": plain(setting, Path(setting.base), task_name=name),
            "(a)": plain(setting, _solutions_model(setting), task_name=name),
            "(b)": _ours(setting, _run(setting, "sft"), task_name=name),
        }
        for model, answers in found.items():
            yield share(f"{name}, {model}", answers.at())


def unseen_after_rl(setting: Setting) -> Iterator[Measured]:
    """Accuracy of (c) on tasks that no model was trained on."""
    for name in UNSEEN:
        answers = _ours(setting, _run(setting, "rl"), task_name=name)
        yield share(f"{name}, (c)", answers.at())


def share(name: str, right: Sequence[bool], note: str = "") -> Measured:
    """The share that is right, with its interval."""
    return Measured.of(name, proportion(right), "%", note=note)


def _recipe(setting: Setting, teacher: str = "") -> Recipe:
    """The recipe `questions` on GSM8K's training set."""
    folder = Path(setting.gsm8k)
    source = str(folder / "train.jsonl") if folder.is_dir() else setting.gsm8k
    cpt_tokens = int(setting.tokens * _CPT_SHARE)
    settings = {
        "questions.source": source,
        "questions.name": "gsm8k",
        "questions.grader": "number",
        "questions.answer_after": "####",
        "questions.hub_config": "main",
        "questions.limit": setting.tokens // _TOKENS_PER_QUESTION,
        "questions.paths_per_question": 2,
        "teacher.model": teacher,
        "teacher.solutions": 0,  # the data set has its own
        "teacher.wrong_turns": 1,
        "teacher.continuations": 1,
        "teacher.max_tokens": 200,
        "base.model": setting.base,
        "cpt.tokens": cpt_tokens,
        "sft.tokens": setting.tokens - cpt_tokens,
        "sft.adam_lr": 6e-4,  # as in the recipe smollm2-135m
        "cpt.adam_lr": 6e-4,
        "rl.steps": setting.rl_steps,
        "rl.problems_per_step": 4,
        "eval.max_tokens": 1024,
        "eval.batch_size": 64,
    }
    return load_recipe("questions", [f"{key}={json.dumps(v)}" for key, v in settings.items()])


def _folder(setting: Setting) -> Path:
    return setting.base_folder("gsm8k")


def _run(setting: Setting, stage: str) -> Path:
    """The model folder of a stage of the run on search paths; made where it is missing."""
    recipe, folder = _recipe(setting, str(_teacher_model(setting))), _folder(setting)
    for name in ("synth", "cpt", "sft", "rl"):
        pipeline.run(recipe, folder, only=name)
        if name == stage:
            break
    return folder / stage


def _chat(question: Question) -> tuple[Sequence[Message], str]:
    return [Message("user", question.text)], solution_text(question)


def solution_text(question: Question) -> str:
    """The worked solution without calculator marks, and the answer after `####`."""
    return f"{_CALCULATOR_MARK.sub('', question.rationale)}\n#### {question.answer}"


def _without_rl(setting: Setting) -> Recipe:
    """The recipe of a model that is not trained by RL, so that RL's settings do not outdate it."""
    return replace(_recipe(setting), rl=RlRecipe())


def _solutions_model(setting: Setting) -> Path:
    recipe = _without_rl(setting)

    def work(recipe: Recipe, out_dir: Path) -> None:
        train_chats(recipe, out_dir, setting.tokens, map(_chat, _training_questions(recipe)))

    own = replace(setting, cache=_folder(setting))
    base = model_digest(setting.base)
    return own.trained("solutions", recipe, work, base, setting.tokens)[0]


def _teacher_model(setting: Setting) -> Path:
    """The base after SFT on replies to the teacher's prompts, from worked solutions of questions
    that it is not asked later."""
    recipe = _without_rl(setting)
    tokens = int(setting.tokens * _TEACHER_SHARE)

    def work(recipe: Recipe, out_dir: Path) -> None:
        asked = {question.text for question in read_questions(recipe.questions).questions}
        others = (q for q in _training_questions(recipe) if q.text not in asked)
        readable = (q for q in others if worked_solution(q.rationale, q.answer).steps)
        train_chats(recipe, out_dir, tokens, map(_teacher_chat, readable))

    own = replace(setting, cache=_folder(setting))
    return own.trained("teacher", recipe, work, model_digest(setting.base), tokens)[0]


def _teacher_chat(question: Question) -> tuple[Sequence[Message], str]:
    """The prompt to continue a worked solution after some of its steps, and the rest of them."""
    solution = worked_solution(question.rationale, question.answer)
    done = random_stream("teacher", question.text).randrange(len(solution.steps))
    messages = continuing_messages(question.text, solution.steps[:done])
    return messages, f"{render(solution.steps[done:])}\n\nAnswer: {solution.answer}"


def _training_questions(recipe: Recipe) -> list[Question]:
    """All questions of the training file, the few that validation may use included."""
    return read_questions(replace(recipe.questions, limit=0)).questions


def _items(setting: Setting, task_name: str) -> tuple[Recipe, list[EvalItem]]:
    """The test problems of GSM8K, or of a task of BIG-Bench-Hard, in a fixed random order."""
    source = setting.bbh if task_name else setting.gsm8k
    local = Path(source).is_dir()
    file = Path(source, f"{task_name}.json" if task_name else "test.jsonl")
    suite = f"bbh:{file if local else task_name}" if task_name else "gsm8k"
    settings = suite_settings(f"gsm8k:{file}" if local and not task_name else suite)
    recipe = replace(load_recipe("questions", settings), eval=_recipe(setting).eval)
    register_questions(recipe)
    problems = problems_of(recipe, Split.TEST, setting.problems)
    return recipe, [EvalItem(MAIN, problem) for problem in problems]


def _ours(setting: Setting, model: Path, task_name: str = "") -> _Answers:
    """The answers of a model that reasons, without a budget and within each."""

    def measure(recipe: Recipe, items: Sequence[EvalItem]) -> _Answers:
        runner = ModelRunner(model.name, str(model), recipe)
        rollouts = runner.generate([runner.request(item) for item in items], "searches")
        free = [ItemCompletion(*pair) for pair in zip(items, rollouts, strict=True)]
        by_budget = within_budgets(runner, free, BUDGETS, "budgets")
        right = {"": free} | {str(budget): found for budget, found in by_budget.items()}
        return _Answers(
            {budget: _graded(found) for budget, found in right.items()}, _mean(rollouts)
        )

    return _kept(setting, task_name, (model_digest(model), "ours"), measure)


def _graded(completions: Sequence[ItemCompletion]) -> Graded:
    return {
        one.item.problem.key: grade(one.item.problem, one.rollout.answer) is Grade.RIGHT
        for one in completions
    }


def plain(setting: Setting, model: Path, *, examples: int = 0, task_name: str = "") -> _Answers:
    """The greedy answers of a model that writes plain text, after some solved examples."""

    def measure(recipe: Recipe, items: Sequence[EvalItem]) -> _Answers:
        runner = ModelRunner(model.name, str(model), recipe)
        before = _examples(setting, examples)
        rollouts = _plain_rollouts(runner, items, before, lambda item: Sampling())
        right = {
            item.problem.key: grade(item.problem, final_answer(rollout.answer)) is Grade.RIGHT
            for item, rollout in zip(items, rollouts, strict=True)
        }
        return _Answers({"": right}, _mean(rollouts))

    return _kept(setting, task_name, (model_digest(model), "plain", examples), measure)


def _voted(setting: Setting, model: Path, count: int) -> _Answers:
    """The most frequent of `count` sampled answers."""

    def measure(recipe: Recipe, items: Sequence[EvalItem]) -> _Answers:
        runner = ModelRunner(model.name, str(model), recipe)
        answers: dict[str, list[str]] = {item.problem.key: [] for item in items}
        tokens = 0.0
        for sample in range(count):

            def sampling(item: EvalItem, sample: int = sample) -> Sampling:
                seed = random_stream("votes", item.problem.key, sample).getrandbits(31)
                return Sampling(_TEMPERATURE, seed=seed)

            rollouts = _plain_rollouts(runner, items, (), sampling)
            tokens += _mean(rollouts) / count
            for item, rollout in zip(items, rollouts, strict=True):
                answers[item.problem.key].append(final_answer(rollout.answer))
        right = {item.problem.key: _majority(item.problem, answers) for item in items}
        return _Answers({"": right}, tokens)

    return _kept(setting, "", (model_digest(model), "votes", count), measure)


def _majority(problem: Problem, answers: Mapping[str, Sequence[str]]) -> bool:
    found = Counter(answer for answer in answers[problem.key] if answer)
    return bool(found) and grade(problem, found.most_common(1)[0][0]) is Grade.RIGHT


def _plain_rollouts(
    runner: ModelRunner,
    items: Sequence[EvalItem],
    before: Sequence[Message],
    sampling: Callable[[EvalItem], Sampling],
) -> list[Rollout]:
    budget = Budget(max_tokens=_PLAIN_TOKENS)
    requests = [
        Request(
            tuple(runner.vocabulary.encode_prompt([*before, *item.problem.messages])),
            budget,
            sampling(item),
            reasoning=False,
        )
        for item in items
    ]
    return runner.generate(requests, "answers")


def _examples(setting: Setting, count: int) -> list[Message]:
    """Solved training questions as turns of a dialogue."""
    if not count:
        return []
    questions = _training_questions(_recipe(setting))
    chosen = random_stream("examples").sample(questions, count)
    pairs = [(Message("user", q.text), Message("assistant", solution_text(q))) for q in chosen]
    return [message for pair in pairs for message in pair]


def final_answer(text: str) -> str:
    """The answer in plain text: after the last `####`, else the last choice, number, yes or no."""
    _, mark, after = text.rpartition("####")
    if mark:
        return after.strip()
    found = re.findall(r"\([A-Z]\)|[-+]?\d[\d,]*(?:\.\d+)?|\b(?:yes|no)\b", text, re.IGNORECASE)
    return found[-1] if found else ""


def _kept(
    setting: Setting,
    task_name: str,
    names: tuple[Any, ...],
    measure: Callable[[Recipe, Sequence[EvalItem]], _Answers],
) -> _Answers:
    """What `measure` returns for the test problems; measured once for the same model, problems and
    `names`."""
    recipe, items = _items(setting, task_name)
    keys = [item.problem.key for item in items]
    parts = [__version__, recipe.digest("eval.max_tokens"), task_name, keys, *names]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    file = _folder(setting) / "answers" / f"{digest}.json"
    if not file.exists():
        found = measure(recipe, items)
        write_json(file, {"right": found.right, "tokens": found.tokens})
    kept = read_json(file)
    return _Answers(kept["right"], kept["tokens"])


def _mean(rollouts: Sequence[Rollout]) -> float:
    return sum(len(rollout.token_ids) for rollout in rollouts) / len(rollouts)


FIGURES: Mapping[str, Figure] = {
    "gsm8k": gsm8k,
    "gsm8k-rl": after_rl,
    "gsm8k-votes": votes,
    "gsm8k-unseen": unseen,
    "gsm8k-unseen-rl": unseen_after_rl,
}
