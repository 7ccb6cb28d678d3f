"""Water jugs: fill, empty and pour until a jug holds the target, within a number of moves.

A state is the number of moves left, then the contents of each jug; all jugs start empty. A move
leads to contents that no fewer moves can reach, so it never goes back. These moves include a
shortest solution of every target (tests/tasks/test_jugs.py); an answer may use other moves too.
Twin of reasoning-gym's `jugs`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

from steiner.tasks.canonical import canonical_jugs
from steiner.tasks.jugs_rules import (
    JUGS,
    Contents,
    apply_action,
    has_jugs,
    moves_to_amounts,
    moves_to_contents,
    useful_actions,
)
from steiner.tasks.phrases import Phrases, load_phrases, phrases_of
from steiner.tasks.protocols import Grade, Move, StepReading, Task, grade_of
from steiner.types import Action, Problem, Spec, State, StepTexts, UserError, Verdict

MAX_CAPACITY = 99
MAX_MOVES = 12
LEVELS = {1: (2, 60, 4, 6), 2: (2, 60, 6, 10), 3: (3, 24, 3, 5), 4: (3, 24, 5, 8)}
"""Level -> number of jugs, largest capacity, fewest and most moves of the shortest solution.

With capacities up to 40, levels 1 and 2 would have 60 and 84 test problems; with 60 they have 154
and 208.
"""


class Jugs:
    """Two or three jugs of whole liters: A, B and C."""

    name = "jugs"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        count, largest, fewest, most = LEVELS[level]
        while True:
            capacities = rng.sample(range(2, largest + 1), count)
            moves = moves_to_amounts(tuple(sorted(capacities)), most)
            targets = [target for target in sorted(moves) if fewest <= moves[target] <= most]
            if targets:
                target = rng.choice(targets)
                return {"capacities": capacities, "target": target, "max_moves": moves[target]}

    def canonical_text(self, spec: Spec) -> str:
        capacities, target = canonical_jugs(spec["capacities"], spec["target"])
        return f"{list(capacities)}->{target} in {spec['max_moves']}"

    def start(self, spec: Spec) -> State:
        return (spec["max_moves"], *(0 for _ in spec["capacities"]))

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        if self.verdict(spec, state) is not Verdict.OPEN:
            return ()
        left, *contents = state
        capacities, made = tuple(spec["capacities"]), spec["max_moves"] - left
        fewest = moves_to_contents(capacities, spec["max_moves"])
        return tuple(
            Move(action, (left - 1, *after))
            for action, after in useful_actions(capacities, tuple(contents))
            if fewest.get(after) == made + 1
        )

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if spec["target"] in state[1:]:
            return Verdict.GOAL
        return Verdict.OPEN if state[0] else Verdict.DEAD

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        jugs, action = _render_jugs(before[1:]), _render_action(phrases, move.action)
        return StepTexts(
            phrases.render("next_step", depth=depth, jugs=jugs, action=action),
            _render_understanding(spec, phrases, before, move.action),
            _render_summary(spec, phrases, before, move),
            _render_verification(spec, phrases, move.state),
        )

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        """Reads contents from the texts, and the moves left from the depth."""
        spec, phrases = problem.spec, phrases_of(problem)
        depth, action, fields = _read_next_step(spec, phrases, texts.next_step)
        before = _read_state(spec, fields.get("jugs"), depth, -1)
        summary = phrases.match(texts.summary, "summary_pour", "summary")
        after = _read_state(spec, summary[1]["jugs"] if summary else None, depth, 0)
        verdict, sound = self._read_verification(spec, phrases, texts.verification, after)
        if sound and before and after and action:
            sound = (texts.understanding.strip(), texts.summary.strip()) == (
                _render_understanding(spec, phrases, before, action),
                _render_summary(spec, phrases, before, Move(action, after)),
            )
        return StepReading(depth, action, before, after, verdict, sound)

    def _read_verification(
        self, spec: Spec, phrases: Phrases, text: str, after: State | None
    ) -> tuple[Verdict | None, bool]:
        verdict = phrases.match_verdict(text)
        if verdict is None or after is None:
            return None, False
        return verdict, text.strip() == _render_verification(spec, phrases, after)

    def num_wordings(self, language: str) -> int:
        return len(load_phrases(self.name, language).questions)

    def question(self, spec: Spec, language: str, wording: int) -> str:
        phrases = load_phrases(self.name, language)
        *sizes, last = (
            f"{jug} {size}" for jug, size in zip(JUGS, spec["capacities"], strict=False)
        )
        capacities = f"{', '.join(sizes)} {phrases.words['and']} {last}"
        fields = {"target": spec["target"], "moves": spec["max_moves"]}
        return phrases.questions[wording].format(capacities=capacities, **fields)

    def recognise(self, text: str, language: str) -> Spec | None:
        phrases = load_phrases(self.name, language)
        endings = (text, *(text.rstrip(" \n.?!") + end for end in ".?"))
        found = next(filter(None, map(phrases.match_question, endings)), None)
        if found is None or not re.fullmatch(
            r"\d{1,4} \d{1,4}", "{target} {moves}".format(**found)
        ):
            return None
        capacities = _read_capacities(phrases, found["capacities"])
        if capacities is None:
            return None
        target, max_moves = int(found["target"]), int(found["moves"])
        _require_solution(capacities, target, max_moves)
        return {"capacities": capacities, "target": target, "max_moves": max_moves}

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        """The moves by number, so that the model names a step before it copies the step's move."""
        phrases = phrases_of(problem)
        return numbered_moves(phrases, (_render_action(phrases, m.action) for _, m in branch))

    def grade(self, problem: Problem, answer: str) -> Grade:
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """True if a jug holds the target after all moves; None if `answer` is not a list of moves.

        Moves that waste water are allowed.
        """
        spec, actions = problem.spec, read_actions(phrases_of(problem), answer)
        if actions is None:
            return None
        contents: Contents | None = (0,) * len(spec["capacities"])
        for action in actions:
            contents = contents and apply_action(spec["capacities"], contents, action)
        is_reached = contents is not None and spec["target"] in contents
        return is_reached and len(actions) <= spec["max_moves"]


