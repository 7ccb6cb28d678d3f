"""Tracing: a model's steps mapped onto the problem's ReasoningDag by the states that they claim.

(ReasoningDag, Steps) -> Trace

Each step is read back by the family that words it. A step of depth d starts from the state of
the branch at depth d - 1, so the text alone is enough to follow the walk through every backtrack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from steiner.tasks import Move, StepReading, task
from steiner.tasks.no_answer import is_reading
from steiner.tasks.protocols import QuestionReader
from steiner.types import Decision, Problem, ReasoningDag, Status, Step, StepTexts, Verdict


@dataclass(frozen=True, slots=True)
class TracedStep:
    """A step's effect on the DAG.

    legal: a legal move from the state at its depth, at a depth that the previous decision allows.

    sound: legal, and everything it states is true: its start state, its understanding, its summary
    and the facts in its verification.

    node: index of the node it reached; None unless it is legal and its summary is right.

    parent: index of the node it started from; None if that is not in the DAG.

    repeated: it reached a node that the walk had visited.

    verdict_true: the verification agrees with the visible status of the state reached.

    starts: (depth, node) of each place where a step could start here; empty outside the DAG.
    """

    depth: int | None
    parent: int | None
    node: int | None
    status: Status | None
    legal: bool
    sound: bool
    repeated: bool
    verdict: Verdict | None
    verdict_true: bool
    decision: Decision
    starts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A model's walk through the DAG."""

    steps: tuple[TracedStep, ...]


def restates(texts: StepTexts, problem: Problem) -> bool:
    """True if the understanding of the first step states the problem.

    Letter case does not matter, nor how it quotes the question.
    """
    reader = task(problem.family).require_reader()
    expected = reader.reading(problem).understanding
    line = texts.understanding.strip()
    if line.casefold() == expected.casefold():
        return True
    return _stated(reader, line, problem) == _stated(reader, expected, problem)


def _stated(reader: QuestionReader, line: str, problem: Problem) -> str:
    """The canonical line of what `line` states, without quotes; an unreadable line itself."""
    spec = reader.read_question(line, problem.language)
    if spec is not None:
        line = reader.reading(replace(problem, spec=spec)).understanding
    return line.casefold()


def trace(dag: ReasoningDag, steps: Sequence[Step]) -> Trace:
    """Maps each step to the DAG."""
    return Tracer(dag).trace(steps)


class Tracer:
    """Maps many walks onto one DAG: its tables are made once."""

    def __init__(self, dag: ReasoningDag) -> None:
        self.dag = dag
        known = task(dag.problem.family)
        self.state_space = known.require_state_space()
        self.reader = known.require_reader()
        self.step_writer = known.require_step_writer()
        self.step_reader = known.require_step_reader()
        self.node_of = {node.state: index for index, node in enumerate(dag.nodes)}

    def trace(self, steps: Sequence[Step]) -> Trace:
        """Maps each step onto the DAG."""
        branch: list[int | None] = [0]
        visited = {0}
        traced: list[TracedStep] = []
        decision: Decision | None = None
        if steps:
            traced.append(self._reading(steps[0]))
            decision = steps[0].decision
        for step in steps[1:]:
            reading = self.step_reader.read_step(self.dag.problem, step.texts)
            found = self._follow(branch, visited, reading, step, decision)
            traced.append(found)
            if found.depth is not None and 1 <= found.depth <= len(branch):
                del branch[found.depth :]
            branch.append(found.node)
            if found.node is not None:
                visited.add(found.node)
            decision = step.decision
        return Trace(tuple(traced))

    def _reading(self, step: Step) -> TracedStep:
        """The first step: it restates the question and reaches the start."""
        problem = self.dag.problem
        expected = self.reader.reading(problem)
        is_right = restates(step.texts, problem)
        return TracedStep(
            depth=0,
            parent=0,
            node=0,
            status=self.dag.nodes[0].status,
            legal=is_reading(step.texts, problem.language),
            sound=is_right and step.texts.summary.strip() == expected.summary,
            repeated=False,
            verdict=self._verdict(0) if is_right else None,
            verdict_true=step.texts.verification.strip() == expected.verification,
            decision=step.decision,
        )

    def right_steps(self, step: TracedStep) -> Iterator[StepTexts]:
        """Texts of all legal and true steps that could have been taken in place of `step`."""
        if step.depth == 0:
            yield self.reader.reading(self.dag.problem)
        spec = self.dag.problem.spec
        for depth, node in step.starts:
            before = self.dag.nodes[node].state
            for move in self.state_space.moves(spec, before):
                yield self.step_writer.step_texts(self.dag.problem, depth, before, move)

    def _follow(
        self,
        branch: Sequence[int | None],
        visited: set[int],
        reading: StepReading,
        step: Step,
        before: Decision | None,
    ) -> TracedStep:
        depths = _allowed_depths(branch, before)
        in_turn = reading.depth is not None and reading.depth in depths
        parent = branch[reading.depth - 1] if in_turn and reading.depth else None
        move = self._move(parent, reading)
        right = move is not None and reading.after == move.state
        node = self.node_of[move.state] if move is not None and right else None
        verdict_true = node is not None and reading.verdict is self._verdict(node)
        return TracedStep(
            depth=reading.depth,
            parent=parent,
            node=node,
            status=None if node is None else self.dag.nodes[node].status,
            legal=move is not None,
            sound=right and reading.sound and self._knows(parent, reading),
            repeated=node in visited,
            verdict=reading.verdict,
            verdict_true=verdict_true,
            decision=step.decision,
            starts=tuple(
                (depth, start) for depth in depths if (start := branch[depth - 1]) is not None
            ),
        )

    def _move(self, parent: int | None, reading: StepReading) -> Move | None:
        if parent is None or reading.action is None:
            return None
        moves = self.state_space.moves(self.dag.problem.spec, self.dag.nodes[parent].state)
        return next((move for move in moves if move.action == reading.action), None)

    def _knows(self, parent: int | None, reading: StepReading) -> bool:
        """True if the step names the state that it starts from."""
        return parent is not None and reading.before == self.dag.nodes[parent].state

    def _verdict(self, node: int) -> Verdict:
        return self.state_space.verdict(self.dag.problem.spec, self.dag.nodes[node].state)


def _allowed_depths(branch: Sequence[int | None], before: Decision | None) -> range:
    """Depths that a step may have after the decision `before`: one deeper, or any higher up."""
    if before is Decision.BACKTRACK:
        return range(1, len(branch))
    return range(len(branch), len(branch) + 1)
