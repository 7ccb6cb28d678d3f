"""A model behind the APIs: checks requests, limits their number and time, and queues them.

CompletionOptions -> Completion

The event loop has its own tokenizer, because the engine's thread uses the other one and a
tokenizer is not safe in two threads.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget, shortest_completion, shortest_reasoning
from steiner.inference.efforts import SHORTEST_EFFORT, step_limit
from steiner.inference.engine import Engine
from steiner.inference.model_loading import context_length, load_reasoning_model
from steiner.inference.questions import as_messages, samplings
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling, own_sampling
from steiner.progress import shown_size
from steiner.serving.completion import Completion
from steiner.serving.completion_options import CompletionOptions
from steiner.serving.engine_thread import EngineThread
from steiner.serving.errors import InvalidRequest, Overloaded, Unavailable, UnknownModel
from steiner.serving.metrics import Metrics
from steiner.serving.settings import Settings
from steiner.tasks import read_problem
from steiner.types import Message, UserError

_GREEDY = Sampling()


class Service:
    """One model and its queue; lives in one event loop, between `start` and `stop`."""

    def __init__(
        self,
        engine: Engine,
        vocabulary: Vocabulary,
        settings: Settings,
        own: Sampling = _GREEDY,
        *,
        num_threads: int | None = None,
    ) -> None:
        """`num_threads` is how many threads torch computes with in the engine's thread; None
        leaves it as it is."""
        engine.limit_cache()
        self.settings, self.max_length = settings, engine.longest
        if self.max_length <= shortest_completion():
            held = f"a KV cache of {shown_size(engine.kv_limit)} holds {self.max_length} tokens"
            raise UserError(f"{held} of this model", "raise --kv-memory")
        self.cache_limit = f"KV cache: at most {shown_size(engine.kv_limit)}"
        """The memory limit of the engine, as text for users."""
        self._holder = "the model"
        if self.max_length < engine.max_length:
            self._holder = "the server's KV cache"
            self.cache_limit += f", which holds a dialogue of {self.max_length} tokens"
        self._own_sampling = own
        self.vocabulary = Vocabulary(copy.deepcopy(vocabulary.tokenizer))
        self.closing = False
        """Whether new requests are refused because the server is stopping."""
        self.created_s = int(time.time())
        self._engine_thread = EngineThread(engine, num_threads)
        self.metrics = Metrics(lambda: self.num_jobs, engine)
        # Not from the system: each call would wait for the engine's thread.
        self._random = random.Random()
        self._longest_token = max(map(len, self.vocabulary.tokenizer.get_vocab()))
        read_problem("")  # imports the tasks before the first question

    @classmethod
    def load(cls, source: str, settings: Settings) -> Service:
        """Loads a model folder or `owner/name` from the hub. Raises UserError if it cannot.

        Then this thread computes on one core: OpenMP gives helpers to each thread that computes on
        several, and once there are more of them than cores, all sleep at the end of each operation.
        """
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        model, vocabulary = load_reasoning_model(source, None)
        model_length = context_length(model)
        max_length = min(settings.max_length or model_length, model_length)
        engine = Engine(
            model,
            vocabulary,
            max_batch=settings.max_batch,
            max_length=max_length,
            kv_memory=settings.kv_memory,
        )
        return cls(engine, vocabulary, settings, own_sampling(model), num_threads=num_threads)

    def start(self) -> None:
        """Starts the engine's thread."""
        self._engine_thread.start()

    async def stop(self) -> None:
        """Ends the engine's thread."""
        await self._engine_thread.stop()

    def close(self) -> None:
        """Refuses new requests; running and waiting ones continue."""
        self.closing = True

    @property
    def model_name(self) -> str:
        """The name of the model in the APIs."""
        return self.settings.name

    @property
    def num_jobs(self) -> int:
        """Choices that run or wait."""
        return self._engine_thread.num_jobs

    @property
    def idle(self) -> bool:
        """True if no choice runs or waits."""
        return self.num_jobs == 0

    @property
    def ended(self) -> bool:
        """True if the engine's thread has ended."""
        return self._engine_thread.ended

    def check_alive(self) -> None:
        """Raises Unavailable if the engine's thread has ended."""
        if self._engine_thread.ended:
            raise Unavailable("the engine has stopped; restart the server")

    def check_open(self) -> None:
        """Raises Unavailable if no request can be accepted."""
        self.check_alive()
        if self.closing:
            raise Unavailable("the server is stopping", code="closing")

    def check_model(self, name: str) -> None:
        """Raises UnknownModel if this is not the name of the served model."""
        if name != self.model_name:
            raise UnknownModel(f"there is no model '{name}'; use '{self.model_name}'", "model")

    def complete(self, options: CompletionOptions) -> Completion:
        """Queues a request. Raises ApiError or UserError if it cannot be served."""
        self.check_open()
        if options.model is not None:
            self.check_model(options.model)
        dialogues = [as_messages(messages) for messages in options.dialogues]
        prompts = [self._encode(messages) for messages in dialogues]
        requests = [request for prompt in prompts for request in self._requests(prompt, options)]
        self._check_room(len(requests))
        asked = [dialogue for dialogue in dialogues for _ in range(options.num_choices)]
        id = f"{self._random.getrandbits(96):024x}"
        completion = Completion(id, asked, sum(map(len, prompts)), self.metrics)
        limit_s = self.settings.time_limit_s
        completion.start(self._engine_thread, requests, limit_s, live=options.live)
        return completion

    def _encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The prompt's ids; refuses a long dialogue before encoding it, which would take time."""
        num_characters = sum(len(message.content) for message in messages)
        if num_characters > self.max_length * self._longest_token:
            raise self._too_long(f"{num_characters} characters")
        try:
            prompt = tuple(self.vocabulary.encode_prompt(messages))
        except UserError as error:
            raise InvalidRequest(str(error), "messages") from error
        if len(prompt) + shortest_completion() > self.max_length:
            raise self._too_long(f"{len(prompt)} tokens")
        return prompt

    def _too_long(self, length: str) -> InvalidRequest:
        message = f"the dialogue has {length}, and {self._holder} holds {self.max_length} tokens"
        return InvalidRequest(message, "messages", code="context_length_exceeded")

    def _requests(self, prompt: tuple[int, ...], options: CompletionOptions) -> list[Request]:
        """One request per choice."""
        budget = self._budget(len(prompt), options)
        return [
            Request(prompt, budget, sampling, num_top_logprobs=options.num_top_logprobs)
            for sampling in self._samplings(options)
        ]

    def _budget(self, num_prompt: int, options: CompletionOptions) -> Budget:
        max_tokens, shortest = options.max_tokens, shortest_completion()
        if max_tokens is not None and max_tokens < shortest:
            field = options.max_tokens_field
            message = f"{field} is {max_tokens}; the format alone takes {shortest} tokens"
            raise InvalidRequest(message, field)
        room = self.max_length - num_prompt
        is_shortest = options.effort == SHORTEST_EFFORT
        max_reasoning = 0 if is_shortest else options.max_reasoning_tokens
        return Budget(
            options.min_steps,
            step_limit(options.effort, options.max_steps),
            room if max_tokens is None else min(room, max_tokens),
            None if max_reasoning is None else max(max_reasoning, shortest_reasoning()),
        )

    def _samplings(self, options: CompletionOptions) -> list[Sampling]:
        """The sampling of each choice: the model's own unless the client sets it.

        Without a seed, each request draws differently.
        """
        if options.temperature == 0:
            return [Sampling()] * options.num_choices
        seed = self._random.getrandbits(63) if options.seed is None else options.seed
        drawn = samplings(options.num_choices, options.temperature, seed, self._own_sampling)
        if options.top_p is not None:
            drawn = [replace(sampling, top_p=options.top_p) for sampling in drawn]
        if options.min_p is not None:
            drawn = [replace(sampling, min_p=options.min_p) for sampling in drawn]
        return drawn

    def _check_room(self, num_choices: int) -> None:
        most = self.settings.max_batch + self.settings.max_waiting
        if num_choices > most:
            raise InvalidRequest(
                f"the request has {num_choices} choices; the queue holds {most}", "n"
            )
        if self.num_jobs + num_choices > most:
            raise Overloaded(f"{self.num_jobs} completions already run or wait")
