"""A reasoning model to use from Python.

question or messages -> Answer, or a stream of Events that ends with it

    from steiner import Reasoner
    reasoner = Reasoner.load("runs/tiny/rl")
    print(reasoner.solve("Make 24 from 3, 5, 7, 9.", effort="high").text)

Closing a stream cancels it and frees its place in the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import torch

from steiner.format.tokenizer import Vocabulary
from steiner.inference.answer import (
    Answer,
    Finished,
    ReasoningEvent,
    build_answer,
)
from steiner.inference.budget import Budget, shortest_completion, shortest_reasoning
from steiner.inference.efforts import DEFAULT_MAX_TOKENS, SHORTEST_EFFORT, step_limit
from steiner.inference.engine import MAX_BATCH, Engine
from steiner.inference.model_loading import context_length, load_reasoning_model
from steiner.inference.questions import (
    QuestionInput,
    SolveOptions,
    as_messages,
    samplings,
)
from steiner.inference.request import Request
from steiner.inference.sampling import own_sampling
from steiner.inference.step_events import SampleFinished, StepEventParser
from steiner.recipe import SHIPPED_REASONER
from steiner.types import Message, Problem, Rollout, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class PreparedQuestion:
    """A question that has been checked and encoded, with one request for each sample."""

    requests: tuple[Request, ...]
    problem: Problem | None
    """The problem that the question states, if the caller knows it."""
    messages: tuple[Message, ...] = ()


class Reasoner:
    """A loaded model that answers questions, one at a time; not thread-safe."""

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        *,
        kv_memory: int | None = None,
    ) -> None:
        """`kv_memory` is the most bytes of the KV cache; by default a share of what is free."""
        self.vocabulary = vocabulary
        self._kv_memory = kv_memory
        self._model = model
        self._engine: Engine | None = None
        self.max_length = context_length(model)
        """Most tokens of a dialogue and its answer together."""

    @classmethod
    def load(
        cls,
        source: str | Path = SHIPPED_REASONER,
        *,
        dtype: torch.dtype | None = None,
        kv_memory: int | None = None,
    ) -> Reasoner:
        """Loads a model folder, or `owner/name` from the Hugging Face Hub.

        By default it is the trained model in the package.

        Any causal language model works whose tokenizer has the 14 reasoning tokens; it needs no
        recipe and no tasks. Where the first step restates a problem that a task can read, steps are
        placed by their words and the answer is graded as one to that problem. `dtype` defaults to
        bfloat16 on an accelerator, and on a CPU to the faster format for a model of this size.
        Raises UserError if the model cannot be read or lacks the tokens.
        """
        model, vocabulary = load_reasoning_model(source, dtype)
        return cls(model, vocabulary, kv_memory=kv_memory)

    def solve(self, question: QuestionInput, **options: Unpack[SolveOptions]) -> Answer:
        """Answers a question (a text, or messages that end with a user's turn).

        `options` are the fields of SolveOptions, for example `effort="high"` or `samples=5`. Raises
        UserError for a question or a limit that cannot be used.
        """
        events = self.stream(question, **options)
        return next(event.answer for event in events if isinstance(event, Finished))

    def stream(
        self, question: QuestionInput, **options: Unpack[SolveOptions]
    ) -> Generator[ReasoningEvent, None, None]:
        """Yields events while the model reasons; the last one is Finished.

        Takes the arguments of `solve`, and checks them before the first event. Closing the
        generator stops the model.
        """
        return self._run(self.prepare(question, **options))

    def prepare(
        self,
        question: QuestionInput,
        *,
        min_steps: int = 0,
        max_steps: int | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        samples: int = 1,
        temperature: float | None = None,
        seed: int = 0,
        problem: Problem | None = None,
    ) -> PreparedQuestion:
        """Checks a question and its options (see SolveOptions), and encodes it for `solve_batch`.

        Raises UserError for a question or a limit that cannot be used.
        """
        messages = as_messages(question)
        prompt = tuple(self.vocabulary.encode_prompt(messages))
        budget = Budget(
            min_steps,
            step_limit(effort, max_steps),
            self._token_limit(len(prompt), max_tokens),
            shortest_reasoning() if effort == SHORTEST_EFFORT else None,
        )
        drawn = samplings(samples, temperature, seed, own_sampling(self._model))
        requests = tuple(Request(prompt, budget, sampling) for sampling in drawn)
        return PreparedQuestion(requests, problem, messages)

    def solve_batch(
        self,
        questions: Sequence[PreparedQuestion],
        *,
        on_step: Callable[[], None] | None = None,
    ) -> Generator[tuple[int, Answer], None, None]:
        """Answers many questions at once: yields (index of the question, Answer) as they finish.

        The answers are those that `solve` gives to each question alone. `on_step` is called after
        each decoded token; an error in it, or closing the generator, stops the model.
        """
        if not questions:
            return
        engine = self._engine_for(sum(len(question.requests) for question in questions))
        open_tickets: dict[int, int] = {}
        rollouts: list[dict[int, Rollout]] = [{} for _ in questions]
        try:
            for index, question in enumerate(questions):
                for request in question.requests:
                    open_tickets[engine.submit(request)] = index
            while open_tickets:
                for delta in engine.step():
                    if delta.rollout is None:
                        continue
                    index = open_tickets.pop(delta.ticket)
                    rollouts[index][delta.ticket] = delta.rollout
                    if len(rollouts[index]) == len(questions[index].requests):
                        yield index, self._answer(rollouts[index], questions[index])
                if on_step:
                    on_step()
        finally:
            for ticket in open_tickets:
                engine.cancel(ticket)

    def _run(self, question: PreparedQuestion) -> Generator[ReasoningEvent, None, None]:
        requests = question.requests
        engine = self._engine_for(len(requests))
        parsers: dict[int, StepEventParser] = {}
        rollouts: dict[int, Rollout] = {}
        try:
            for sample, request in enumerate(requests):
                parser = StepEventParser(self.vocabulary, sample=sample, problem=question.problem)
                parsers[engine.submit(request)] = parser
            samples = {ticket: sample for sample, ticket in enumerate(parsers)}
            while len(rollouts) < len(requests):
                for event in engine.step():
                    yield from parsers[event.ticket].feed(event.token_ids)
                    if event.rollout is not None:
                        rollouts[event.ticket] = event.rollout
                        yield SampleFinished(samples[event.ticket], event.rollout)
        finally:
            for ticket in parsers.keys() - rollouts.keys():
                engine.cancel(ticket)
        yield Finished(self._answer(rollouts, question))

    def _answer(self, rollouts: Mapping[int, Rollout], question: PreparedQuestion) -> Answer:
        """The answer of one question; `rollouts` by ticket, which is the order of the samples."""
        ordered = [rollouts[ticket] for ticket in sorted(rollouts)]
        limit = question.requests[0].budget.max_steps
        return build_answer(
            ordered, question.problem, self.vocabulary, question.messages, max_steps=limit
        )

    def _engine_for(self, num_requests: int) -> Engine:
        """The engine, with a row per request up to MAX_BATCH; further requests wait."""
        room = min(num_requests, MAX_BATCH)
        if self._engine is not None and self._engine.num_unfinished:
            raise RuntimeError("another stream of this reasoner is open: close it first")
        if self._engine is None or self._engine.max_batch < room:
            self._engine = Engine(
                self._model,
                self.vocabulary,
                max_batch=room,
                max_length=self.max_length,
                kv_memory=self._kv_memory,
            )
        return self._engine

    def _token_limit(self, num_prompt: int, max_tokens: int | None) -> int:
        room = self.max_length - num_prompt
        if room < shortest_completion():
            raise UserError(
                f"the dialogue takes {num_prompt} tokens, and the model holds {self.max_length}",
                "shorten the question, or start a new dialogue",
            )
        if max_tokens is not None and max_tokens > room:
            raise UserError(
                f"max_tokens is {max_tokens}, and the model has room for {room} after the question",
                "lower max_tokens, or leave it out to use all the room",
            )
        return min(room, DEFAULT_MAX_TOKENS) if max_tokens is None else max_tokens
