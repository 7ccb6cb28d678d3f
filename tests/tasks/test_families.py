"""Tests that every built-in task passes: answers of its solver, step texts, questions."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import reasoning_gym
from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.randomness import random_stream
from steiner.tasks import (
    Grade,
    Move,
    ask,
    generate_problems,
    grade,
    make_problem,
    read_problem,
    task,
    tasks,
)
from steiner.tasks.no_answer import NoAnswer, no_answer, sentence
from steiner.tasks.protocols import FollowUpGenerator, PuzzleFamily, UnanswerableGenerator
from steiner.tasks.reasoning_gym import ADAPTERS, GymGrader
from steiner.types import Message, Problem, Spec, Split, State, StepTexts, Verdict
from tests.puzzles import is_right, problem_of, puzzle

Branch = list[tuple[State, Move]]
Case = tuple[PuzzleFamily, Problem]

NAMES = sorted(name for name in tasks() if task(name).has_exact_dags)
CASES = [(name, level) for name in NAMES for level in task(name).generator.levels]
NUM_SPECS = 5

REASONING_GYM: dict[str, dict[str, Any]] = {
    "countdown": {"min_numbers": 3, "max_numbers": 4, "min_target": 10, "max_target": 99},
    "jugs": {"num_jugs": 3, "difficulty": 4},
    "knights_knaves": {"n_people": 4, "depth_constraint": 2, "width_constraint": 2},
    "mini_sudoku": {"min_empty": 6, "max_empty": 10},
}

ALL_CANDIDATES = {
    "countdown": ", ".join(f"{n} + 1 = {n + 1}" for n in range(99)),
    "jugs": "fill A, fill B, fill C, pour A into B, pour B into C, empty A, empty B, empty C",
    "knights_knaves": " and ".join(
        f"{who} is a {role}"
        for who in ("Ann", "Bob", "Cid", "Dan", "Eve", "Fay")
        for role in ("knight", "knave")
    ),
    "mini_sudoku": " / ".join("1 2 3 4" for _ in range(24)),
}

MISPLACED: dict[str, Callable[[str], str]] = {
    "countdown": lambda answer: ", ".join(reversed(answer.replace("=", "= 1 +").split(", "))),
    "jugs": lambda answer: ", ".join(reversed(answer.split(", "))),
    "knights_knaves": lambda answer: answer.translate(str.maketrans("htve", "veht")),
    "mini_sudoku": lambda answer: answer[2:] + " / " + answer[:1],
}
"""The right words and numbers in the wrong place."""


def posed(name: str, level: int, count: int = NUM_SPECS) -> Iterator[Case]:
    rng = random_stream("test", name, level)
    chosen = puzzle(name)
    for _ in range(count):
        yield chosen, make_problem(name, chosen.generate(rng, level), level=level)


def solve(chosen: PuzzleFamily, spec: Spec) -> Branch | None:
    """The shortest branch to a goal, by breadth-first search."""
    start = chosen.start(spec)
    branches: dict[State, Branch] = {start: []}
    queue = [start]
    for state in queue:
        if chosen.verdict(spec, state) is Verdict.GOAL:
            return branches[state]
        for move in chosen.moves(spec, state):
            if move.state not in branches:
                branches[move.state] = [*branches[state], (state, move)]
                queue.append(move.state)
    return None


def solution(chosen: PuzzleFamily, problem: Problem) -> str:
    branch = solve(chosen, problem.spec)
    assert branch is not None
    return chosen.answer(problem, branch)


def walks(case: Case, count: int = 10) -> Iterator[tuple[int, State, Move]]:
    """Steps of random walks: depth, state before, move."""
    chosen, spec = case[0], case[1].spec
    rng = random_stream("walk", chosen.canonical_text(spec))
    for _ in range(count):
        state, depth = chosen.start(spec), 1
        while moves := chosen.moves(spec, state):
            move = rng.choice(moves)
            yield depth, state, move
            state, depth = move.state, depth + 1


@pytest.mark.parametrize(("name", "level"), CASES)
def test_the_solvers_answer_is_right(name: str, level: int) -> None:
    for chosen, problem in posed(name, level):
        assert is_right(problem, solution(chosen, problem))


@pytest.mark.parametrize(("name", "level"), CASES)
def test_corrupted_answers_are_not_right(name: str, level: int) -> None:
    for chosen, problem in posed(name, level):
        answer = solution(chosen, problem)
        question = problem.question
        corrupted = [
            "",
            question,
            f"{question} {answer}",
            ALL_CANDIDATES[name],
            f"{answer} or so",
            f"{answer}, {answer}",
            MISPLACED[name](answer),
        ]
        assert [text for text in corrupted if is_right(problem, text)] == []


@pytest.mark.parametrize(("name", "level"), CASES)
def test_step_texts_are_read_back(name: str, level: int) -> None:
    for case in posed(name, level):
        chosen, problem = case
        for depth, before, move in walks(case):
            texts = chosen.step_texts(problem, depth, before, move)
            reading = chosen.read_step(problem, texts)
            assert (reading.depth, reading.action) == (depth, move.action)
            assert (reading.before, reading.after) == (before, move.state)
            assert reading.verdict is chosen.verdict(problem.spec, move.state)
            assert reading.sound


@pytest.mark.parametrize(("name", "level"), CASES)
def test_a_changed_text_changes_the_reading(name: str, level: int) -> None:
    """Replacing one text of a step by another step's text changes what is read."""
    for case in posed(name, level):
        chosen, problem = case
        steps = [chosen.step_texts(problem, *step) for step in walks(case)]
        for (depth, before, move), texts in zip(walks(case), steps, strict=True):
            truth = chosen.read_step(problem, texts)
            verdict = chosen.verdict(problem.spec, move.state)
            for part in ("next_step", "understanding", "summary", "verification"):
                for other in steps[:8]:
                    text = getattr(other, part)
                    if text == getattr(texts, part):
                        continue
                    false = chosen.read_step(problem, dataclasses.replace(texts, **{part: text}))
                    if part == "verification" and false.sound and false.verdict is verdict:
                        continue  # another true fact, such as a second clash
                    assert false != truth, (part, text, texts, depth, before)


