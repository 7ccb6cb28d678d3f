"""A reasoning model to use from Python.

question or messages -> Answer, or a stream of Events that ends with it

    from steiner import Reasoner
    reasoner = Reasoner.load("runs/tiny/rl")
    print(reasoner.solve("Make 24 from 3, 5, 7, 9.", effort="high").text)

Closing a stream cancels it and frees its place in the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from steiner.format.tokenizer import Vocabulary
from steiner.inference.answer import (
    Answer,
    Finished,
    ReasoningEvent,
    build_answer,
    recognise_question,
)
from steiner.inference.budget import Budget, shortest_completion
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling, own_sampling
from steiner.inference.step_events import SampleFinished, StepEventParser
from steiner.randomness import random_stream
from steiner.types import Message, Problem, Rollout, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EFFORT_STEPS: Mapping[str, int] = {"low": 4, "medium": 12, "high": 32}
"""Effort -> max_steps."""
SAMPLES_TEMPERATURE = 0.7
"""Temperature of several samples if neither the caller nor the model sets one."""

_GREEDY = Sampling()
_MAX_TOKENS = 8192
_MAX_BATCH = 64

Question = str | Sequence[Message | Mapping[str, str]]
"""One turn, or a dialogue whose last turn is the user's."""
Recognise = Callable[[Sequence[Message], str], Problem | None]
"""(messages, language) -> the problem that the last turn states, or None."""


@dataclass(frozen=True, slots=True)
class PreparedQuestion:
    """A question that has been checked and encoded, with one request for each sample."""

    requests: tuple[Request, ...]
    problem: Problem | None
    """The problem that the question states, if it is known."""


