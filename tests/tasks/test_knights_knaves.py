"""Knights and knaves: the meaning of claims, deductions, clashes, and problems that are refused."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from itertools import product

import pytest

from steiner.tasks import Move, make_problem
from steiner.tasks.knights_knaves_logic import (
    KINDS,
    as_claim,
    needs_one_supposition,
    ordered,
    solutions,
)
from steiner.tasks.knights_knaves_statements import quote
from steiner.tasks.question_grammar import load_grammar
from steiner.types import Split, StepTexts, Verdict
from tests.puzzles import is_right, problem_of, puzzle

FAMILY = puzzle("knights_knaves")
SPEC = {
    "names": ["A", "B", "C"],
    "says": [["knave", 1], ["differ", 0, 2], ["knight", 0]],
}
KNIGHTS = {"terms": ["a knight", "a knave"]}
PROBLEM = problem_of("knights_knaves", SPEC)
# B knave -> A knight -> C, who says so, knight; A and C are alike, so B speaks false.
ANSWER = "A is a knight, B is a knave and C is a knight"

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
    assert is_right(PROBLEM, "C is a knight, B is a knave, and A is a knight")


@pytest.mark.parametrize(
    "answer",
    [
        "A is a knight and B is a knave",
        f"{ANSWER} and C is a knight",
        f"{ANSWER} and D is a knight",
        ANSWER.replace("knave", "hero"),
        ANSWER.replace("B", "A"),
        "A is a knight",
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
    state = (0, 0, -1)  # A, a knave, truly says that B is a knave
    assert FAMILY.verdict(SPEC, state) is Verdict.DEAD
    texts = StepTexts(
        "Step 2 with A knave, B unknown, C unknown: suppose B is a knave",
        "Unknown are B, C",
        "Now A knave, B knave, C unknown",
        "A says B lies: A knave, B knave lies, true, a clash",
    )
    assert FAMILY.read_step(PROBLEM, texts).sound
    for false in (
        "A says B lies: A knave, B knave lies, false, a clash",
        "A says B lies: A knave, B lies, true, a clash",
        "A says B never lies: A knave, B knave lies, true, a clash",
        "A says B lies: A knight, B knave lies, true, a clash",
        "B says A opposes C: B knave, A knave opposes C, false, a clash",
        (
            "A says B lies: A knave, B knave lies, true; "
            "B says A opposes C: B knave, A knave opposes C, false, so C is a knave; "
            "C says A never lies: A knave never lies, false, so C is a knave; 1 unknown"
        ),
    ):
        wrong = replace(texts, verification=false)
        assert not FAMILY.read_step(PROBLEM, wrong).sound


def test_a_claim_says_whether_it_is_true_and_whose_role_follows() -> None:
    spec = {
        "names": ["A", "B", "C"],
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
            "A says neither B nor C is a knight: A knight, neither B nor C, true, "
            "so B is a knave, so C is a knave; "
            "B says A or C is a knight: A knight or C, true, so B is a knight; "
            "C says A lies: A knight lies, false, so C is a knave; 2 unknown"
        ),
        (
            "A says neither B nor C is a knight: A knight, neither B knave nor C, "
            "true, so C is a knave; "
            "B says A or C is a knight: B knave, A knight or C, true, a clash"
        ),
        (
            "A says neither B nor C is a knight: A knave, neither B nor C, false; "
            "B says A or C is a knight: A knave or C, open; "
            "C says A lies: A knave lies, true, so C is a knight; 2 unknown"
        ),
    ]


def test_a_false_start_or_understanding_changes_the_reading() -> None:
    texts = StepTexts(
        "Step 2 with A knight, B unknown, C unknown: so B is a knave",
        "Unknown are B, C",
        "Now A knight, B knave, C unknown",
        "A says B lies: A knight, B knave lies, true; "
        "B says A opposes C: B knave, A knight opposes C, false, so C is a knight; "
        "C says A never lies: A knight never lies, true, so C is a knight; 1 unknown",
    )
    reading = FAMILY.read_step(PROBLEM, texts)
    assert (reading.before, reading.after, reading.sound) == ((1, -1, -1), (1, 0, -1), True)
    assert reading.action == ("deduce", 1, 0)
    for conclusion in ("B is", "D is a knave", "B is a knave, C is a knight"):
        next_step = texts.next_step.replace("B is a knave", conclusion)
        changed = FAMILY.read_step(PROBLEM, replace(texts, next_step=next_step))
        assert (changed.before, changed.action) == ((1, -1, -1), None)
    whole = "A knight, B unknown, C unknown"
    for start in (
        "A knight",
        "A knave, B unknown, C unknown",
        "A knight, C unknown, B unknown",
        "A knight, A knight, C unknown",
        "A, B unknown, C unknown",
        "D knight, B unknown, C unknown",
        f"{whole}, D unknown",
    ):
        changed = replace(texts, next_step=texts.next_step.replace(whole, start))
        assert FAMILY.read_step(PROBLEM, changed).before != reading.before
    for understanding in (
        "Unknown are C, B",
        "Unknown are C",
        "Unknown are A, B, C",
        "",
    ):
        changed = replace(texts, understanding=understanding)
        assert FAMILY.read_step(PROBLEM, changed) == replace(reading, sound=False)


def test_nobody_is_known_at_the_start() -> None:
    first = FAMILY.moves(SPEC, (-1, -1, -1))[0]
    texts = FAMILY.step_texts(PROBLEM, 1, (-1, -1, -1), first)
    unknown = "A unknown, B unknown, C unknown"
    assert texts.next_step == f"Step 1 with {unknown}: suppose A is a knight"
    assert texts.understanding == "Unknown are A, B, C"
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
    "claims",
    [
        "A says B lies. B says A lies.",  # C says nothing
        "A says B lies. B says C lies. C says A lies. A says C lies.",
        "A says A lies. B says C lies. C says B lies.",
        "A says D lies. B says C lies. C says B lies.",
        "A says B and B differ. B says C lies. C says B lies.",
        "A says B is a hero. B says C lies. C says B lies.",
    ],
)
def test_lines_that_state_no_puzzle_are_not_read(claims: str) -> None:
    line = f"People A Ann, B Bob, C Cid; a knight tells the truth, a knave lies; {claims}"
    assert FAMILY.read_question(line, "en") is None


def test_statements_may_come_in_any_order() -> None:
    claims = "Cid C says Ann A never lies. Bob B says Ann A opposes Cid C. Ann A says Bob B lies."
    line = f"People Ann A, Bob B, Cid C; a knight tells the truth, a knave lies; {claims}"
    assert FAMILY.read_question(line, "en") == {**SPEC, "names": ["Ann", "Bob", "Cid"], **KNIGHTS}


def test_the_restated_question_quotes_each_statement() -> None:
    """In the question's words, letter case and order; the quotes are not read back."""
    quoted = 0
    for split in Split:
        for seed in range(40):
            problem = make_problem("knights_knaves", {**SPEC, **KNIGHTS}, seed=seed, voices=split)
            line = FAMILY.reading(problem).understanding
            statements = problem.spec.get("statements", [])
            quoted += len(statements) == 3
            places = [line.index(f"{statement} => ") for statement in statements]
            assert places == sorted(places)
            asked = " ".join(problem.question.split())
            assert all(statement in asked for statement in statements)
            names = problem.spec["names"]
            assert FAMILY.read_question(line, "en") == {**SPEC, **KNIGHTS, "names": names}
    assert quoted > 100


