"""Jugs, one move at a time: filling, emptying, pouring, and whether a jug holds an amount.

random stream -> FactGroups

The drills state capacities without a target, or a target without capacities, so none is a problem.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.data.ordinary_text.generators import Fact, FactGroup, contextual, drills
from steiner.tasks import load_phrases
from steiner.tasks.jugs import numbered_moves, verification

_FAMILY = "jugs"
_NAMES = "ABC"
MAX_CAPACITY, MAX_MOVES = 40, 12
"""Largest capacity, the same as in generated problems."""


def facts(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about single moves and contents."""
    single = drills(rng, {_holds: 2.0, _room: 3, _poured: 3, _moves_left: 1, _verify: 2})
    moves = contextual(rng, {_moves: 1.0, _kept: 2})
    while True:
        yield next(rng.choice((single, moves)))


def render_jugs(amounts: list[int], last: str = ", ") -> str:
    """`A 3, B 0, C 5`; `last` precedes the last jug."""
    *parts, end = (f"{jug} {n}" for jug, n in zip(_NAMES, amounts, strict=False))
    return ", ".join(parts) + last + end


def _capacities(rng: random.Random) -> list[int]:
    most = rng.choice((13, 24, MAX_CAPACITY))
    return rng.sample(range(2, most + 1), rng.choice((2, 3, 3)))


def _contents(rng: random.Random, capacities: list[int]) -> list[int]:
    """Typical contents: often empty or full."""
    return [rng.choice((0, most, rng.randint(0, most))) for most in capacities]


def _move(rng: random.Random, capacities: list[int], contents: list[int]) -> tuple[str, list[int]]:
    """A move in the task's words and the contents after it; it may change nothing."""
    phrases, after = load_phrases(_FAMILY), list(contents)
    name = rng.choice(("fill", "empty", "pour", "pour"))
    jug, into = rng.sample(range(len(capacities)), 2)
    if name == "pour":
        amount = min(contents[jug], capacities[into] - contents[into])
        after[jug], after[into] = contents[jug] - amount, contents[into] + amount
    else:
        after[jug] = capacities[jug] if name == "fill" else 0
    return phrases.render(name, jug=_NAMES[jug], into=_NAMES[into]), after


def _moves(rng: random.Random) -> FactGroup:
    """Unrelated single moves with the same jugs."""
    capacities, phrases = _capacities(rng), load_phrases(_FAMILY)
    facts = []
    for _ in range(rng.randint(3, 6)):
        contents = _contents(rng, capacities)
        action, after = _move(rng, capacities, contents)
        before = f"Jugs are {render_jugs(contents)}"
        now = phrases.render("summary", jugs=render_jugs(after))
        facts.append((f"{before}. {action}:", now))
    context = rng.choice(("Jugs hold {} liters.", "With jugs of {} liters.", "Your jugs take {}."))
    return FactGroup(tuple(facts), context.format(render_jugs(capacities, " and ")))


def _kept(rng: random.Random) -> FactGroup:
    """Numbered moves in which each replaces those from its number on, and the list that remains."""
    phrases, capacities = load_phrases(_FAMILY), _capacities(rng)
    lines, kept = list[str](), list[str]()
    for _ in range(rng.randint(4, 14)):
        forward = not kept or (len(kept) < MAX_MOVES and rng.random() < 0.75)
        number = len(kept) + 1 if forward else rng.randint(1, len(kept))
        contents = _contents(rng, capacities)
        action, _ = _move(rng, capacities, contents)
        jugs = render_jugs(contents)
        lines.append(phrases.render("next_step", depth=number, jugs=jugs, action=action))
        kept[number - 1 :] = [action]
    return FactGroup((("What is left:", numbered_moves(phrases, kept)),), "\n".join(lines))


def _holds(rng: random.Random) -> Fact:
    contents = _contents(rng, _capacities(rng))
    asked = rng.choice(contents) if rng.random() < 0.5 else rng.randint(1, MAX_CAPACITY)
    prompt = f"Now jugs are {render_jugs(contents)}. Does any jug hold {asked}?"
    if asked not in contents:
        return prompt, f"No jug holds {asked}"
    return prompt, f"Jug {_NAMES[contents.index(asked)]} holds {asked}"


def _verify(rng: random.Random) -> Fact:
    """The task's words for a verification, with the target and the number of moves."""
    contents, moves = _contents(rng, _capacities(rng)), rng.randint(1, MAX_MOVES)
    made = rng.randint(1, moves)
    target = rng.choice((*contents, rng.randint(1, MAX_CAPACITY), rng.randint(1, MAX_CAPACITY)))
    target = target or 1
    prompt = f"Target {target}, move {made} of {moves}. Now jugs are {render_jugs(contents)}."
    phrases = load_phrases(_FAMILY)
    return prompt, verification(phrases, contents, target, made, moves - made)


def _room(rng: random.Random) -> Fact:
    most = rng.randint(2, MAX_CAPACITY)
    held, jug = rng.randint(0, most), rng.choice(_NAMES)
    return f"Jug {jug} takes {most} and has {held}. Room left:", f"{most} - {held} = {most - held}"


def _poured(rng: random.Random) -> Fact:
    most, have = rng.randint(2, MAX_CAPACITY), rng.randint(0, MAX_CAPACITY)
    held = rng.randint(0, most)
    jug, into = rng.sample(_NAMES, 2)
    amount = min(have, most - held)
    prompt = f"{jug} has {have}. {into} takes {most} and has {held}. Pour {jug} into {into}:"
    left, now = f"{have} - {amount} = {have - amount}", f"{held} + {amount} = {held + amount}"
    return prompt, f"Pour {amount}: {left}, {now}"


def _moves_left(rng: random.Random) -> Fact:
    most = rng.randint(1, MAX_MOVES)
    made = rng.randint(0, most)
    prompt = rng.choice(("At most {} moves, step {} is done.", "{} moves allowed, {} made."))
    return prompt.format(most, made), f"moves left: {most - made}"