class Reasoner:
    """A loaded model that answers questions, one at a time; not thread-safe."""

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        *,
        language: str = "en",
        recognise: Recognise | None = recognise_question,
    ) -> None:
        self.vocabulary, self.language = vocabulary, language
        self._recognise = recognise
        self._model = model
        self._engine: Engine | None = None
        self.max_length = int(getattr(model.config, "max_position_embeddings", 2048))
        """Most tokens of a dialogue and its answer together."""

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        language: str = "en",
        recognise: Recognise | None = recognise_question,
        dtype: torch.dtype | None = None,
    ) -> Reasoner:
        """Loads a model folder, or `owner/name` from the Hugging Face Hub.

        Any causal language model works whose tokenizer has the 14 reasoning tokens. It needs no
        recipe and no tasks: `recognise` finds the problem that a question states, so that steps can
        be placed by their words and answers be graded; None turns that off. `dtype` defaults to
        float32 on a CPU and bfloat16 on an accelerator. Raises UserError if the model cannot be
        read or lacks the tokens.
        """
        model, vocabulary = load_reasoning_model(source, dtype)
        return cls(model, vocabulary, language=language, recognise=recognise)

    def solve(
        self,
        question: Question,
        *,
        min_steps: int = 0,
        max_steps: int | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        samples: int = 1,
        temperature: float | None = None,
        seed: int = 0,
        problem: Problem | None = None,
    ) -> Answer:
        """Answers a question, or the last turn of a dialogue.

        Args:
            question: A text, or messages that end with a user's turn.
            min_steps: Fewest reasoning steps.
            max_steps: Most reasoning steps; wins over `effort`.
            max_tokens: Tokens of the whole completion; the room in the context by default.
            effort: A step limit by name: low, medium or high.
            samples: Number of samples; the majority's answer is returned.
            temperature: The model's own (generation_config.json) by default. Without that it is 0
                for one sample, and 0.7 for several.
            seed: Decides everything random.
            problem: The problem that the question states, if the caller knows it: its task grades
                the answer. By default it is recognised from the text.

        Raises UserError for a question or a limit that cannot be used.
        """
        events = self.stream(
            question,
            min_steps=min_steps,
            max_steps=max_steps,
            max_tokens=max_tokens,
            effort=effort,
            samples=samples,
            temperature=temperature,
            seed=seed,
            problem=problem,
        )
        return next(event.answer for event in events if isinstance(event, Finished))

    def stream(
        self,
        question: Question,
        *,
        min_steps: int = 0,
        max_steps: int | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        samples: int = 1,
        temperature: float | None = None,
        seed: int = 0,
        problem: Problem | None = None,
    ) -> Generator[ReasoningEvent, None, None]:
        """Yields events while the model reasons; the last one is Finished.

        Takes the arguments of `solve`, and checks them before the first event. Closing the
        generator stops the model.
        """
        prepared = self.prepare(
            question,
            min_steps=min_steps,
            max_steps=max_steps,
            max_tokens=max_tokens,
            effort=effort,
            samples=samples,
            temperature=temperature,
            seed=seed,
            problem=problem,
        )
        return self._run(prepared)

    def prepare(
        self,
        question: Question,
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
        """Checks the arguments of `solve` and encodes the question, for `solve_batch`.

        Raises UserError for a question or a limit that cannot be used.
        """
        messages = as_messages(question)
        prompt = tuple(self.vocabulary.encode_prompt(messages))
        budget = Budget(
            min_steps, step_limit(effort, max_steps), self._token_limit(len(prompt), max_tokens)
        )
        drawn = samplings(samples, temperature, seed, own_sampling(self._model))
        requests = tuple(Request(prompt, budget, sampling) for sampling in drawn)
        if problem is None and self._recognise is not None:
            problem = self._recognise(messages, self.language)
        return PreparedQuestion(requests, problem)

    def solve_batch(
        self, questions: Sequence[PreparedQuestion]
    ) -> Generator[tuple[int, Answer], None, None]:
        """Answers many questions at once: yields (index of the question, Answer) as they finish.

        The answers are those that `solve` gives to each question alone. Closing the generator stops
        the model.
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
                        yield index, self._answer(rollouts[index], questions[index].problem)
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
        yield Finished(self._answer(rollouts, question.problem))

    def _answer(self, rollouts: Mapping[int, Rollout], problem: Problem | None) -> Answer:
        """The answer of one question; `rollouts` by ticket, which is the order of the samples."""
        ordered = [rollouts[ticket] for ticket in sorted(rollouts)]
        return build_answer(ordered, problem, self.vocabulary)

    def _engine_for(self, num_requests: int) -> Engine:
        """The engine, with a row per request up to `_MAX_BATCH`; further requests wait."""
        room = min(num_requests, _MAX_BATCH)
        if self._engine is not None and self._engine.num_unfinished:
            raise RuntimeError("another stream of this reasoner is open: close it first")
        if self._engine is None or self._engine.max_batch < room:
            self._engine = Engine(
                self._model, self.vocabulary, max_batch=room, max_length=self.max_length
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
        return min(room, _MAX_TOKENS) if max_tokens is None else max_tokens


def step_limit(effort: str | None, max_steps: int | None) -> int | None:
    """The step limit of an effort and a number. Raises UserError for an unknown effort."""
    if effort is not None and effort not in EFFORT_STEPS:
        near = get_close_matches(effort, EFFORT_STEPS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(EFFORT_STEPS)}"
        raise UserError(f"unknown effort '{effort}'", hint)
    if max_steps is not None or effort is None:
        return max_steps
    return EFFORT_STEPS[effort]


def samplings(
    samples: int, temperature: float | None, seed: int, own: Sampling = _GREEDY
) -> list[Sampling]:
    """The Sampling of each sample, with a random stream of its own.

    The model's `own` sampling holds where no temperature is given. The first of several samples is
    the one that would be drawn alone. Raises UserError if the samples could not differ.
    """
    if not samples >= 1:
        raise UserError(f"samples is {samples}", "give 1 or more")
    if temperature is None:
        temperature = own.temperature or (0.0 if samples == 1 else SAMPLES_TEMPERATURE)
    if samples > 1 and temperature == 0:
        raise UserError(
            f"{samples} samples at temperature 0 would all be the same",
            "give a temperature above 0, or one sample",
        )
    streams = (random_stream("reasoner", "samples", seed, sample) for sample in range(samples))
    drawn = replace(own, temperature=temperature)
    return [replace(drawn, seed=stream.getrandbits(31)) for stream in streams]


def as_messages(question: Question) -> tuple[Message, ...]:
    """The question as a dialogue. Raises UserError if it is not one."""
    if isinstance(question, str):
        question = [Message("user", question)]
    messages = tuple(map(_as_message, question))
    if not messages or messages[-1].role != "user":
        raise UserError("the dialogue does not end with a user's turn", "add the question to it")
    if not messages[-1].content.strip():
        raise UserError("the question is empty", "for example: Make 24 from 3, 5, 7, 9.")
    return messages


def _as_message(turn: Message | Mapping[str, str]) -> Message:
    message = turn if isinstance(turn, Message) else Message(turn["role"], turn["content"])
    if message.role not in ("system", "user", "assistant"):
        raise UserError(f"unknown role '{message.role}'", "one of: system, user, assistant")
    return message
