"""The rules of water jugs, written independently of the task's own code."""

from __future__ import annotations

from collections.abc import Sequence

JUGS = "ABC"


def moved(capacities: Sequence[int], held: Sequence[int], action: str) -> tuple[int, ...]:
    """The contents after `fill A`, `empty A` or `pour A into B`."""
    name, *words = action.split()
    jug, after = JUGS.index(words[0]), list(held)
    if name == "pour":
        into = JUGS.index(words[-1])
        amount = min(held[jug], capacities[into] - held[into])
        after[jug] -= amount
        after[into] += amount
    else:
        after[jug] = capacities[jug] if name == "fill" else 0
    return tuple(after)


def poured(capacities: Sequence[int], held: Sequence[int]) -> list[tuple[int, ...]]:
    """All contents after one filling, emptying or pouring."""
    jugs = JUGS[: len(capacities)]
    actions = [f"{name} {jug}" for name in ("fill", "empty") for jug in jugs]
    actions += [f"pour {jug} into {into}" for jug in jugs for into in jugs if into != jug]
    return [moved(capacities, held, action) for action in actions]