def test_a_changed_statement_quotes_both_turns() -> None:
    earlier = {**SPEC, "names": ["ann", "bo", "cy"], "statements": ["ann lies", "b", "c"]}
    changed = FAMILY.as_changed({**SPEC, "says": [["knight", 1], *SPEC["says"][1:]]}, earlier, "no")
    assert changed["names"] == ["ann", "bo", "cy"]
    assert changed["statements"] == ["ann lies no", "b", "c"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('Hm. ANN said:  "BO\nLIES". So?', 'ANN said: "BO LIES".'),
        ("ann said bo lies", "ann said bo lies"),
        ("Ann said that Bo lies.", ""),
        ("", ""),
    ],
)
def test_a_statement_is_found_as_it_was_typed(text: str, found: str) -> None:
    assert quote(text, 'Ann said: "Bo lies".') == found


def test_the_answer_uses_the_question_s_own_words() -> None:
    spec = {**SPEC, "names": ["Yusuf", "Ingrid", "Bo"], "terms": ["an angel", "a devil"]}
    problem = problem_of("knights_knaves", spec)
    answer = FAMILY.answer(problem, [((1, 0, -1), Move(("deduce", 2, 1), (1, 0, 1)))])
    assert answer == "Yusuf is an angel, Ingrid is a devil and Bo is an angel"
    for right in (answer, answer.lower(), answer.upper()):
        assert is_right(problem, right)
    assert not is_right(problem, answer.replace("angel", "knight"))


