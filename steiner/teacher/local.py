"""A teacher that runs here: any causal language model, decoded by the embedded engine.

TeacherRequests -> Replies
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from steiner.files import model_digest
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_for_decoding
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.randomness import random_stream
from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import Rollout, StopReason, UserError

_AT_ONCE = 32


class LocalTeacher:
    """Loads `settings.model` when it is first asked."""

    def __init__(self, settings: TeacherRecipe) -> None:
        if not settings.model:
            raise UserError(
                "no teacher is named",
                "give --teacher MODEL_FOLDER, or --teacher-url URL and --teacher NAME",
            )
        self.identity = model_digest(settings.model)
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
        running: dict[int, tuple[int, int]] = {}
        """Ticket of the engine -> (index of the request, tokens of its prompt)."""
        for index, request in enumerate(requests):
            prompt = vocabulary.encode_prompt(request.messages)
            if len(prompt) > self._settings.max_prompt_tokens:
                on_reply(index, Reply(error="a prompt above teacher.max_prompt_tokens"))
                continue
            running[engine.submit(self._request(request, prompt))] = index, len(prompt)
        try:
            while running and may_go_on():
                for delta in engine.step():
                    if delta.rollout is not None:
                        index, num_prompt = running.pop(delta.ticket)
                        on_reply(index, _reply(delta.rollout, num_prompt))
        finally:
            for ticket in running:
                engine.cancel(ticket)

    def _request(self, request: TeacherRequest, prompt: Sequence[int]) -> Request:
        seed = random_stream(request.digest(self.identity)).getrandbits(48)
        sampling = Sampling(request.temperature, seed=seed)
        budget = Budget(max_tokens=request.max_tokens)
        return Request(tuple(prompt), budget, sampling, reasoning=False)

    def _load(self) -> tuple[Engine, Vocabulary]:
        if self._loaded is None:
            model, tokenizer = load_for_decoding(self._settings.model)
            vocabulary = add_reasoning_vocabulary(model, tokenizer)
            length = self._settings.max_prompt_tokens + self._settings.max_tokens
            engine = Engine(model, vocabulary, max_batch=_AT_ONCE, max_length=length)
            self._loaded = engine, vocabulary
        return self._loaded


def _reply(rollout: Rollout, num_prompt: int) -> Reply:
    if rollout.stop_reason is StopReason.REPETITION:
        return Reply(error="the reply repeats itself")
    is_cut = rollout.stop_reason is StopReason.LENGTH
    return Reply(rollout.answer, num_prompt, len(rollout.token_ids), cut=is_cut)
