"""Copying, looking up, counting and editing: lists, keyed lists and numbered lines.

random stream -> FactGroups
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.data.ordinary_text.facts import numbers
from steiner.data.ordinary_text.generators import Fact, FactGroup, Weights, contextual, drills, join
from steiner.data.ordinary_text.words import (
    ANIMALS,
    COLOURS,
    DESCRIPTIONS,
    JUGS,
    NAMES,
    ORDINALS,
    THINGS,
)


def lists(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about copying, position, counting, removal and insertion."""
    makers: Weights = {_copy: 2, _position: 2, _count: 1, _often: 1, _after: 1, _remove: 2}
    return drills(rng, makers | {_insert: 2, _replace: 2})


def lookups(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about a keyed list or numbered lines in the context."""
    return contextual(rng, {_keyed: 1.0, _edited: 1.5, _lines: 2})


def _items(rng: random.Random) -> list[str]:
    if rng.random() < 0.6:
        return [str(number) for number in numbers(rng, 3, 6)]
    pool = rng.choice((NAMES, COLOURS, ANIMALS, THINGS))
    return rng.sample(pool, rng.randint(2, 6))


def _copy(rng: random.Random) -> Fact:
    items = join(_items(rng), rng.choice((" ", ", ")))
    return rng.choice(("Copy {}:", "Say again: {}.", "Repeat {}:")).format(items), items


def _position(rng: random.Random) -> Fact:
    items = _items(rng)
    if rng.random() < 0.2:
        return f"The last of {join(items)} is", items[-1]
    index = rng.randrange(len(items))
    return f"The {ORDINALS[index]} of {join(items)} is", items[index]


def _count(rng: random.Random) -> Fact:
    items = _items(rng)
    return f"How many are {join(items)}?", str(len(items))


def _often(rng: random.Random) -> Fact:
    items = rng.choices(_items(rng), k=rng.randint(3, 6))
    asked = rng.choice(items)
    return f"How often does {asked} stand in {join(items)}?", str(items.count(asked))


def _after(rng: random.Random) -> Fact:
    items = list(dict.fromkeys(_items(rng)))
    if len(items) < 2:
        return f"How many are {join(items)}?", "1"
    index = rng.randrange(len(items) - 1)
    return f"In {join(items)}, after {items[index]} comes", items[index + 1]


def _remove(rng: random.Random) -> Fact:
    items = _items(rng)
    gone = rng.choice(items)
    prompt = f"{join(items)} without {gone}:"
    items.remove(gone)
    return prompt, join(items)


def _insert(rng: random.Random) -> Fact:
    listed = sorted(numbers(rng, 1, 5), reverse=True)
    new = rng.randint(1, 99)
    return f"Put {new} into {join(listed)}:", join(sorted([*listed, new], reverse=True))


def _replace(rng: random.Random) -> Fact:
    """Two numbers of a descending list are replaced by one: countdown's transition without its
    sum."""
    listed = sorted(numbers(rng, 3, 6), reverse=True)
    first, second = (listed[i] for i in sorted(rng.sample(range(len(listed)), 2)))
    new, rest = rng.randint(1, 99), list(listed)
    rest.remove(first)
    rest.remove(second)
    prompt = f"Take {first} and {second} away from {join(listed)} and add {new}:"
    return prompt, join(sorted([*rest, new], reverse=True))


def _table(rng: random.Random) -> dict[str, str]:
    """A keyed list: people and colours, jugs and litres, people and roles, things and numbers."""
    style = rng.randrange(4)
    if style == 0:
        keys, values = rng.sample(NAMES, rng.randint(2, 6)), COLOURS
    elif style == 1:
        keys, values = list(JUGS[: rng.randint(2, 4)]), tuple(map(str, range(31)))
    elif style == 2:
        keys, values = rng.sample(NAMES, rng.randint(2, 6)), ("knight", "knave")
    else:
        keys, values = rng.sample(THINGS, rng.randint(2, 5)), tuple(map(str, range(1, 100)))
    return {key: rng.choice(values) for key in keys}


def _render(table: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in table.items())


def _keyed(rng: random.Random) -> FactGroup:
    table = _table(rng)
    facts = [_ask(rng, table) for _ in range(rng.randint(2, 4))]
    return FactGroup(tuple(facts), f"{_render(table)}.")


def _ask(rng: random.Random, table: dict[str, str]) -> Fact:
    key = rng.choice(list(table))
    value, style = table[key], rng.randrange(3)
    if style == 0:
        return f"{key} is", value
    if style == 1:
        return f"Who is {value}?", join([k for k, v in table.items() if v == value], ", ")
    return f"How many are {value}?", str(list(table.values()).count(value))


def _edited(rng: random.Random) -> FactGroup:
    """Single edits, each of a new keyed list."""
    facts = []
    for _ in range(rng.randint(2, 4)):
        table = _table(rng)
        key, value = rng.choice(list(table)), rng.choice(list(_table_values(rng, table)))
        facts.append((f"{_render(table)}. Now {key} is {value}:", _render(table | {key: value})))
    return FactGroup(tuple(facts))


def _table_values(rng: random.Random, table: dict[str, str]) -> tuple[str, ...]:
    """Values of the kind that the table holds."""
    if next(iter(table.values())).isdecimal():
        return (str(rng.randint(0, 30)), *table.values())
    return tuple(table.values())


def _lines(rng: random.Random) -> FactGroup:
    """Numbered lines in which later ones replace earlier ones with the same number."""
    label = rng.choice(("Line", "Note", "Page", "Card", "Step"))
    said: list[tuple[int, str]] = [(1, _saying(rng))]
    for _ in range(rng.randint(2, 7)):
        said.append((rng.randint(1, min(said[-1][0] + 1, 6)), _saying(rng)))
    context = "\n".join(f"{label} {number}: {text}" for number, text in said)
    latest = dict(said)
    asked = rng.sample(sorted(latest), min(len(latest), rng.randint(1, 3)))
    facts = [(f"The latest {label.lower()} {n} says", latest[n]) for n in asked]
    if said[-1][0] > 1:
        before = said[-1][0] - 1
        facts.append(
            (f"Before the last {label.lower()}, {label.lower()} {before} said", latest[before])
        )
    return FactGroup(tuple(facts), context)


def _saying(rng: random.Random) -> str:
    style = rng.randrange(3)
    if style == 0:
        return join(numbers(rng, 2, 4))
    if style == 1:
        return f"{rng.choice(DESCRIPTIONS)} {rng.choice(THINGS)}"
    return _render(dict(list(_table(rng).items())[:3]))
