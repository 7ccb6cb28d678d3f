"""Makes the DAGs and paths of own questions with a teacher.

Questions -> blocks of DAGs and SearchPaths

For each question: (1) solutions toward the known answer, from the data or from the teacher;
(2) some are cut, and the teacher continues without the answer; (3) where that goes wrong, more
continuations from the first new step decide whether it is a dead end: each of them must end in a
wrong answer; (4) with the answer shown again, the teacher says what is wrong and writes the steps
that belong there. A reply that breaks off is no evidence, neither for a step nor against it.

All requests of a block of questions go out together, round by round. For a batch command, all
questions are one block. Without a teacher, worked solutions in the data give DAGs without wrong
turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

from steiner.dags.path_sampling import sample_paths
from steiner.dags.store import dag_table, path_table
from steiner.dags.synthesis import TOO_LONG, Made, dag_counts, num_tokens, path_counts, walk_of
from steiner.progress import plural, progress, say
from steiner.questions.reading import Question
from steiner.questions.task import OwnQuestions, problem_of
from steiner.randomness import random_stream
from steiner.recipe import Recipe, TeacherRecipe
from steiner.tasks import Grade, grade, task
from steiner.teacher.batch import BatchTeacher
from steiner.teacher.building import START, UNEXPLAINED, DagBuilder
from steiner.teacher.cache import CachedTeacher
from steiner.teacher.endpoint import EndpointTeacher
from steiner.teacher.local import LocalTeacher
from steiner.teacher.ray_cluster import RayTeacher
from steiner.teacher.requests import Reply, Teacher, TeacherRequest
from steiner.teacher.steps import (
    Solution,
    continuing_messages,
    correcting_messages,
    fault_of,
    numbers_in,
    parse_correction,
    parse_reply,
    solving_messages,
    worked_solution,
)
from steiner.types import Message, Problem, ReasoningDag, Split, Status, StepTexts

BLOCK = 64
"""Questions whose requests go out together."""

NOT_IN_FORM = "replies not in the form"
PATTERNS = "questions whose answer is a pattern, which no path can end with"

Ask = Callable[[Sequence[TeacherRequest]], list[Reply]]


@dataclass(slots=True)
class _WrongTurn:
    """Steps that the teacher wrote without the answer, from a node of the DAG on."""

    explored: Explored
    prefix: tuple[StepTexts, ...]
    node: int
    steps: tuple[StepTexts, ...]


@dataclass(slots=True)
class Explored:
    """One question and what is known of its DAG."""

    problem: Problem
    question: Question
    solutions: list[Solution] = field(default_factory=list)
    builder: DagBuilder = field(init=False)

    def __post_init__(self) -> None:
        self.builder = DagBuilder(self.problem)


def cache_file(run_dir: Path) -> Path:
    """The file of all replies of a run's teacher."""
    return run_dir / "teacher" / "replies.sqlite"


def teacher_of(settings: TeacherRecipe, run_dir: Path) -> Teacher:
    """The teacher that the recipe names. Raises UserError if it names none."""
    if settings.batch_command:
        return BatchTeacher(settings, cache_file(run_dir).parent / "batch")
    return RayTeacher(settings, _on_this_machine) if settings.ray else _on_this_machine(settings)


def _on_this_machine(settings: TeacherRecipe) -> Teacher:
    return EndpointTeacher(settings) if settings.url else LocalTeacher(settings)


def teacher_blocks(recipe: Recipe, run_dir: Path) -> Iterator[Made]:
    """The DAGs and paths of the recipe's own questions in the training split, block by block.

    Raises UserError if a question file or teacher cannot be used.
    """
    if not recipe.questions.source:
        return
    chosen = training_questions(recipe)
    if num_patterns := len(_in_training(recipe)) - len(chosen):
        yield Made(dag_table([]), path_table([]), Counter({PATTERNS: num_patterns}))
    settings = recipe.teacher
    if not _has_teacher(settings):
        say("synth      no teacher is named: paths without wrong turns, from worked solutions")
        for start in range(0, len(chosen), BLOCK):
            yield _made(recipe, explore(chosen[start : start + BLOCK], settings, None))
        return
    expected = len(chosen) * requests_per_question(settings)
    with (
        CachedTeacher(teacher_of(settings, run_dir), settings, cache_file(run_dir)) as teacher,
        progress("teacher", expected, "reply") as advance,
    ):
        size = len(chosen) if settings.batch_command else BLOCK  # a run of the command for a round
        for start in range(0, len(chosen), max(1, size)):
            found, unused = _explore_block(chosen[start : start + size], settings, teacher, advance)
            advance(unused)
            yield _made(recipe, found)
        ledger = teacher.ledger
    yield Made(dag_table([]), path_table([]), ledger.counts(), ledger.price)
    say(f"teacher    {ledger.line()}")
    if ledger.failed:
        failed = plural(ledger.failed, "request")
        say(f"teacher    {failed} failed; --force asks only these again")