def _require_solution(capacities: Sequence[int], target: int, max_moves: int) -> None:
    """Raises UserError if no jug can hold the target within the moves."""
    if (
        not 2 <= len(capacities) <= len(JUGS)
        or not 1 <= min(capacities) <= max(capacities) <= MAX_CAPACITY
    ):
        raise UserError(
            f"jugs takes 2 or 3 jugs of 1 to {MAX_CAPACITY} liters, not {list(capacities)}",
            "for example: A 3, B 5 and C 8",
        )
    if not 1 <= max_moves <= MAX_MOVES:
        raise UserError(f"jugs takes 1 to {MAX_MOVES} moves, not {max_moves}", "change the limit")
    needed = moves_to_amounts(tuple(sorted(capacities)), MAX_MOVES).get(target)
    if target < 1 or needed is None:
        raise UserError(
            f"no way to measure {target} in {MAX_MOVES} moves or fewer",
            "try another target; a number that divides all capacities must divide it too",
        )
    if needed > max_moves:
        raise UserError(f"no way to measure {target} in {max_moves} moves", f"allow {needed}")


def numbered_moves(phrases: Phrases, actions: Iterable[str]) -> str:
    """`1) fill A, 2) pour A into B`."""
    numbered = enumerate(actions, 1)
    return ", ".join(phrases.render("move", number=n, action=action) for n, action in numbered)


def _render_action(phrases: Phrases, action: Action) -> str:
    name, jug, *into = action
    return phrases.render(name, jug=jug, into=into[0] if into else "")


def _read_action(phrases: Phrases, text: str) -> Action | None:
    found = phrases.match(text, "fill", "empty", "pour")
    if found is None or text != text.strip():
        return None
    return (found[0], *found[1].values())


def read_actions(phrases: Phrases, answer: str) -> list[Action] | None:
    """The moves of an answer in order, all numbered or none; None if one is unreadable."""
    parts = answer.strip().split(", ")
    numbered = [phrases.match(part, "move") for part in parts]
    if numbered[0]:
        parts = [
            move[1]["action"] if move and move[1]["number"] == str(number) else ""
            for number, move in enumerate(numbered, 1)
        ]
    actions = [_read_action(phrases, part) for part in parts]
    return None if None in actions else [action for action in actions if action]