@pytest.mark.parametrize(("name", "level"), CASES)
def test_a_wrong_start_changes_the_reading(name: str, level: int) -> None:
    """A next step that names another state than the one that the step starts from."""
    for case in posed(name, level):
        chosen, problem = case
        states = {state for _, before, move in walks(case) for state in (before, move.state)}
        num_changed = 0
        for depth, before, move in islice(walks(case), 20):
            texts = chosen.step_texts(problem, depth, before, move)
            for other in states:
                wrong_start = chosen.step_texts(problem, depth, other, move).next_step
                if wrong_start == texts.next_step:
                    continue  # both states have the same text
                false = chosen.read_step(problem, dataclasses.replace(texts, next_step=wrong_start))
                assert false.before != before
                num_changed += 1
        assert num_changed


@pytest.mark.parametrize(("name", "level"), CASES)
def test_a_wrong_understanding_is_unsound(name: str, level: int) -> None:
    for case in posed(name, level):
        chosen, problem = case
        steps = [chosen.step_texts(problem, *step) for step in islice(walks(case), 20)]
        understandings = {texts.understanding for texts in steps}
        assert len(understandings) > 1
        for texts in steps:
            truth = chosen.read_step(problem, texts)
            others = {"", texts.next_step, f"{texts.understanding} 1", *understandings}
            for understanding in others - {texts.understanding}:
                wrong = dataclasses.replace(texts, understanding=understanding)
                false = chosen.read_step(problem, wrong)
                assert false == dataclasses.replace(truth, sound=False), (understanding, texts)


@pytest.mark.parametrize(("name", "level"), CASES)
def test_white_space_around_texts_does_not_matter(name: str, level: int) -> None:
    for case in posed(name, level):
        chosen, problem = case
        for step in islice(walks(case), 20):
            texts = chosen.step_texts(problem, *step)
            spaced = StepTexts(*(f" {text}\n" for text in dataclasses.astuple(texts)))
            reading = chosen.read_step(problem, texts)
            assert chosen.read_step(problem, spaced) == reading


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_word_in_a_step_never_raises_and_changes_a_next_step(name: str) -> None:
    """The odd words include words of a larger problem, which names other jugs and persons."""
    case, larger = next(posed(name, 1, 1)), next(posed(name, 3, 1))
    chosen, problem = case
    odd = {"", "²", "-1", "9" * 5000, "A:", "{depth}"}
    for posed_case in (case, larger):
        steps = [posed_case[0].step_texts(posed_case[1], *s) for s in walks(posed_case, 2)]
        odd |= {word for texts in steps for word in " ".join(dataclasses.astuple(texts)).split()}
    for step in islice(walks(case), 3):
        texts = chosen.step_texts(problem, *step)
        truth = chosen.read_step(problem, texts)
        for part in ("next_step", "understanding", "summary", "verification"):
            for changed in _one_word_changed(getattr(texts, part), odd):
                wrong = dataclasses.replace(texts, **{part: changed})
                false = chosen.read_step(problem, wrong)
                assert part != "next_step" or false != truth, changed