def _explore_block(
    block: Sequence[tuple[Problem, Question]],
    settings: TeacherRecipe,
    teacher: CachedTeacher,
    advance: Callable[[int], None],
) -> tuple[list[Explored], int]:
    """The questions' DAGs, and how many requests were not needed."""
    left = len(block) * requests_per_question(settings)

    def count(replies: int) -> None:
        nonlocal left
        left -= replies
        advance(replies)

    found = explore(block, settings, lambda requests: teacher.ask(requests, count))
    return found, left


def training_questions(recipe: Recipe) -> list[tuple[Problem, Question]]:
    """The questions of the training split whose answers are texts to learn, and no patterns."""
    pairs = _in_training(recipe)
    if recipe.questions.grader != "regex":
        return pairs
    return [
        (problem, question) for problem, question in pairs if _is_right(problem, question.answer)
    ]


def _in_training(recipe: Recipe) -> list[tuple[Problem, Question]]:
    """The questions of the training split as problems; they are registered as a task already."""
    name = recipe.questions.name
    generator = task(name).generator
    assert isinstance(generator, OwnQuestions)
    pairs = [(problem_of(question, name), question) for question in generator.questions]
    return [pair for pair in pairs if pair[0].split is Split.TRAIN]


def requests_per_question(settings: TeacherRecipe) -> int:
    """Most requests for one question."""
    return settings.solutions + settings.wrong_turns * (2 + settings.continuations)


def explore(
    questions: Sequence[tuple[Problem, Question]], settings: TeacherRecipe, ask: Ask | None
) -> list[Explored]:
    """The four rounds for some questions; without `ask`, only the worked solutions."""
    explored = [Explored(problem, question) for problem, question in questions]
    _solve(explored, settings, ask)
    if ask is not None:
        turns = _turn_wrong(explored, settings, ask)
        dead = _decide(turns, settings, ask)
        _correct(dead, settings, ask)
    return explored


def _solve(explored: Sequence[Explored], settings: TeacherRecipe, ask: Ask | None) -> None:
    """Round 1: solutions toward the known answer; the teacher writes those that the data lack."""
    for one in explored:
        if one.question.rationale:
            solution = worked_solution(one.question.rationale, one.question.answer)
            _add_solution(one, solution, "worked solutions that cannot be read")
    if ask is None:
        return
    requests, owners = [], []
    for one in explored:
        messages = solving_messages(one.question.text, one.question.answer)
        for sample in range(settings.solutions - len(one.solutions)):
            requests.append(_request(messages, settings, sample))
            owners.append(one)
    _announce(1, requests, owners, settings)
    for one, reply in zip(owners, ask(requests), strict=True):
        if reply.error:
            one.builder.counts[_failure(reply)] += 1
            continue
        solution = parse_reply(reply.text)
        reason = _fault(one.problem, reply, solution)
        _add_solution(one, Solution(()) if reason else solution, reason)


def _fault(problem: Problem, reply: Reply, solution: Solution) -> str:
    """Why a reply is no solution of the problem; an empty string if it is one."""
    if reason := _unfinished(reply, solution):
        return reason
    if not solution.steps:
        return NOT_IN_FORM
    if not _is_right(problem, solution.answer):
        return "replies with another answer"
    return fault_of(solution)


def _unfinished(reply: Reply, solution: Solution) -> str:
    """Why a reply has no answer that could be right or wrong; an empty string if it has one."""
    if reply.cut and reply.text.rstrip().endswith(solution.answer):  # within or before the answer
        return "replies cut at teacher.max_tokens"
    if not solution.answer:
        return "replies that end without an answer" if solution.steps else NOT_IN_FORM
    return ""


def _add_solution(one: Explored, solution: Solution, reason: str) -> None:
    if not solution.steps:
        one.builder.counts[reason] += 1
        return
    one.builder.add_chain(solution.steps, START, is_right=True)
    one.solutions.append(solution)


