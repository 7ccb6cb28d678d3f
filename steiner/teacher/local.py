"""A teacher that runs here: any causal language model, decoded by the embedded engine.

TeacherRequests -> Replies
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.models.loading import load_model
from steiner.models.precision import fastest_dtype
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.randomness import random_stream
from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import StopReason, UserError

_AT_ONCE = 32
_PROMPT_TOKENS = 1024
"""Longest prompt, in tokens."""


class LocalTeacher:
    """Loads `settings.model` when it is first asked."""

    def __init__(self, settings: TeacherRecipe) -> None:
        if not settings.model:
            raise UserError(
                "no teacher is named",
                "give --teacher MODEL_FOLDER, or --teacher-url URL and --teacher NAME",
            )
        self.identity = settings.model
        self._settings = settings
        self._loaded: tuple[Engine, Vocabulary] | None = None

    def replies(
        self,
        requests: Sequence[TeacherRequest],
        on_reply: Callable[[int, Reply], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Raises UserError if the model cannot be loaded."""
        engine, vocabulary = self._load()
        for start in range(0, len(requests), _AT_ONCE):
            if not may_go_on():
                return
            some = requests[start : start + _AT_ONCE]
            prompts = [vocabulary.encode_prompt(request.messages) for request in some]
            fitting = [i for i, prompt in enumerate(prompts) if len(prompt) <= _PROMPT_TOKENS]
            rollouts = engine.generate([self._request(some[i], prompts[i]) for i in fitting])
            done = dict(zip(fitting, rollouts, strict=True))
            for i, prompt in enumerate(prompts):
                reply = Reply(error="the prompt is too long for the teacher")
                if i in done:
                    text = done[i].answer
                    reply = Reply(text, len(prompt), len(done[i].token_ids))
                    if done[i].stop_reason is StopReason.REPETITION:
                        reply = Reply(error="the reply repeats itself")
                on_reply(start + i, reply)

    def _request(self, request: TeacherRequest, prompt: Sequence[int]) -> Request:
        seed = random_stream(request.digest(self.identity)).getrandbits(48)
        sampling = Sampling(request.temperature, seed=seed)
        budget = Budget(max_tokens=request.max_tokens)
        return Request(tuple(prompt), budget, sampling, reasoning=False)

    def _load(self) -> tuple[Engine, Vocabulary]:
        if self._loaded is None:
            model, tokenizer = load_model(self._settings.model, fastest_dtype())
            vocabulary = add_reasoning_vocabulary(model, tokenizer)
            length = _PROMPT_TOKENS + self._settings.max_tokens
            engine = Engine(model, vocabulary, max_batch=_AT_ONCE, max_length=length)
            self._loaded = engine, vocabulary
        return self._loaded
