"""`steiner synth`: problems, their DAGs, and search paths through them, as Parquet.

recipe -> dags.parquet, paths.parquet, manifest.json

DAGs are divided evenly among the tasks, as long as each has enough problems. Paths are always
divided evenly, so a task with few problems has more paths of each. Each path has a question of its
own: other words, other names, or earlier turns of a dialogue. All problems are of the training
split. Workers take blocks of problems with random streams named by the block, so that
the data do not depend on how many there are.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import chain, islice
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steiner.dags.dialogues import KINDS, in_dialogue, reworded
from steiner.dags.path_sampling import Walk, path_without_search, reading_alone, sample_paths
from steiner.dags.source import DagSource, SolverDagSource
from steiner.dags.store import DAG_SCHEMA, PATH_SCHEMA, dag_table, path_table
from steiner.files import replacing, write_json
from steiner.progress import plural, progress
from steiner.questions.task import OwnQuestions, register_questions
from steiner.randomness import random_stream
from steiner.recipe import Recipe, SynthRecipe
from steiner.tasks import ask, generate_problems, problem_key_of, task
from steiner.tasks.no_answer import has_search
from steiner.tasks.problems import in_language
from steiner.tasks.question_grammar import load_grammar
from steiner.types import Message, Problem, ReasoningDag, SearchPath, Split, UserError

BLOCK = 250
"""DAGs that a worker makes at a time."""

TOO_LONG = "dropped: longer than max_tokens"
"""Count of paths with more tokens than synth.max_tokens."""

_ABOUT_A_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class _Block:
    """The work of one process."""

    problems: tuple[Problem, ...]
    num_paths: tuple[int, ...]
    recipe: Recipe
    name: str


@dataclass(frozen=True, slots=True)
class Made:
    """The DAGs and paths of one block of problems."""

    dags: pa.Table
    paths: pa.Table
    counts: Counter[str]
    cost: float = 0.0
    """Price of a teacher's replies."""


def synthesise(recipe: Recipe, folder: Path, more: Iterable[Made] = ()) -> Path:
    """Writes the data of `recipe` into `folder`, then `more`, which other DAG sources made.

    Raises UserError where no family is named.
    """
    if not recipe.problems.levels:
        raise UserError(
            "the recipe names no problem family", "add [problems.levels] with a level for each"
        )
    register_questions(recipe)
    draws: Counter[str] = Counter()
    blocks = list(_blocks(recipe, draws))
    counts, cost = _problem_counts(blocks, draws), 0.0
    counts.update(dropped_rows(recipe))
    with (
        replacing(folder / "dags.parquet") as dags_file,
        replacing(folder / "paths.parquet") as paths_file,
        pq.ParquetWriter(dags_file, DAG_SCHEMA, compression="zstd") as dags,
        pq.ParquetWriter(paths_file, PATH_SCHEMA, compression="zstd") as paths,
    ):
        for made in chain(_solved(recipe, blocks), more):
            dags.write_table(made.dags)
            paths.write_table(made.paths)
            counts.update(made.counts)
            cost += made.cost
        _require_paths(recipe, counts)
    write_json(folder / "manifest.json", _manifest(recipe, counts, cost))
    print(_summary(counts), file=sys.stderr)
    return folder


def dropped_rows(recipe: Recipe) -> Counter[str]:
    """The rows of own questions that were dropped on reading, by reason, for the manifest."""
    generators = [task(name).generator for name in recipe.problems.levels]
    return Counter(
        {
            f"dropped: {reason}": count
            for generator in generators
            if isinstance(generator, OwnQuestions)
            for reason, count in generator.dropped.items()
        }
    )


def _require_paths(recipe: Recipe, counts: Counter[str]) -> None:
    """Raises UserError, with what was dropped and why, if there is no path to train on."""
    if not counts["paths"]:
        dropped = ", ".join(f"{n} {name}" for name, n in counts.items() if n and ":" in name)
        where = recipe.questions.source or ", ".join(recipe.problems.levels)
        hint = "try a stronger teacher, or more of teacher.solutions"
        if not recipe.questions.source:
            hint = (
                "its answers show no steps to learn from; train a finished SFT model on it by RL: "
                "steiner train rl --task NAME --out RUN"
            )
        elif not recipe.teacher.url and not recipe.teacher.model:
            hint = "name a teacher with --teacher, or a column with questions.rationale"
        raise UserError(
            f"there is no search path from {where}" + (f": {dropped}" if dropped else ""), hint
        )