def _turn_wrong(
    explored: Sequence[Explored], settings: TeacherRecipe, ask: Ask
) -> list[_WrongTurn]:
    """Round 2: solutions are cut and continued without the answer; those that go wrong."""
    requests, cuts = [], []
    for one in explored:
        rng = random_stream("wrong turns", one.problem.key)
        for sample in range(settings.wrong_turns if one.solutions else 0):
            solution = rng.choice(one.solutions)
            prefix = solution.steps[: rng.randrange(len(solution.steps))]
            messages = continuing_messages(one.question.text, prefix)
            requests.append(_request(messages, settings, sample))
            cuts.append((one, prefix))
    _announce(2, requests, [one for one, _ in cuts], settings)
    turns = []
    for (one, prefix), reply in zip(cuts, ask(requests), strict=True):
        turn = _wrong_turn(one, prefix, reply, settings)
        if turn is not None:
            turns.append(turn)
    return turns


def _failure(reply: Reply) -> str:
    """The name of the count of requests that failed for this reason."""
    return f"failed requests: {reply.error}"


def _wrong_turn(
    one: Explored, prefix: tuple[StepTexts, ...], reply: Reply, settings: TeacherRecipe
) -> _WrongTurn | None:
    counts, builder = one.builder.counts, one.builder
    if reply.error:
        counts[_failure(reply)] += 1
        return None
    found = parse_reply(reply.text)
    unfinished = _unfinished(reply, found)
    if not found.steps:
        counts[unfinished or NOT_IN_FORM] += 1
        return None
    if unfinished:
        counts[unfinished] += 1
    node = builder.add_chain(prefix, START, is_right=False)[-1] if prefix else START
    is_right = not unfinished and _is_right(one.problem, found.answer)
    builder.add_evidence(node, [] if unfinished else [is_right])
    if is_right:
        builder.add_chain(found.steps, node, is_right=True)
        return None
    num_known = builder.known_steps(found.steps, node)
    wrong = found.steps[num_known : num_known + settings.max_wrong_steps]
    if not wrong:
        counts["wrong answers after known steps"] += not unfinished
        return None
    known = found.steps[:num_known]
    node = (builder.add_chain(known, node, is_right=False) or [node])[-1]
    if node in builder.goals:
        counts["wrong answers after known steps"] += 1
        return None
    return _WrongTurn(one, (*prefix, *known), node, wrong)


def _decide(
    turns: Sequence[_WrongTurn], settings: TeacherRecipe, ask: Ask
) -> list[tuple[_WrongTurn, int]]:
    """Round 3: continuations from the first step of each wrong turn. The turns none of whose
    continuations is right, with their last node."""
    requests = [
        _request(
            continuing_messages(turn.explored.question.text, (*turn.prefix, turn.steps[0])),
            settings,
            place * settings.continuations + sample,  # turns may begin with the same step
        )
        for place, turn in _numbered(turns)
        for sample in range(settings.continuations)
    ]
    _announce(3, requests, [turn.explored for turn in turns], settings)
    replies = iter(ask(requests))
    dead = []
    for turn in turns:
        one, builder = turn.explored, turn.explored.builder
        found = [next(replies) for _ in range(settings.continuations)]
        answered = _answered(found, builder.counts)
        grades = [_is_right(one.problem, solution.answer) for solution in answered]
        right = list(compress(answered, grades))
        if not right and len(answered) < settings.continuations:
            builder.counts["wrong turns without evidence"] += 1
            continue
        reached = builder.add_chain(turn.steps[:1], turn.node, is_right=False)
        if not reached:  # another continuation has ended at the node from which this one goes wrong
            builder.counts["steps of wrong turns after the answer"] += 1
            continue
        builder.add_evidence(reached[0], grades)
        if right:
            builder.counts["detours"] += 1
            for solution in right:  # of no steps, if the first one gives the answer
                chain = (turn.steps[0], *solution.steps)
                builder.add_chain(chain, turn.node, is_right=True)
            continue
        builder.counts["dead ends"] += 1
        rest = builder.add_chain(turn.steps[1:], reached[0], is_right=False)
        dead.append((turn, (rest or reached)[-1]))
    return dead


def _answered(replies: Sequence[Reply], counts: Counter[str]) -> list[Solution]:
    """The continuations that reached an answer; the others are counted."""
    answered = []
    for reply in replies:
        solution = parse_reply(reply.text)
        reason = _failure(reply) if reply.error else _unfinished(reply, solution)
        counts.update([reason] if reason else [])
        answered += [] if reason else [solution]
    return answered


