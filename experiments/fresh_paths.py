"""An endless stream of shortest paths through fresh training problems, for the baselines.

Recipe, stream name -> SearchPaths

Problems are of the training split, in training voices, in equal numbers for each task, and of lower
levels as often as in the synthesis (`synth.easier`). A task with few distinct problems repeats them
in other words and with other shortest paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, count, islice
from multiprocessing import get_context
from os import cpu_count
from random import Random

from steiner.dags.path_sampling import shortest_path
from steiner.dags.source import SolverDagSource
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.tasks import generate_problems, task
from steiner.types import SearchPath, Split, UserError

BLOCK = 200
"""Problems of one family that a worker makes at a time."""

_BLOCKS_AT_ONCE = 4
"""For each worker, so that those with quick families do not wait."""


@dataclass(frozen=True, slots=True)
class _Block:
    """The work of one process: problems of one task, from one named stream."""

    family: str
    level: int
    language: str
    stream: str


def shortest_paths(recipe: Recipe, *names: object) -> Iterator[SearchPath]:
    """One shortest path of each of endless problems, in random order; the same for the same names.

    They do not depend on the number of workers. Raises UserError if a task has no problem.
    """
    workers = recipe.synth.workers or cpu_count() or 1
    rounds = _rounds(recipe, "/".join(map(str, (recipe.seed, *names))))
    if workers == 1:
        for blocks in rounds:
            yield from _mixed(blocks, [_make(block) for block in blocks])
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        for blocks in rounds:
            yield from _mixed(blocks, list(pool.map(_make, blocks)))


def _rounds(recipe: Recipe, name: str) -> Iterator[list[_Block]]:
    """Blocks of all families, `_BLOCKS_AT_ONCE` of each at a time."""
    rng = random_stream("levels of fresh paths", name)
    for start in count(0, _BLOCKS_AT_ONCE):
        yield [
            _Block(family, _level(recipe, level, rng), recipe.language, f"{name}/{start + index}")
            for family, level in recipe.problems.levels.items()
            if task(family).state_space  # others, such as messages to decline, have no paths
            for index in range(_BLOCKS_AT_ONCE)
        ]


def _level(recipe: Recipe, level: int, rng: Random) -> int:
    """`level` or, with probability synth.easier, a lower one."""
    easier = level > 1 and rng.random() < recipe.synth.easier
    return rng.randrange(1, level) if easier else level


def _make(block: _Block) -> list[SearchPath]:
    rng = random_stream("fresh paths", block.stream, block.family)
    problems = generate_problems(
        block.family,
        block.level,
        seed=rng.getrandbits(48),
        split=Split.TRAIN,
        language=block.language,
    )
    dags = SolverDagSource()
    return [shortest_path(dags.dag(problem), rng) for problem in islice(problems, BLOCK)]


def _mixed(blocks: list[_Block], made: list[list[SearchPath]]) -> list[SearchPath]:
    """All paths of a round in random order."""
    for block, paths in zip(blocks, made, strict=True):
        if not paths:
            hint = "raise its level in [problems.levels]"
            raise UserError(f"no problem of {block.family} to train on", hint)
    mixed = list(chain.from_iterable(made))
    random_stream("fresh paths", blocks[0].stream).shuffle(mixed)
    return mixed
