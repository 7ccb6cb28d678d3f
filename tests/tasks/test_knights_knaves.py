"""Knights and knaves: the meaning of claims, deductions, clashes, and problems that are refused."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest

from steiner.tasks import Move, load_phrases
from steiner.tasks.knights_knaves_logic import KINDS, as_claim, ordered, solutions
from steiner.types import StepTexts, UserError, Verdict
from tests.puzzles import is_right, problem_of, puzzle

FAMILY, PHRASES = puzzle("knights_knaves"), load_phrases("knights_knaves")
SPEC = {
    "names": ["Ann", "Bob", "Cid"],
    "says": [["knave", 1], ["differ", 0, 2], ["knight", 0]],
}
PROBLEM = problem_of("knights_knaves", SPEC)
# Bob knave -> Ann knight -> Cid, who says so, knight; Ann and Cid are alike, so Bob speaks false.
ANSWER = "Ann is a knight, Bob is a knave and Cid is a knight"

TRUTHS = {
    "knight": lambda b, c: b,
    "knave": lambda b, c: not b,
    "same": lambda b, c: b == c,
    "differ": lambda b, c: b != c,
    "either_knight": lambda b, c: b or c,
    "either_knave": lambda b, c: not b or not c,
    "both_knights": lambda b, c: b and c,
    "both_knaves": lambda b, c: not b and not c,
    "only": lambda b, c: b and not c,
    "if": lambda b, c: not b or c,
}


@pytest.mark.parametrize("kind", KINDS)
def test_claims_mean_what_they_say(kind: str) -> None:
    """Persons 1 and 2 claim what makes them free, so only person 0's claim binds."""
    pair = (1,) if kind in ("knight", "knave") else (1, 2)
    others = (("knight", 2), ("knight", 1))
    allowed = solutions(((kind, *pair), *others))
    for index, (c, b, a) in enumerate(product((False, True), repeat=3)):
        expected = a == TRUTHS[kind](b, c) and b == c
        assert bool(allowed >> index & 1) == expected


def test_order_of_persons_in_the_answer_does_not_matter() -> None:
    assert is_right(PROBLEM, ANSWER)
    assert is_right(PROBLEM, "Cid is a knight, Bob is a knave, and Ann is a knight")


@pytest.mark.parametrize(
    "answer",
    [
        "Ann is a knight and Bob is a knave",
        f"{ANSWER} and Cid is a knight",
        f"{ANSWER} and Dan is a knight",
        ANSWER.replace("knave", "hero"),
        ANSWER.replace("Bob", "Ann"),
        "Ann is a knight",
    ],
)
def test_near_misses_are_not_right(answer: str) -> None:
    assert not is_right(PROBLEM, answer)


def test_a_role_is_supposed_only_if_none_can_be_deduced() -> None:
    assert [move.action[0] for move in FAMILY.moves(SPEC, (-1, -1, -1))] == ["suppose"] * 2
    moves = FAMILY.moves(SPEC, (1, -1, -1))
    assert {move.action: move.state for move in moves} == {
        ("deduce", 1, 0): (1, 0, -1),
        ("deduce", 2, 1): (1, -1, 1),
    }
    assert all(move.certain for move in moves)


def test_a_deduced_role_holds_in_every_solution() -> None:
    """By all assignments: a deduced role is that of each solution which agrees with the state."""
    rng = random.Random(0)
    for _ in range(50):
        spec = FAMILY.generate(rng, 2)
        fitting = [
            roles
            for roles in product((0, 1), repeat=4)
            if FAMILY.verdict(spec, roles) is Verdict.GOAL
        ]
        for state in product((-1, 0, 1), repeat=4):
            agreeing = [
                r for r in fitting if all(s in (-1, x) for s, x in zip(state, r, strict=True))
            ]
            for move in FAMILY.moves(spec, state):
                if move.action[0] == "deduce":
                    _, person, role = move.action
                    assert all(roles[person] == role for roles in agreeing)