def _numbered(turns: Sequence[_WrongTurn]) -> Iterator[tuple[int, _WrongTurn]]:
    """The turns, numbered from 0 within their question."""
    seen: Counter[str] = Counter()
    for turn in turns:
        key = turn.explored.problem.key
        yield seen[key], turn
        seen[key] += 1


def _correct(dead: Sequence[tuple[_WrongTurn, int]], settings: TeacherRecipe, ask: Ask) -> None:
    """Round 4: the answer is shown again. The teacher says what is wrong, and writes the steps that
    belong in the place of the wrong ones."""
    requests = [
        _request(
            correcting_messages(
                turn.explored.question.text,
                turn.explored.question.answer,
                turn.prefix,
                turn.steps,
            ),
            settings,
            sample,
        )
        for sample, turn in _numbered([turn for turn, _ in dead])
    ]
    _announce(4, requests, [turn.explored for turn, _ in dead], settings)
    for (turn, node), reply in zip(dead, ask(requests), strict=True):
        one, builder = turn.explored, turn.explored.builder
        if reply.error:
            builder.counts[_failure(reply)] += 1
        sentence, way_back = parse_correction(reply.text)
        if not sentence or one.question.answer.casefold() in sentence.casefold():
            builder.counts["corrections without a reason"] += 1
            sentence = UNEXPLAINED
        builder.add_correction(node, sentence)
        is_right = not reply.error and not _fault(one.problem, reply, way_back)
        if not is_right or not builder.is_live(turn.node):
            builder.counts["corrections without a way back"] += 1
        elif builder.meets_dead_end(way_back.steps, turn.node):
            builder.counts["ways back through a dead end"] += 1
        else:
            builder.counts["ways back"] += 1
            builder.add_chain(way_back.steps, turn.node, is_right=True)


def _announce(
    number: int,
    requests: Sequence[TeacherRequest],
    owners: Sequence[Explored],
    settings: TeacherRecipe,
) -> None:
    """Shows the round if a command answers it as a whole: the bar may stand still until it ends."""
    if settings.batch_command and requests:
        num_questions = len({one.problem.key for one in owners})
        about = f"{plural(len(requests), 'request')} about {plural(num_questions, 'question')}"
        say(f"teacher    round {number} of 4: {about}")


def _is_right(problem: Problem, answer: str) -> bool:
    """True if the grader accepts a teacher's answer, or its only number: teachers add units. The
    answer that a path ends with is always the known one."""
    numbers = numbers_in(answer)
    return any(
        grade(problem, text) is Grade.RIGHT
        for text in (answer, *(numbers if len(numbers) == 1 else ()))
    )


def _request(messages: tuple[Message, ...], settings: TeacherRecipe, sample: int) -> TeacherRequest:
    return TeacherRequest(messages, settings.temperature, settings.max_tokens, sample)


def _has_teacher(settings: TeacherRecipe) -> bool:
    return bool(settings.url or settings.model or settings.batch_command)


def dag_of(one: Explored) -> ReasoningDag | None:
    """The question's DAG; None if no solution was found."""
    dag = one.builder.build()
    return dag if dag.nodes[0].status is Status.LIVE else None


def _made(recipe: Recipe, explored: Sequence[Explored]) -> Made:
    """The DAGs of a block and the paths through them, with all counts."""
    counts: Counter[str] = Counter()
    dags, paths = [], []
    walk = walk_of(recipe.synth, recipe.questions.name)
    for one in explored:
        counts.update({f"teacher: {name}": n for name, n in one.builder.counts.items()})
        counts["questions"] += 1
        dag = dag_of(one)
        if dag is None:
            counts["dropped: questions without a solution"] += 1
            continue
        rng = random_stream("own paths", recipe.seed, one.problem.key)
        asked = [one.problem] * recipe.questions.paths_per_question
        drawn = list(sample_paths(dag, asked, walk, rng))
        found = [path for path in drawn if num_tokens(path) <= recipe.synth.max_tokens]
        counts[TOO_LONG] += len(drawn) - len(found)
        dags.append(dag)
        paths += found
        counts.update(dag_counts(dag))
        counts["dead nodes"] += sum(node.status is Status.DEAD for node in dag.nodes)
        for path in found:
            counts.update(path_counts(path))
    return Made(dag_table(dags), path_table(paths), counts)