def _one_word_changed(text: str, odd: set[str]) -> Iterator[str]:
    words = text.split(" ")
    for place, word in enumerate(words):
        for other in sorted(odd - {word}):
            yield " ".join((*words[:place], other, *words[place + 1 :]))


@pytest.mark.parametrize(("name", "level"), CASES)
def test_the_restated_question_is_read_back(name: str, level: int) -> None:
    """Solvable problems, problems without a solution, and questions that lack a given."""
    generator = task(name).generator
    assert isinstance(generator, UnanswerableGenerator)
    rng = random_stream("unanswerable", name, level)
    specs = [problem.spec for _, problem in posed(name, level)]
    specs += [generator.unanswerable(rng, level) for _ in range(20)]
    for spec in specs:
        line = puzzle(name).reading(problem_of(name, spec)).understanding
        found = read_problem(line)
        assert found is not None
        assert found.family == name
        not_stated = ("seed", "statements")
        assert found.spec == {key: value for key, value in spec.items() if key not in not_stated}


@pytest.mark.parametrize("name", NAMES)
def test_another_line_is_no_question(name: str) -> None:
    for _, problem in posed(name, 1):
        line = puzzle(name).reading(problem).understanding
        for other in ("", line[1:], f"{line} and more", line.replace(" ", "  "), problem.question):
            assert puzzle(name).read_question(other, "en") is None


@pytest.mark.parametrize(("name", "level"), CASES)
def test_questions_state_every_given(name: str, level: int) -> None:
    rng = random_stream("givens", name, level)
    for _, problem in posed(name, level):
        for split in Split:
            asked = ask(problem, rng, split)
            assert puzzle(name).is_stated(asked.spec, asked.question, "en"), asked.question


@pytest.mark.parametrize("name", NAMES)
def test_a_line_with_givens_that_nobody_stated_is_no_question(name: str) -> None:
    for chosen, problem in posed(name, 2):
        line = chosen.reading(problem).understanding
        assert read_problem(line, problem.messages) is not None
        assert read_problem(line, (Message("user", "Who are you?"),)) is None


@pytest.mark.parametrize(("name", "level"), CASES)
def test_unanswerable_problems_have_no_solution(name: str, level: int) -> None:
    chosen, rng = puzzle(name), random_stream("no solution", name, level)
    generator = task(name).generator
    assert isinstance(generator, UnanswerableGenerator)
    kinds = set()
    for _ in range(30):
        spec = generator.unanswerable(rng, level)
        kinds.add(no_answer(spec))
        problem = make_problem(name, spec)
        honest = sentence(spec, "en")
        assert is_right(problem, honest)
        assert not is_right(problem, "There is a solution.")
        if no_answer(spec) is NoAnswer.NO_SOLUTION:
            assert solve(chosen, spec) is None
            assert not is_right(problem, sentence({"no_answer": "unknown"}, "en"))
    assert kinds == {NoAnswer.NO_SOLUTION, NoAnswer.MISSING}


@pytest.mark.parametrize(("name", "level"), CASES)
def test_an_honest_sentence_is_no_answer_to_a_problem_with_one(name: str, level: int) -> None:
    for _, problem in posed(name, level):
        assert not is_right(problem, sentence({"no_answer": "no_solution"}, "en"))


@pytest.mark.parametrize("name", NAMES)
def test_a_follow_up_changes_a_solvable_problem_into_the_given_one(name: str) -> None:
    chosen, rng = puzzle(name), random_stream("follow up", name)
    generator = task(name).generator
    assert isinstance(generator, FollowUpGenerator)
    num_found = 0
    for _, problem in posed(name, 2, 20):
        found = generator.follow_up(problem.spec, "en", rng, Split.TRAIN)
        if found is None:
            continue
        num_found += 1
        earlier, text = found
        assert text
        assert earlier != problem.spec
        assert set(earlier) == set(problem.spec)
        assert solve(chosen, earlier) is not None
    assert num_found > 5


@pytest.mark.parametrize("name", sorted(REASONING_GYM))
def test_reasoning_gym_scores_our_answers(name: str) -> None:
    chosen, adapter = puzzle(name), ADAPTERS[name]
    data = reasoning_gym.create_dataset(name, size=60, seed=3, **REASONING_GYM[name])
    num_solved = 0
    for item in data:
        spec = adapter.spec(item["metadata"])
        branch = solve(chosen, spec) if spec is not None else None
        if spec is None or branch is None:
            continue
        num_solved += 1
        problem = make_problem(name, spec)
        grader, answer = GymGrader(item), chosen.answer(problem, branch)
        assert data.score_answer(adapter.notation(problem, answer), item) == 1.0
        assert grader.grade(problem, answer) is Grade.RIGHT
        assert grader.grade(problem, MISPLACED[name](answer)) is not Grade.RIGHT
        assert grader.grade(problem, "") is Grade.UNREADABLE
    assert num_solved >= 10


