"""What jugs allow, written apart from the family's own rules."""

from __future__ import annotations

from collections.abc import Sequence


def poured(capacities: Sequence[int], held: Sequence[int]) -> list[tuple[int, ...]]:
    """All contents that filling, emptying and pouring make of `held`."""
    found = []
    for jug, size in enumerate(capacities):
        for amount in (0, size):
            found.append((*held[:jug], amount, *held[jug + 1 :]))
        for other in range(len(capacities)):
            after = list(held)
            after[other] = min(capacities[other], held[other] + held[jug])
            after[jug] = held[jug] - (after[other] - held[other])
            if other != jug:
                found.append(tuple(after))
    return found