def test_a_clash_is_a_dead_end_and_is_named() -> None:
    state = (0, 0, -1)  # Ann, a knave, truly says that Bob is a knave
    assert FAMILY.verdict(SPEC, state) is Verdict.DEAD
    texts = StepTexts(
        "Step 2 with Ann knave, Bob unknown, Cid unknown: suppose Bob is a knave",
        "Unknown are Bob, Cid",
        "Now Ann knave, Bob knave, Cid unknown",
        "Ann says Bob lies: Ann knave, Bob knave lies, true, a clash",
    )
    assert FAMILY.read_step(PROBLEM, texts).sound
    for false in (
        "Ann says Bob lies: Ann knave, Bob knave lies, false, a clash",
        "Ann says Bob lies: Ann knave, Bob lies, true, a clash",
        "Ann says Bob never lies: Ann knave, Bob knave lies, true, a clash",
        "Ann says Bob lies: Ann knight, Bob knave lies, true, a clash",
        "Bob says Ann opposes Cid: Bob knave, Ann knave opposes Cid, false, a clash",
        (
            "Ann says Bob lies: Ann knave, Bob knave lies, true; "
            "Bob says Ann opposes Cid: Bob knave, Ann knave opposes Cid, false, so Cid is a knave; "
            "Cid says Ann never lies: Ann knave never lies, false, so Cid is a knave; 1 unknown"
        ),
    ):
        wrong = replace(texts, verification=false)
        assert not FAMILY.read_step(PROBLEM, wrong).sound


def test_a_claim_says_whether_it_is_true_and_whose_role_follows() -> None:
    spec = {
        "names": ["Ann", "Bob", "Cid"],
        "says": [["both_knaves", 1, 2], ["either_knight", 0, 2], ["knave", 0]],
    }
    verifications = []
    for before, move in (
        ((-1, -1, -1), Move(("suppose", 0, 1), (1, -1, -1))),
        ((1, -1, -1), Move(("deduce", 1, 0), (1, 0, -1))),
        ((-1, -1, -1), Move(("suppose", 0, 0), (0, -1, -1))),
    ):
        verifications.append(
            FAMILY.step_texts(problem_of("knights_knaves", spec), 1, before, move).verification
        )
    assert verifications == [
        (
            "Ann says neither Bob nor Cid is a knight: Ann knight, neither Bob nor Cid, true, "
            "so Bob is a knave, so Cid is a knave; "
            "Bob says Ann or Cid is a knight: Ann knight or Cid, true, so Bob is a knight; "
            "Cid says Ann lies: Ann knight lies, false, so Cid is a knave; 2 unknown"
        ),
        (
            "Ann says neither Bob nor Cid is a knight: Ann knight, neither Bob knave nor Cid, "
            "true, so Cid is a knave; "
            "Bob says Ann or Cid is a knight: Bob knave, Ann knight or Cid, true, a clash"
        ),
        (
            "Ann says neither Bob nor Cid is a knight: Ann knave, neither Bob nor Cid, false; "
            "Bob says Ann or Cid is a knight: Ann knave or Cid, open; "
            "Cid says Ann lies: Ann knave lies, true, so Cid is a knight; 2 unknown"
        ),
    ]


def test_a_false_start_or_understanding_changes_the_reading() -> None:
    texts = StepTexts(
        "Step 2 with Ann knight, Bob unknown, Cid unknown: so Bob is a knave",
        "Unknown are Bob, Cid",
        "Now Ann knight, Bob knave, Cid unknown",
        "Ann says Bob lies: Ann knight, Bob knave lies, true; "
        "Bob says Ann opposes Cid: Bob knave, Ann knight opposes Cid, false, so Cid is a knight; "
        "Cid says Ann never lies: Ann knight never lies, true, so Cid is a knight; 1 unknown",
    )
    reading = FAMILY.read_step(PROBLEM, texts)
    assert (reading.before, reading.after, reading.sound) == ((1, -1, -1), (1, 0, -1), True)
    assert reading.action == ("deduce", 1, 0)
    for conclusion in ("Bob is", "Dan is a knave", "Bob is a knave, Cid is a knight"):
        next_step = texts.next_step.replace("Bob is a knave", conclusion)
        changed = FAMILY.read_step(PROBLEM, replace(texts, next_step=next_step))
        assert (changed.before, changed.action) == ((1, -1, -1), None)
    whole = "Ann knight, Bob unknown, Cid unknown"
    for start in (
        "Ann knight",
        "Ann knave, Bob unknown, Cid unknown",
        "Ann knight, Cid unknown, Bob unknown",
        "Ann knight, Ann knight, Cid unknown",
        "Ann, Bob unknown, Cid unknown",
        "Dan knight, Bob unknown, Cid unknown",
        f"{whole}, Dan unknown",
    ):
        changed = replace(texts, next_step=texts.next_step.replace(whole, start))
        assert FAMILY.read_step(PROBLEM, changed).before != reading.before
    for understanding in (
        "Unknown are Cid, Bob",
        "Unknown are Cid",
        "Unknown are Ann, Bob, Cid",
        "",
    ):
        changed = replace(texts, understanding=understanding)
        assert FAMILY.read_step(PROBLEM, changed) == replace(reading, sound=False)