def _solved(recipe: Recipe, blocks: Sequence[_Block]) -> Iterator[Made]:
    """Solves the blocks, with progress."""
    if not blocks:
        return
    with progress("synth", recipe.synth.dags, "dag") as advance:
        for made in _make(blocks, recipe.synth.workers):
            yield made
            advance(made.counts["dags"])


def _summary(counts: Counter[str]) -> str:
    """`synth: 4,000 distinct problems of 4,312 drawn, 20,000 paths`."""
    text = plural(counts["paths"], "path")
    if counts["problems drawn"]:
        distinct, drawn = counts["distinct problems"], counts["problems drawn"]
        text = f"{plural(distinct, 'distinct problem')} of {drawn:,} drawn, {text}"
    if counts["questions"]:
        with_dag = counts["questions"] - counts["dropped: questions without a solution"]
        text += f"; DAGs for {with_dag:,} of {plural(counts['questions'], 'own question')}"
    notes = {
        name.removeprefix("teacher: "): count
        for name, count in counts.items()
        if name.startswith(("teacher: ", "dropped: "))
    }
    lines = [f"synth: {text}", *(f"  {count:,} {name}" for name, count in notes.items() if count)]
    return "\n".join(lines)


def _problem_counts(blocks: Sequence[_Block], draws: Counter[str]) -> Counter[str]:
    """Problems drawn, isomorphic repeats included, and distinct canonical keys, for each task."""
    keys = {(problem.family, problem.key) for block in blocks for problem in block.problems}
    distinct = Counter(name for name, _ in keys)
    counts = Counter({"problems drawn": draws.total(), "distinct problems": len(keys)})
    for name in distinct:
        counts[f"problems drawn: {name}"] = draws[name]
        counts[f"distinct problems: {name}"] = distinct[name]
    return counts


def _blocks(recipe: Recipe, draws: Counter[str]) -> Iterator[_Block]:
    """The work, cut into blocks that mix all families; `draws` counts the problems drawn."""
    problems = list(islice(_problems(recipe, draws), recipe.synth.dags))
    num_dags = Counter(problem.family for problem in problems)
    family_paths = _even(recipe.synth.paths, len(num_dags)) if num_dags else []
    num_paths = {
        name: iter(_even(paths, num_dags[name]))
        for name, paths in zip(num_dags, family_paths, strict=True)
    }
    for start in range(0, len(problems), BLOCK):
        chosen = tuple(problems[start : start + BLOCK])
        shares = tuple(next(num_paths[problem.family]) for problem in chosen)
        yield _Block(chosen, shares, recipe, f"{recipe.seed}/{start}")


def _even(total: int, parts: int) -> list[int]:
    """`total` in `parts` whole numbers that differ by at most 1."""
    quotient, rest = divmod(total, parts)
    return [quotient + (index < rest) for index in range(parts)]


def _problems(recipe: Recipe, draws: Counter[str]) -> Iterator[Problem]:
    """Training problems, one of each family in turn; a family that runs out leaves its turns."""
    levels = _solved_levels(recipe)
    streams = {name: _levels(recipe, name, level, draws) for name, level in levels.items()}
    while streams:
        for name in list(streams):
            problem = next(streams[name], None)
            if problem is None:
                del streams[name]
            else:
                yield problem


def _solved_levels(recipe: Recipe) -> dict[str, int]:
    """Task -> level of the tasks that a solver knows."""
    levels = recipe.problems.levels
    return {name: level for name, level in levels.items() if is_solved(name)}


def is_solved(name: str) -> bool:
    """True if the task's DAGs come from a solver, or its questions have nothing to search."""
    known = task(name)
    return known.has_exact_dags or known.is_always_unanswerable


def _levels(recipe: Recipe, name: str, level: int, draws: Counter[str]) -> Iterator[Problem]:
    """Training problems of one level and, by synth.easier, of the levels below it."""
    rng = random_stream("levels", recipe.seed, name)
    streams = {
        each: generate_problems(
            name,
            each,
            seed=recipe.seed,
            split=Split.TRAIN,
            language=recipe.language,
            unanswerable=recipe.synth.unanswerable,
            isomorphic=True,
            draws=draws,
        )
        for each in task(name).generator.levels
        if each <= level
    }
    while level in streams:
        below = [each for each in streams if each < level]
        chosen = rng.choice(below) if below and rng.random() < recipe.synth.easier else level
        problem = next(streams[chosen], None)
        if problem is None:
            del streams[chosen]
        else:
            yield problem


