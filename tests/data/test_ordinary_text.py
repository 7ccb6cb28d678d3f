"""Ordinary text: true, repeatable, without reasoning tokens and problems kept out of training."""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from operator import add, floordiv, mul, sub

import pytest

from steiner.data.ordinary_text import (
    DEFAULT_MIXTURE,
    Document,
    documents,
    held_out_documents,
    kinds_of_documents,
    train_problems,
)
from steiner.data.ordinary_text.prose import passages, source_files
from steiner.data.ordinary_text.steps import alternatives
from steiner.data.ordinary_text.train_problems import is_train, random_step, train_problem
from steiner.format.grammar import SPECIAL_TOKENS
from steiner.randomness import random_stream
from steiner.tasks import generate_problems, read_problem, tasks
from steiner.tasks.names import known_names
from steiner.tasks.no_answer import has_search
from steiner.types import (
    Problem,
    Split,
    State,
    StepTexts,
    UserError,
)
from tests.jug_rules import moved
from tests.puzzles import PUZZLES, problem_of, puzzle

NUM_DOCUMENTS = 8000
OPERATORS = {"+": add, "-": sub, "*": mul, "/": floordiv}
SUM = re.compile(r"(\d+) \+ (\d+) = ?$")
SIGNS = {"plus": "+", "minus": "-", "times": "*", "divided by": "/"}


def text_of(document: Document) -> str:
    return ("\n" if document.is_dialogue else "").join(document.parts)


@cache
def sample() -> tuple[tuple[str, str], ...]:
    stream = islice(kinds_of_documents("test"), NUM_DOCUMENTS)
    return tuple((kind, text_of(document)) for kind, document in stream)


def texts(kind: str, count: int = 400) -> list[str]:
    return [text_of(d) for d in islice(documents("test", kinds={kind: 1.0}), count)]


def test_same_names_give_same_documents() -> None:
    assert list(islice(documents("a", 1), 300)) == list(islice(documents("a", 1), 300))
    assert list(islice(documents("a", 1), 300)) != list(islice(documents("a", 2), 300))
    assert held_out_documents(50) == held_out_documents(60)[:50]


def test_every_kind_occurs_and_shares_are_of_tokens() -> None:
    assert {kind for kind, _ in sample()} == set(DEFAULT_MIXTURE)
    assert sum(DEFAULT_MIXTURE.values()) == pytest.approx(1)
    tokens = dict.fromkeys(DEFAULT_MIXTURE, 0)
    for kind, text in sample():
        tokens[kind] += len(re.findall(r"[a-zA-Z]+|\d\d?|[^\w ]|_", text))
    for kind, share in DEFAULT_MIXTURE.items():
        assert tokens[kind] / sum(tokens.values()) == pytest.approx(share, abs=0.02)


def test_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UserError, match="arithmetik") as caught:
        next(documents(kinds={"arithmetik": 1.0}))
    assert "arithmetic" in caught.value.hint


def test_documents_tell_and_reply_in_turns() -> None:
    some = list(islice(documents("test"), 500))
    assert 20 < sum(document.is_dialogue for document in some) < 250
    for document in some:
        assert len(document.parts) >= 2
        assert all(document.parts[1::2])
        assert len(document.parts) % 2 == 0 or not document.is_dialogue
    sums = islice(documents("test", kinds={"arithmetic": 1.0}), 200)
    stated = [pair for d in sums for pair in zip(d.parts[::2], d.parts[1::2], strict=False)]
    asked = [(found, reply) for text, reply in stated if (found := SUM.search(text))]
    assert len(asked) > 20
    assert all(int(sum_[1]) + int(sum_[2]) == int(reply) for sum_, reply in asked)


def test_no_special_token_strings() -> None:
    strings = (*SPECIAL_TOKENS, "<|")
    held_out = [text_of(document) for document in held_out_documents(500)]
    assert not any(s in text for text in [t for _, t in sample()] + held_out for s in strings)


def test_equations_are_true() -> None:
    words = "|".join(SIGNS)
    pattern = rf"(?<![-+*/] )\b(\d+) ([-+*/]|{words}) (\d+)(?: =|\? (?:It is)?| is| equals| makes)"
    found = [m for _, text in sample() for m in re.findall(rf"{pattern}\s(\d+)\b", text)]
    assert len(found) > 2000
    for left, sign, right, result in found:
        assert OPERATORS[SIGNS.get(sign, sign)](int(left), int(right)) == int(result)


def test_no_problem_kept_out_of_training() -> None:
    """Restated questions are found by their canonical lines."""
    found = 0
    for _, text in sample():
        for line in re.split(r"\n|(?<=[?:]) ", text):
            problem = read_problem(line.strip())
            if problem is not None and has_search(problem.spec):
                found += 1
                assert problem.split is Split.TRAIN
    assert found > 500