def test_nobody_is_known_at_the_start() -> None:
    first = FAMILY.moves(SPEC, (-1, -1, -1))[0]
    texts = FAMILY.step_texts(PROBLEM, 1, (-1, -1, -1), first)
    unknown = "Ann unknown, Bob unknown, Cid unknown"
    assert texts.next_step == f"Step 1 with {unknown}: suppose Ann is a knight"
    assert texts.understanding == "Unknown are Ann, Bob, Cid"
    assert FAMILY.read_step(PROBLEM, texts).before == (-1, -1, -1)


def test_the_key_does_not_depend_on_names() -> None:
    other = {**SPEC, "names": ["Kim", "Lee", "Joe"]}
    assert FAMILY.canonical_text(SPEC) == FAMILY.canonical_text(other)
    swapped = {**SPEC, "says": [["knave", 1], ["differ", 2, 0], ["knight", 0]]}
    assert FAMILY.canonical_text(SPEC) == FAMILY.canonical_text(swapped)


def test_statements_of_reasoning_gym_become_claims() -> None:
    knight, knave = ("telling-truth", 1), ("lying", 2)
    assert as_claim(3, 0, knight) == ("knight", 1)
    assert as_claim(3, 0, ("not", knight)) == ("knave", 1)
    assert as_claim(3, 0, ("<=>", knight, knave)) == ("differ", 1, 2)
    assert as_claim(3, 0, ("and", knight, knave)) == ("only", 1, 2)
    assert as_claim(3, 0, ("->", knight, knave)) == ("either_knave", 1, 2)
    assert as_claim(3, 0, ("or", ("telling-truth", 0), knave)) is None
    assert ordered(("same", 2, 1)) == ("same", 1, 2)


@pytest.mark.parametrize(
    ("names", "statements"),
    [
        ("Ann and Bob", "Ann says Bob is a knave. Bob says Ann is a knave."),
        ("Ann, Ann and Bob", "Ann says Bob is a knave. Bob says Ann is a knave."),
        ("Ann, Bob and Cid", "Ann says Bob is a knave. Bob says Cid is a knave."),
        ("Ann, Bob and Cid", "Ann says Bob is a hero. Bob says Cid is a knave."),
        ("Ann, Bob and Cid", "Ann says Ann is a knave. Bob says Cid is a knave."),
        ("Ann, Bob and Cid", "Ann says Dan is a knave. Bob says Cid is a knave."),
        ("Ann, Bob and Cid", "Ann says Bob and Bob differ. Bob says Cid is a knave."),
        (
            "Ann, Bob and Cid",
            "Ann says Bob is a knave. Bob says Cid is a knave. Cid says Ann is a knave.",
        ),
        (
            "Ann, Bob and Cid",
            "Ann says Bob is a knight. Bob says Cid is a knight. Cid says Ann is a knight.",
        ),
    ],
)
def test_problems_without_a_single_solution_are_errors(names: str, statements: str) -> None:
    with pytest.raises(UserError) as raised:
        FAMILY.recognise(PHRASES.questions[0].format(names=names, statements=statements), "en")
    assert raised.value.hint


def test_statements_may_come_in_any_order() -> None:
    said = "Cid says Ann is a knight. Bob says Cid and Ann differ. Ann says Bob is a knave."
    text = PHRASES.questions[0].format(names="Ann, Bob and Cid", statements=said)
    assert FAMILY.recognise(text, "en") == SPEC


def test_statements_are_found_in_a_text_of_any_words() -> None:
    text = (
        "Three of them sit here: Ann says Bob is a knave. Bob says Cid and Ann differ!\n"
        "Cid says Ann is a knight. So who of Ann, Bob and Cid can be trusted?"
    )
    assert FAMILY.recognise(text, "en") == SPEC
    of_another = text.replace("Cid says Ann is", "Cid says Dan is")
    assert FAMILY.recognise(of_another, "en") is None
    of_two = "Ann says Bob is a knave. Bob says Ann is a knave. Who can be trusted?"
    assert FAMILY.recognise(of_two, "en") is None


def test_names_may_have_two_words() -> None:
    spec = {**SPEC, "names": ["Ann", "Ann Lee", "Old Cid"]}
    for before in ((-1, -1, -1), (1, -1, -1)):
        for move in FAMILY.moves(spec, before):
            texts = FAMILY.step_texts(problem_of("knights_knaves", spec), 2, before, move)
            reading = FAMILY.read_step(problem_of("knights_knaves", spec), texts)
            assert (reading.before, reading.action) == (before, move.action)
            assert (reading.after, reading.sound) == (move.state, True)
