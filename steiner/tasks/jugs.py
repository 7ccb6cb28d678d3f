"""Water jugs: fill, empty and pour until a jug holds the target, within a number of moves.

A state is the moves left, then the content of each jug; all start empty. A move fills an empty jug,
empties a full one, or pours until one of two is empty or full, and leads to contents that could not
be had in fewer moves, so it never goes back. No target needs other moves to be reached soonest
(tests/problems/test_jugs.py), though an answer may use them. Twin of reasoning-gym's `jugs`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from steiner.tasks.canonical import canonical_jugs
from steiner.tasks.phrases import Phrases, load_phrases, phrases_of
from steiner.tasks.protocols import Grade, Move, StepReading, Task, grade_of
from steiner.types import Action, Problem, Spec, State, StepTexts, UserError, Verdict

JUGS = "ABC"
MAX_CAPACITY = 99
MAX_MOVES = 12
LEVELS = {1: (2, 60, 4, 6), 2: (2, 60, 6, 10), 3: (3, 24, 3, 5), 4: (3, 24, 5, 8)}
"""Level -> how many jugs, the largest of them, and the fewest and most moves of the shortest
solution. With jugs up to 40, levels 1 and 2 would have 60 and 84 test problems; with 60 they have
154 and 208."""

Contents = tuple[int, ...]


class Jugs:
    """Jugs A, B and C, of whole liters."""

    name = "jugs"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        count, largest, fewest, most = LEVELS[level]
        while True:
            capacities = rng.sample(range(2, largest + 1), count)
            moves = _shortest(tuple(sorted(capacities)), most)
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
        soonest = _soonest(capacities, spec["max_moves"])
        return tuple(
            Move(action, (left - 1, *after))
            for action, after in _changes(capacities, tuple(contents))
            if soonest.get(after) == made + 1
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
        """The texts tell contents only; the moves left follow from the depth."""
        spec, phrases = problem.spec, phrases_of(problem)
        depth, action, told = _read_next_step(spec, phrases, texts.next_step)
        before = _read_state(spec, told.get("jugs"), depth, -1)
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
        """The moves by number: which step to copy from is then said before it is copied."""
        phrases = phrases_of(problem)
        return numbered_moves(phrases, (_render_action(phrases, m.action) for _, m in branch))

    def grade(self, problem: Problem, answer: str) -> Grade:
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """Whether the moves end with the target in a jug; None if `answer` is no list of moves.

        A move that wastes water counts as any other.
        """
        spec, phrases = problem.spec, phrases_of(problem)
        contents: Contents | None = (0,) * len(spec["capacities"])
        actions = read_actions(phrases, answer)
        if None in actions:
            return None
        for action in actions:
            contents = contents and _after(spec["capacities"], contents, action)
        reached = contents is not None and spec["target"] in contents
        return reached and len(actions) <= spec["max_moves"]


@lru_cache(1 << 16)
def _changes(capacities: Contents, contents: Contents) -> tuple[tuple[Action, Contents], ...]:
    """Each action that a shortest solution may need here, and what it leads to."""
    found: list[tuple[Action, Contents]] = []
    for jug, held in enumerate(contents):
        if held == 0:
            found.append((("fill", JUGS[jug]), _with(contents, jug, capacities[jug])))
        else:
            if held == capacities[jug]:
                found.append((("empty", JUGS[jug]), _with(contents, jug, 0)))
            found.extend(_pours(capacities, contents, jug))
    return tuple(found)


@lru_cache(1 << 12)
def _soonest(capacities: Contents, max_moves: int) -> dict[Contents, int]:
    """Contents -> the fewest moves to them, of all that can be had in `max_moves` moves."""
    start = (0,) * len(capacities)
    soonest, front = {start: 0}, [start]
    for moves in range(1, max_moves + 1):
        changed = (after for contents in front for _, after in _changes(capacities, contents))
        front = [after for after in dict.fromkeys(changed) if after not in soonest]
        soonest.update(dict.fromkeys(front, moves))
    return soonest


def _pours(capacities: Contents, contents: Contents, jug: int) -> Iterator[tuple[Action, Contents]]:
    held = contents[jug]
    for into, other in enumerate(contents):
        amount = min(held, capacities[into] - other)
        if into != jug and amount:
            after = _with(_with(contents, jug, held - amount), into, other + amount)
            yield ("pour", JUGS[jug], JUGS[into]), after


def _after(capacities: Sequence[int], contents: Contents, action: Action | None) -> Contents | None:
    """What the jugs hold after any action, useful or not; None where there is no such jug."""
    if action is None or not _has_jugs(len(contents), action):
        return None
    jug, *into = map(JUGS.index, action[1:])
    if not into:
        return _with(contents, jug, capacities[jug] if action[0] == "fill" else 0)
    other = into[0]
    if other == jug:
        return None
    amount = min(contents[jug], capacities[other] - contents[other])
    return _with(_with(contents, jug, contents[jug] - amount), other, contents[other] + amount)


def _with(contents: Contents, jug: int, amount: int) -> Contents:
    return (*contents[:jug], amount, *contents[jug + 1 :])


@lru_cache(1 << 12)
def _shortest(capacities: Contents, max_moves: int) -> dict[int, int]:
    """Amount -> the fewest moves after which some jug holds it, up to `max_moves`."""
    start = (0,) * len(capacities)
    fewest, seen, front = {0: 0}, {start}, {start}
    for moves in range(1, max_moves + 1):
        front = _reached(capacities, front) - seen
        seen |= front
        for amount in {amount for contents in front for amount in contents}:
            fewest.setdefault(amount, moves)
    return fewest


def _reached(capacities: Contents, front: Iterable[Contents]) -> set[Contents]:
    """All contents one action away: what `_changes` tells, without the actions, 7 times faster."""
    reached = set()
    for contents in front:
        for jug, held in enumerate(contents):
            reached.add(_with(contents, jug, 0))
            reached.add(_with(contents, jug, capacities[jug]))
            for into, other in enumerate(contents):
                amount = min(held, capacities[into] - other)
                if amount and into != jug:
                    after = list(contents)
                    after[jug], after[into] = held - amount, other + amount
                    reached.add(tuple(after))
    return reached


def _require_solution(capacities: Sequence[int], target: int, max_moves: int) -> None:
    """Raises UserError where the jugs cannot hold the target within the moves."""
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
    needed = _shortest(tuple(sorted(capacities)), MAX_MOVES).get(target)
    if target < 1 or needed is None:
        raise UserError(
            f"no way to measure {target} in {MAX_MOVES} moves or fewer",
            "try another target; it must be a multiple of what divides all capacities",
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


def read_actions(phrases: Phrases, answer: str) -> list[Action | None]:
    """The moves of an answer, in their order; all are numbered, or none."""
    parts = answer.strip().split(", ")
    numbered = [phrases.match(part, "move") for part in parts]
    if numbered[0]:
        parts = [
            move[1]["action"] if move and move[1]["number"] == str(number) else ""
            for number, move in enumerate(numbered, 1)
        ]
    return [_read_action(phrases, part) for part in parts]


def _read_next_step(
    spec: Spec, phrases: Phrases, text: str
) -> tuple[int | None, Action | None, dict[str, str]]:
    """Depth, action (None where it names a jug that is not there), and all that is told."""
    found = phrases.match(text, "next_step")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, {}
    action = _read_action(phrases, found[1]["action"])
    known = action is not None and _has_jugs(len(spec["capacities"]), action)
    return int(found[1]["depth"]), action if known else None, found[1]


def _has_jugs(count: int, action: Action) -> bool:
    """Whether every jug of the action is among the first `count`."""
    return {*action[1:]} <= {*JUGS[:count]}


def _flow(spec: Spec, before: State, action: Action) -> dict[str, object]:
    """What a pour tells: held and there before, room, amount, left and now after; nothing of other
    actions."""
    if action[0] != "pour":
        return {}
    jug, into = map(JUGS.index, action[1:])
    held, there, capacity = before[1 + jug], before[1 + into], spec["capacities"][into]
    amount = min(held, capacity - there)
    told = {"into": JUGS[into], "held": held, "there": there, "capacity": capacity}
    after = {"left": held - amount, "now": there + amount}
    return told | after | {"room": capacity - there, "amount": amount}


def _render_understanding(spec: Spec, phrases: Phrases, before: State, action: Action) -> str:
    name, jug, *_ = action
    index = JUGS.index(jug)
    fields = {"jug": jug, "held": before[1 + index], "capacity": spec["capacities"][index]}
    return phrases.render(f"understanding_{name}", **fields | _flow(spec, before, action))


def _render_summary(spec: Spec, phrases: Phrases, before: State, move: Move) -> str:
    jugs, flow = _render_jugs(move.state[1:]), _flow(spec, before, move.action)
    return phrases.render("summary_pour" if flow else "summary", jugs=jugs, **flow)


def _render_verification(spec: Spec, phrases: Phrases, state: State) -> str:
    left, *contents = state
    return verification(phrases, contents, spec["target"], spec["max_moves"] - left, left)


def verification(
    phrases: Phrases, contents: Sequence[int], target: int, made: int, left: int
) -> str:
    """Of each jug whether it holds the target, and, where none does, how many moves were made."""
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
    """The state whose contents `jugs` tells, after the step at `depth` + `offset`."""
    if jugs is None or depth is None:
        return None
    amounts = [re.fullmatch(r"([A-Z]) (\d{1,2})", part) for part in jugs.split(", ")]
    read = [amount.groups() for amount in amounts if amount]
    names = list(JUGS[: len(spec["capacities"])])
    if len(read) < len(amounts) or [jug for jug, _ in read] != names:
        return None
    return (spec["max_moves"] - depth - offset, *(int(amount) for _, amount in read))


def _read_capacities(phrases: Phrases, text: str) -> list[int] | None:
    """The sizes in `A 3, B 5 and C 8`; the names may be left out."""
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
