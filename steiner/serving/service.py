"""A model behind an API: what is asked is checked, bounded in number and time, and passed to it.

Ask -> Completion, which tells what comes of it

The event loop has a tokenizer of its own: the engine's thread uses the other one, and a tokenizer
is not safe in two threads.
"""

from __future__ import annotations

import copy
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jinja2 import TemplateError

from steiner.format.tokenizer import Vocabulary
from steiner.inference.answer import recognise_question
from steiner.inference.budget import Budget, shortest_completion
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.questions import as_messages, samplings, step_limit
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling, own_sampling
from steiner.serving.completion import Completion
from steiner.serving.engine_thread import Worker
from steiner.serving.errors import InvalidRequest, Overloaded, Unavailable, UnknownModel
from steiner.serving.metrics import Metrics
from steiner.serving.settings import Settings
from steiner.types import Message, Problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_GREEDY = Sampling()
_SMALL = 30_000_000
"""Parameters."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client asks for, in whichever API."""

    model: str
    messages: Sequence[Message]
    live: bool
    """Whether the tokens are read as they come."""
    num_choices: int = 1
    effort: str | None = None
    min_steps: int | None = None
    max_steps: int | None = None
    max_tokens: int | None = None
    """An upper bound; the room in the model's context is another."""
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None


class Service:
    """One model and its queue; lives in one event loop, between `start` and `stop`."""

    def __init__(
        self,
        engine: Engine,
        vocabulary: Vocabulary,
        settings: Settings,
        own: Sampling = _GREEDY,
    ) -> None:
        self.settings, self.max_length = settings, engine.max_length
        self._own_sampling = own
        self.vocabulary = Vocabulary(copy.deepcopy(vocabulary.tokenizer))
        self.closing = False
        """Whether new requests are refused since the server is to stop."""
        self.created_s = int(time.time())
        self._worker = Worker(engine)
        self.metrics = Metrics(lambda: self.num_jobs, settings.max_batch)
        # Not from the system: each call of it would wait for the engine's thread.
        self._random = random.Random()
        self._longest_token = max(map(len, self.vocabulary.tokenizer.get_vocab()))
        self._recognise([Message("user", "")])  # imports the tasks before the first question

    @classmethod
    def load(cls, source: str, settings: Settings) -> Service:
        """The model in a folder, or of that name on the hub. Raises UserError where it cannot."""
        model, vocabulary = load_reasoning_model(source, None)
        _leave_a_core(model)
        most = int(getattr(model.config, "max_position_embeddings", 2048))
        max_length = min(settings.max_length or most, most)
        engine = Engine(model, vocabulary, max_batch=settings.max_batch, max_length=max_length)
        return cls(engine, vocabulary, settings, own_sampling(model))

    def start(self) -> None:
        """Starts the engine's thread."""
        self._worker.start()

    async def stop(self) -> None:
        """Ends the engine's thread."""
        await self._worker.stop()

    def close(self) -> None:
        """Refuses new requests; those that run or wait go on."""
        self.closing = True

    @property
    def num_jobs(self) -> int:
        """Completions that run or wait."""
        return self._worker.num_jobs

    @property
    def idle(self) -> bool:
        """Whether there are none."""
        return self.num_jobs == 0

    def check_alive(self) -> None:
        """Raises Unavailable where the engine has stopped by itself."""
        if self._worker.ended:
            raise Unavailable("the engine has stopped; the server must be restarted")

    def check_open(self) -> None:
        """Raises Unavailable where no request can be taken."""
        self.check_alive()
        if self.closing:
            raise Unavailable("the server is about to stop", code="closing")

    def check_model(self, name: str) -> None:
        """Raises UnknownModel where this is not the name of the model."""
        if name != self.settings.name:
            known = self.settings.name
            raise UnknownModel(f"no model '{name}' here; ask for '{known}'", "model")

    def complete(self, ask: Ask) -> Completion:
        """Queues what is asked for. Raises an ApiError or UserError where that cannot be."""
        self.check_open()
        self.check_model(ask.model)
        messages = as_messages(ask.messages)
        prompt = self._encode(messages)
        steps = step_limit(ask.effort, ask.max_steps)
        budget = Budget(ask.min_steps or 0, steps, self._token_limit(len(prompt), ask.max_tokens))
        requests = [Request(prompt, budget, sampling) for sampling in self._samplings(ask)]
        self._check_room(len(requests))
        id = f"{self._random.getrandbits(96):024x}"
        completion = Completion(id, self._recognise(messages), self.metrics)
        completion.begin(self._worker, requests, self.settings.time_limit_s, live=ask.live)
        return completion

    def _encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The prompt's ids; refuses what is too long before it costs any time."""
        num_characters = sum(len(message.content) for message in messages)
        if num_characters > self.max_length * self._longest_token:
            raise self._too_long(f"{num_characters} characters")
        try:
            prompt = tuple(self.vocabulary.encode_prompt(messages))
        except TemplateError as error:
            reason = f"the model's chat template refuses this dialogue: {error}"
            raise InvalidRequest(reason, "messages") from error
        if len(prompt) + shortest_completion() > self.max_length:
            raise self._too_long(f"{len(prompt)} tokens")
        return prompt

    def _too_long(self, length: str) -> InvalidRequest:
        message = f"the dialogue has {length}, and the model holds {self.max_length} tokens"
        return InvalidRequest(message, "messages", code="context_length_exceeded")

    def _token_limit(self, num_prompt: int, max_tokens: int | None) -> int:
        room = self.max_length - num_prompt
        return room if max_tokens is None else min(room, max_tokens)

    def _samplings(self, ask: Ask) -> list[Sampling]:
        """How each choice is drawn; where not told, as the model asks for; without a seed,
        differently every time."""
        if ask.temperature == 0:
            return [Sampling()] * ask.num_choices
        seed = self._random.getrandbits(63) if ask.seed is None else ask.seed
        drawn = samplings(ask.num_choices, ask.temperature, seed, self._own_sampling)
        return drawn if ask.top_p is None else [replace(one, top_p=ask.top_p) for one in drawn]

    def _recognise(self, messages: Sequence[Message]) -> Problem | None:
        """The problem that is asked, to read the steps' depths by; None if it is not known."""
        return recognise_question(messages, self.settings.language)

    def _check_room(self, num_choices: int) -> None:
        most = self.settings.max_batch + self.settings.max_waiting
        if num_choices > most:
            raise InvalidRequest(f"n is {num_choices}, and the queue holds {most}", "n")
        if self.num_jobs + num_choices > most:
            raise Overloaded(f"{self.num_jobs} completions run or wait already")


def _leave_a_core(model: PreTrainedModel) -> None:
    """Leaves one to the event loop, where a step of a model on the CPU is short: threads that share
    a core with it keep each other waiting at every product (docs/log.md)."""
    small = sum(weight.numel() for weight in model.parameters()) <= _SMALL
    if small and model.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() - 1))