@pytest.mark.parametrize(("name", "level"), CASES)
def test_the_random_stream_determines_the_problems(name: str, level: int) -> None:
    first, again = list(posed(name, level)), list(posed(name, level))
    assert [problem for _, problem in first] == [problem for _, problem in again]
    other = task(name).generator.generate(random.Random(1), level)
    assert other not in [problem.spec for _, problem in first]


@pytest.mark.parametrize("name", NAMES)
def test_generated_problems_are_distinct_and_belong_to_the_split(name: str) -> None:
    problems = list(islice(generate_problems(name, 2, seed=1, split=Split.TEST), 20))
    assert len({problem.key for problem in problems}) == 20
    assert {problem.split for problem in problems} == {Split.TEST}


SINGLE_ROUTES = {("countdown", 1), ("jugs", 1), ("jugs", 2)}
"""Levels without shared states: three numbers, or two jugs."""


@pytest.mark.parametrize(("name", "level"), sorted(set(CASES) - SINGLE_ROUTES))
def test_two_routes_lead_to_some_state(name: str, level: int) -> None:
    def sources(chosen: PuzzleFamily, spec: Spec) -> dict[State, set[State]]:
        found: dict[State, set[State]] = {chosen.start(spec): set()}
        queue = list(found)
        for state in queue:
            for move in chosen.moves(spec, state):
                if move.state not in found:
                    queue.append(move.state)
                found.setdefault(move.state, set()).add(state)
        return found

    graphs = [sources(chosen, problem.spec) for chosen, problem in posed(name, level)]
    assert any(len(before) > 1 for graph in graphs for before in graph.values())


@pytest.mark.parametrize(("name", "level"), CASES)
def test_moves_end_at_goals_and_visible_dead_ends(name: str, level: int) -> None:
    for case in posed(name, level):
        chosen, spec = case[0], case[1].spec
        for _, _, move in walks(case):
            if chosen.verdict(spec, move.state) is not Verdict.OPEN:
                assert not chosen.moves(spec, move.state)


@st.composite
def near_texts(draw: st.DrawFn, case: Case) -> StepTexts:
    """Texts of different steps combined, some with shuffled words, some random."""
    chosen, problem = case
    steps = [chosen.step_texts(problem, *step) for step in walks(case, count=4)]

    def part(name: str) -> str:
        real = st.sampled_from([getattr(step, name) for step in steps])
        shuffled = real.flatmap(lambda text: st.permutations(text.split(" "))).map(" ".join)
        return draw(st.one_of(real, shuffled, st.text(), st.just("9" * 5000)))

    return StepTexts(*map(part, ("next_step", "understanding", "summary", "verification")))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_reading_any_text_raises_nothing(name: str, data: st.DataObject) -> None:
    case = next(posed(name, 2, count=1))
    chosen, problem = case
    chosen.read_step(problem, data.draw(near_texts(case)))
    words = [*solution(*case).split(" "), "²", "٣", "-", "", "/", "\n"]
    shuffled = st.lists(st.sampled_from(words)).map(" ".join)
    text = data.draw(st.one_of(st.text(), shuffled))
    assert grade(problem, text) in Grade
    assert isinstance(ADAPTERS[name].notation(problem, text), str)


@pytest.mark.parametrize("name", NAMES)
def test_reading_endless_numbers_raises_nothing(name: str) -> None:
    """Python refuses to read more than 4,300 digits as an int."""
    case = next(posed(name, 2, count=1))
    chosen, problem = case
    step = next(walks(case))
    texts = chosen.step_texts(problem, *step)
    endless = [re.sub(r"\d+", "9" * 5000, text) for text in dataclasses.astuple(texts)]
    chosen.read_step(problem, StepTexts(*endless))
    answer = re.sub(r"\d+", "9" * 5000, solution(*case))
    assert is_right(problem, answer) == (answer == solution(*case))
    line = re.sub(r"\d+", "9" * 5000, chosen.reading(problem).understanding)
    assert read_problem(line) is None or line == chosen.reading(problem).understanding


@pytest.mark.parametrize(("name", "level"), CASES)
def test_specs_can_be_stored_as_json(name: str, level: int) -> None:
    for chosen, problem in posed(name, level):
        spec = problem.spec
        again = json.loads(json.dumps(spec))
        assert chosen.canonical_text(again) == chosen.canonical_text(spec)
        assert chosen.moves(again, chosen.start(again)) == chosen.moves(spec, chosen.start(spec))