def _read_next_step(
    spec: Spec, phrases: Phrases, text: str
) -> tuple[int | None, Action | None, dict[str, str]]:
    """Depth, action (None if it names a jug that does not exist), and all fields of the text."""
    found = phrases.match(text, "next_step")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, {}
    action = _read_action(phrases, found[1]["action"])
    exists = action is not None and has_jugs(len(spec["capacities"]), action)
    return int(found[1]["depth"]), action if exists else None, found[1]


def _pour_fields(spec: Spec, before: State, action: Action) -> dict[str, object]:
    """The fields of a pour's texts; none for other actions.

    `held` and `there` are the amounts in the two jugs before, `left` and `now` those after.
    """
    if action[0] != "pour":
        return {}
    jug, into = map(JUGS.index, action[1:])
    held, there, capacity = before[1 + jug], before[1 + into], spec["capacities"][into]
    amount = min(held, capacity - there)
    return {
        "into": JUGS[into],
        "capacity": capacity,
        "held": held,
        "there": there,
        "room": capacity - there,
        "amount": amount,
        "left": held - amount,
        "now": there + amount,
    }


def _render_understanding(spec: Spec, phrases: Phrases, before: State, action: Action) -> str:
    name, jug, *_ = action
    index = JUGS.index(jug)
    fields = {"jug": jug, "held": before[1 + index], "capacity": spec["capacities"][index]}
    return phrases.render(f"understanding_{name}", **fields | _pour_fields(spec, before, action))


def _render_summary(spec: Spec, phrases: Phrases, before: State, move: Move) -> str:
    jugs, pour = _render_jugs(move.state[1:]), _pour_fields(spec, before, move.action)
    return phrases.render("summary_pour" if pour else "summary", jugs=jugs, **pour)


def _render_verification(spec: Spec, phrases: Phrases, state: State) -> str:
    left, *contents = state
    return verification(phrases, contents, spec["target"], spec["max_moves"] - left, left)


def verification(
    phrases: Phrases, contents: Sequence[int], target: int, made: int, left: int
) -> str:
    """For each jug, whether it holds the target; if none does, also the number of moves made."""
    whether = phrases.words["whether"]
    checks = ", ".join(
        phrases.render("check", jug=jug, amount=amount, whether=whether[amount == target])
        for jug, amount in zip(JUGS, contents, strict=False)
    )
    name = "goal" if target in contents else "open" if left else "dead"
    return phrases.render(name, target=target, checks=checks, made=made, moves=made + left)


def _render_jugs(contents: Sequence[int]) -> str:
    return ", ".join(f"{jug} {amount}" for jug, amount in zip(JUGS, contents, strict=False))


def _read_state(spec: Spec, jugs: str | None, depth: int | None, offset: int) -> State | None:
    """The state with the contents in the text `jugs`, after the step at `depth` + `offset`."""
    if jugs is None or depth is None:
        return None
    amounts = [re.fullmatch(r"([A-Z]) (\d{1,2})", part) for part in jugs.split(", ")]
    read = [amount.groups() for amount in amounts if amount]
    names = list(JUGS[: len(spec["capacities"])])
    if len(read) < len(amounts) or [jug for jug, _ in read] != names:
        return None
    return (spec["max_moves"] - depth - offset, *(int(amount) for _, amount in read))


def _read_capacities(phrases: Phrases, text: str) -> list[int] | None:
    """The capacities in `A 3, B 5 and C 8`; the names are optional."""
    parts = re.split(rf",? {phrases.words['and']} |, ?", text, flags=re.IGNORECASE)
    sizes = []
    for index, part in enumerate(parts):
        jug = JUGS[index] if index < len(JUGS) else ""
        found = re.fullmatch(rf"(?:{jug}:? )?(\d{{1,3}})", part.strip(), re.IGNORECASE)
        if found is None:
            return None
        sizes.append(int(found[1]))
    return sizes


TASK = Task.of_family(Jugs())