def test_no_grid_kept_out_of_training() -> None:
    row = r"(?:[A-D] )?[1-4_](?: [1-4_]){3}"
    found = [g for _, text in sample() for g in re.findall(rf"{row}(?: / {row}){{3}}", text)]
    puzzles = [re.sub("[A-D /]", "", grid).replace("_", "0") for grid in found if "_" in grid]
    assert len(puzzles) > 500
    assert all(is_train("mini_sudoku", {"grid": list(map(int, puzzle))}) for puzzle in puzzles)


def test_no_name_kept_out_of_training() -> None:
    held_out = set(known_names(held_out=True))
    kinds = ("knights_knaves reading", "lists", "lookups", "chat")
    for kind in kinds:
        for text in texts(kind):
            assert not held_out & set(re.findall(r"[^\W\d_]+", text))


def test_exercises_restate_questions_of_every_task() -> None:
    for name in tasks():
        lines = [text.strip().splitlines()[-1] for text in texts(f"{name} reading", 60)]
        prompt = r"^(Restated:|In short:|What is asked\?|That is:) "
        restated = [re.sub(prompt, "", line) for line in lines]
        found = [read_problem(line) or read_problem(line.rstrip(".")) for line in restated]
        assert {problem.family for problem in found if problem is not None} == {name}
        assert sum(problem is not None for problem in found) > 40


def test_held_out_prose_is_disjoint() -> None:
    assert not set(source_files(False)) & set(source_files(True))
    assert not set(passages(False)) & set(passages(True))
    prose = {text for text in map(text_of, held_out_documents(2000)) if text in set(passages(True))}
    assert prose
    assert not prose & {text for _, text in sample()}


def test_claims_are_judged_truly() -> None:
    """Everyone in 'A knight, B knave. S says A matches B.' against the claim in words."""
    judged = {"matches": lambda a, b: a == b, "opposes": lambda a, b: a != b}
    pattern = (
        r"(\w+) (knight|knave), (\w+) (knight|knave)\. \w+ says \1 (matches|opposes) \3\."
        r" (?:That is|Is that true\?)\s(true|false|True|False)"
    )
    found = [m for text in texts("knights_knaves facts", 1000) for m in re.findall(pattern, text)]
    assert len(found) > 50
    for _, first, _, second, words, stated in found:
        assert judged[words](first, second) == (stated.lower() == "true")


def test_grid_verdicts_are_sound() -> None:
    sudoku, problem = puzzle("mini_sudoku"), problem_of("mini_sudoku", {})
    pattern = (
        r"(?m)(Grid [A-D1-4_/ ]{45})\.\s(Columns .*?, (?:two \d|open rows[ A-D]+|the grid is full))"
    )
    found = [m for text in texts("mini_sudoku facts") for m in re.findall(pattern, text)]
    assert len(found) > 100
    for summary, verification in found:
        stated = StepTexts("", "", summary, verification)
        reading = sudoku.read_step(problem, stated)
        assert reading.sound
        assert reading.verdict is not None


@pytest.mark.parametrize("name", PUZZLES)
def test_alternatives_are_legal_moves_of_one_state_and_none_comes_twice(name: str) -> None:
    rng, checked = random_stream("alternatives", name), 0
    for _ in range(30):
        problem = train_problem(rng, name)
        stated = [(text.removesuffix("."), reply) for text, reply in alternatives(rng, problem)]
        assert len({text for text, _ in stated}) == len(stated)
        depth, state = named_by(problem, stated[0][0])
        assert set(stated) <= legal_steps(problem, depth, state)
        checked += len(stated)
    assert checked > 50


def test_problem_whose_steps_are_all_held_out_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_problems, "is_train", lambda *_: False)
    rng = random_stream("stuck")
    problem = next(generate_problems("mini_sudoku", 1, seed=0, split=Split.TRAIN))
    assert random_step(rng, problem) is None
    assert alternatives(rng, problem) == []


def named_by(problem: Problem, next_step: str) -> tuple[int, State]:
    """Its depth and the state that it starts from."""
    reading = puzzle(problem.family).read_step(problem, StepTexts(next_step, "", "", ""))
    assert reading.depth is not None
    assert reading.before is not None
    return reading.depth, reading.before


def legal_steps(problem: Problem, depth: int, state: State) -> set[tuple[str, str]]:
    """Next step and understanding of each legal move."""
    chosen = puzzle(problem.family)
    moves = chosen.moves(problem.spec, state)
    steps = [chosen.step_texts(problem, depth, state, move) for move in moves]
    return {(texts.next_step, texts.understanding) for texts in steps}


def test_jug_moves_are_true() -> None:
    checked = 0
    for text in texts("jugs facts"):
        capacities = [int(n) for n in re.findall(r"[A-C] (\d+)", text.splitlines()[0])]
        pattern = r"Jugs are ([^.]+)\. (\w+ \w(?: into \w)?):\sNow jugs are ([A-C0-9, ]+\d)"
        for before, action, after in re.findall(pattern, text):
            old, new = (tuple(map(int, re.findall(r"\d+", part))) for part in (before, after))
            assert moved(capacities, old, action) == new
            checked += 1
    assert checked > 200