def test_names_are_copied_as_they_were_typed() -> None:
    for split in Split:
        for seed in range(30):
            problem = make_problem("knights_knaves", {**SPEC, **KNIGHTS}, seed=seed, voices=split)
            assert all(name in problem.question for name in problem.spec["names"])


def test_names_may_have_two_words() -> None:
    spec = {**SPEC, "names": ["A", "A Lee", "Old C"]}
    for before in ((-1, -1, -1), (1, -1, -1)):
        for move in FAMILY.moves(spec, before):
            texts = FAMILY.step_texts(problem_of("knights_knaves", spec), 2, before, move)
            reading = FAMILY.read_step(problem_of("knights_knaves", spec), texts)
            assert (reading.before, reading.action) == (before, move.action)
            assert (reading.after, reading.sound) == (move.state, True)


def test_level_1_has_three_persons_or_four_with_one_supposition() -> None:
    says = [
        tuple(tuple(claim) for claim in FAMILY.generate(random.Random(seed), 1)["says"])
        for seed in range(60)
    ]
    assert {len(each) for each in says} == {3, 4}
    assert all(needs_one_supposition(each) for each in says if len(each) == 4)


def test_a_puzzle_where_nothing_follows_from_the_first_person_needs_more() -> None:
    about_the_last = ("knave", 3)
    alike = (("same", 1, 2), about_the_last, about_the_last, ("differ", 1, 2))
    assert not needs_one_supposition(alike)


@pytest.mark.parametrize("kind", KINDS)
def test_wordings_of_a_claim_name_the_others_only(kind: str) -> None:
    """A claim about its speaker, such as `Bob and I are the same`, would mean something else."""
    grammar, rng = load_grammar("knights_knaves"), random.Random(0)
    others = {"{first}"} if kind in ("knight", "knave") else {"{first}", "{second}"}
    for rule, persons in (("claim", others), ("quip", others), ("tells", {"{speaker}", *others})):
        drawn = {grammar.template(rng, f"{rule}_{kind}") for _ in range(400)}
        assert len(drawn) > 10
        for text in drawn:
            assert {*re.findall(r"{(?:speaker|first|second)}", text)} == persons
            assert not re.search(r"\b(?:and|like|as|than) I\b|\bI and\b", text)


def test_a_question_with_words_of_its_own_says_which_of_them_means_a_liar() -> None:
    spec = {**SPEC, "names": ["Ann", "Bob", "Cid"], "terms": ["a zorb", "a glimp"]}
    lies = re.compile(r"true|tru(?:ly|th)|fact|false|l(?:ie|ying|iar)|honest|wrong")
    for seed in range(200):
        problem = make_problem("knights_knaves", spec, seed=seed, voices=Split.TRAIN)
        asked = " ".join(problem.question.split()).lower()
        for statement in problem.spec.get("statements", []):
            asked = asked.replace(statement.lower(), "")
        assert lies.search(asked)
        assert re.search(r"zorb|glimp", asked)


def test_statements_may_be_clauses_of_one_sentence() -> None:
    spec = {**SPEC, "names": ["Ann", "Bob", "Cid"], **KNIGHTS}
    ends = []
    for seed in range(200):
        problem = make_problem("knights_knaves", spec, seed=seed, voices=Split.TRAIN)
        ends += [each[-1] for each in problem.spec["statements"][:1]]
    assert sum(end.isalpha() for end in ends) > 20


def test_a_follow_up_tells_the_claim_that_holds_now() -> None:
    """The text names the speaker and the persons of the claim of the problem that it leads to."""
    names = ["Ann", "Bob", "Cid", "Dee"]
    spec = {"names": names, "says": [["knave", 1], ["same", 0, 3], ["knight", 0], ["differ", 0, 2]]}
    new_claims = 0
    for seed in range(300):
        found = FAMILY.follow_up(spec, "en", random.Random(seed), Split.TRAIN)
        if found is None:
            continue
        earlier, text = found
        changes = zip(earlier["says"], spec["says"], strict=True)
        [speaker] = [person for person, (was, now) in enumerate(changes) if was != now]
        persons = {i for i, name in enumerate(names) if name.casefold() in text.casefold()}
        if persons == {speaker}:
            continue  # the opposite of what was said
        new_claims += 1
        assert persons == {speaker, *spec["says"][speaker][1:]}, text
    assert new_claims > 50
