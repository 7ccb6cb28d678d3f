"""One model under evaluation: loaded once, its requests decoded together.

model folder, Tasks -> Searches

A model whose tokenizer lacks the 14 reasoning tokens (the base, or one that was trained to answer
directly) answers without reasoning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from steiner.evaluation.suites import Task
from steiner.format.grammar import SPECIAL_TOKENS
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling, own_sampling
from steiner.models.loading import load_model
from steiner.models.precision import fastest_dtype
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.progress import progress
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.types import Rollout

DIRECT_TOKENS = 128
"""Longest direct answer."""


@dataclass(frozen=True, slots=True)
class Search:
    """One rollout of one task; `sample` is None for the one that counts by itself."""

    task: Task
    rollout: Rollout
    sample: int | None = None


class Runner:
    """A loaded model and its engine."""

    def __init__(self, stage: str, source: str, recipe: Recipe) -> None:
        self.stage, self.recipe = stage, recipe
        model, tokenizer = load_model(source, fastest_dtype())
        self.reasons = set(SPECIAL_TOKENS) <= tokenizer.get_vocab().keys()
        self.vocabulary = add_reasoning_vocabulary(model, tokenizer)
        self.own_sampling = own_sampling(model) if self.reasons else Sampling()
        batch = recipe.eval.batch_size
        self._engine = Engine(model, self.vocabulary, max_batch=batch, max_length=_MAX_LENGTH)
        self.tokens = 0
        """Tokens that the model has decoded."""

    def search(self, task: Task) -> Request:
        """A request for the model's own way of answering, without a step budget. A search is drawn
        as the model asks, by the same random numbers for every model; a direct answer is greedy."""
        if not self.reasons:
            return Request(self._prompt(task), Budget(max_tokens=DIRECT_TOKENS), reasoning=False)
        budget = Budget(max_tokens=self.recipe.eval.max_tokens)
        return Request(self._prompt(task), budget, self.sampling(task, None))

    def sampled(self, task: Task, sample: int) -> Request:
        """A request for sample number `sample`, with a random stream of its own."""
        limits = self.recipe.eval
        longest = max(limits.budgets, default=None)
        budget = Budget(max_steps=longest, max_tokens=limits.max_tokens)
        return Request(self._prompt(task), budget, self.sampling(task, sample))

    def sampling(self, task: Task, sample: int | None, *names: object) -> Sampling:
        """How a sample is drawn or, for None, the one search; the random stream is that of the
        task, the sample and those names."""
        one = self.own_sampling if sample is None else Sampling(self.recipe.eval.temperature)
        key = (self.recipe.seed, task.suite, task.problem.key, sample, *names)
        return replace(one, seed=random_stream("evaluation", *key).getrandbits(31))

    def generate(self, requests: Sequence[Request], what: str) -> list[Rollout]:
        """The rollouts of all requests, in their order, with a progress bar on stderr."""
        with progress(f"{self.stage}: {what}", len(requests), "answer") as advance:
            rollouts = self._engine.generate(requests, _steps(advance))
        self.tokens += sum(len(rollout.token_ids) for rollout in rollouts)
        return rollouts

    def _prompt(self, task: Task) -> tuple[int, ...]:
        return tuple(self.vocabulary.encode_prompt(task.problem.messages))


_MAX_LENGTH = 4096
"""Room for a prompt and a whole completion."""


def _steps(advance: Callable[[int], None]) -> Callable[[int], None]:
    """A function of the number finished in total, which `advance` takes the differences of."""
    before = 0

    def report(finished: int) -> None:
        nonlocal before
        advance(finished - before)
        before = finished

    return report