def _make(blocks: Sequence[_Block], workers: int) -> Iterator[Made]:
    workers = min(workers or cpu_count() or 1, len(blocks))
    if workers <= 1:
        yield from map(_make_block, blocks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        yield from pool.map(_make_block, blocks)


def _make_block(block: _Block) -> Made:
    counts: Counter[str] = Counter()
    recipe = block.recipe
    rng = random_stream("paths", block.name)
    source = SolverDagSource()
    dags, paths = [], []
    for problem, num_paths in zip(block.problems, block.num_paths, strict=True):
        asked = [_asked(problem, recipe, rng, source) for _ in range(num_paths)]
        if not has_search(problem.spec):
            found = list(map(path_without_search, asked))
            paths += found
            for path in found:
                counts.update(path_counts(path))
            continue
        for _ in range(_drawn(num_paths * recipe.synth.readings, rng)):
            paths.append(reading_alone(_asked(problem, recipe, rng, source)))
            counts["readings"] += 1
        dag = source.dag(problem)
        dags.append(dag)
        counts.update(dag_counts(dag))
        for path in sample_paths(dag, asked, walk_of(recipe.synth, problem.family), rng):
            if num_tokens(path) > recipe.synth.max_tokens:
                counts[TOO_LONG] += 1
                continue
            paths.append(path)
            counts.update(path_counts(path))
    return Made(dag_table(dags), path_table(paths), counts)


def _drawn(expected: float, rng: random.Random) -> int:
    """A whole number that is `expected` on average."""
    return int(expected + rng.random()) if expected else 0


def _asked(problem: Problem, recipe: Recipe, rng: random.Random, dags: DagSource) -> Problem:
    """The problem in new words, for some problems after earlier turns."""
    asked = reworded(problem, rng, Split.TRAIN)
    if rng.random() < recipe.synth.dialogues:
        kind = rng.choice(KINDS)
        other_problem = partial(_other_problem, recipe, rng)
        asked = in_dialogue(asked, kind, rng, Split.TRAIN, other_problem, dags) or asked
    if rng.random() < recipe.synth.system_prompts:
        prompts = load_grammar(problem.family, problem.language).words["system"]
        system = Message("system", rng.choice(prompts))
        asked = replace(asked, messages=(system, *asked.messages))
    return asked


def _other_problem(recipe: Recipe, rng: random.Random) -> Problem:
    """A problem of any task for an unrelated turn."""
    name = rng.choice(list(_solved_levels(recipe)))
    generator = task(name).generator
    level = rng.randint(generator.levels.start, recipe.problems.levels[name])
    while True:
        spec = generator.generate(rng, level)
        problem = Problem(name, problem_key_of(name, spec), level, recipe.language, (), spec)
        if problem.split is Split.TRAIN:
            return ask(in_language(problem, rng), rng, Split.TRAIN)


def walk_of(synth: SynthRecipe, name: str) -> Walk:
    """The recipe's settings of walks for one task."""
    return Walk(
        explore=synth.explore,
        turn_back=synth.turn_back,
        back_jump=synth.back_jump,
        in_order=name in synth.in_order,
        cut=synth.cut,
        max_steps=synth.max_steps,
    )


def dag_counts(dag: ReasoningDag) -> dict[str, int]:
    """The counts of one DAG, for the manifest."""
    return {
        "dags": 1,
        "nodes": len(dag.nodes),
        "edges": len(dag.edges),
        "shared nodes": sum(node.in_degree > 1 for node in dag.nodes),
    }


def path_counts(path: SearchPath) -> dict[str, int]:
    """The counts of one path, for the manifest."""
    return {
        "paths": 1,
        f"paths: {path.problem.family}": 1,
        "steps": len(path.steps),
        "backtracks": sum(step.decision == "backtrack" for step in path.steps),
        "truncated": int(path.truncated),
    }


def num_tokens(path: SearchPath) -> int:
    """About how many tokens the path has: words, numbers and signs, and 11 a step."""
    texts = [*(message.content for message in path.problem.messages), path.answer]
    for step in path.steps:
        texts += [getattr(step.texts, name) for name in step.texts.__slots__]
    words = sum(len(_ABOUT_A_TOKEN.findall(text)) for text in texts)
    return words + 11 * len(path.steps)


def _manifest(recipe: Recipe, counts: Counter[str], cost: float) -> dict[str, object]:
    teacher = {"teacher_cost": round(cost, 6)} if cost else {}
    return teacher | {
        "seed": recipe.seed,
        "recipe": recipe.name,
        "digest": recipe.digest("seed", "language", "problems", "synth", "questions", "teacher"),
        "versions": {name: version(name) for name in ("steiner", "pyarrow")},
        "counts": dict(sorted(counts.items())),
    }
