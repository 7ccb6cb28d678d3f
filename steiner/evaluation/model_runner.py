"""One model under evaluation: it is loaded once, and its requests are decoded together.

model folder, EvalItems -> Completions

A model whose tokenizer lacks the 14 reasoning tokens (the base model, or one that was trained to
answer directly) answers without reasoning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedModel

from steiner.evaluation.suites import EvalItem
from steiner.format.grammar import SPECIAL_TOKENS
from steiner.format.tokenizer import Vocabulary
from steiner.inference.backends import RolloutBackend
from steiner.inference.budget import Budget, shortest_completion
from steiner.inference.engine import Engine
from steiner.inference.model_loading import context_length, load_for_decoding
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling, own_sampling
from steiner.models.precision import dtype_name
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.progress import progress
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.types import Rollout, UserError

DIRECT_TOKENS = 128
"""Limit of a direct answer, in tokens."""

MakeBackend = Callable[[PreTrainedModel, Vocabulary, Recipe], RolloutBackend]


def embedded_engine(model: PreTrainedModel, vocabulary: Vocabulary, recipe: Recipe) -> Engine:
    """The default backend."""
    return Engine(
        model, vocabulary, max_batch=recipe.eval.batch_size, max_length=context_length(model)
    )


@dataclass(frozen=True, slots=True)
class ItemCompletion:
    """A rollout for one item; `sample` is None for the single one that accuracy is measured on."""

    item: EvalItem
    rollout: Rollout
    sample: int | None = None


class ModelRunner:
    """A loaded model with its backend."""

    def __init__(
        self,
        stage: str,
        source: str,
        recipe: Recipe,
        make_backend: MakeBackend = embedded_engine,
    ) -> None:
        self.stage, self.recipe = stage, recipe
        model, tokenizer = load_for_decoding(source)
        self.dtype = dtype_name(model.dtype)
        """Number format of the weights."""
        self.max_length = context_length(model)
        """Most tokens of a prompt and its completion together."""
        self.reasons = set(SPECIAL_TOKENS) <= tokenizer.get_vocab().keys()
        self.vocabulary = add_reasoning_vocabulary(model, tokenizer)
        self.own_sampling = own_sampling(model) if self.reasons else Sampling()
        self._backend = make_backend(model, self.vocabulary, recipe)
        self.num_tokens = 0
        """Tokens that the model has decoded."""

    def request(self, item: EvalItem) -> Request:
        """A request without a step budget, decoded as the model's generation_config.json says.

        Every model gets the same random numbers. Direct answers are greedy. Raises UserError if
        prompt and completion may exceed the model's context.
        """
        if not self.reasons:
            prompt = self._prompt(item, DIRECT_TOKENS)
            return Request(prompt, Budget(max_tokens=DIRECT_TOKENS), reasoning=False)
        max_tokens = self.recipe.eval.max_tokens
        prompt = self._prompt(item, max_tokens)
        return Request(prompt, Budget(max_tokens=max_tokens), self.sampling(item, None))

    def sample_request(self, item: EvalItem, sample: int) -> Request:
        """A request for sample number `sample`, with a random stream of its own."""
        limits = self.recipe.eval
        largest = max(limits.budgets, default=None)
        budget = Budget(max_steps=largest, max_tokens=limits.max_tokens)
        prompt = self._prompt(item, limits.max_tokens)
        return Request(prompt, budget, self.sampling(item, sample))

    def sampling(self, item: EvalItem, sample: int | None, *names: object) -> Sampling:
        """The sampling of a sample, or of the single completion if `sample` is None.

        The random stream is named by the item, the sample and `names`.
        """
        base = self.own_sampling if sample is None else Sampling(self.recipe.eval.temperature)
        key = (self.recipe.seed, item.suite, item.problem.key, sample, *names)
        return replace(base, seed=random_stream("evaluation", *key).getrandbits(31))

    def generate(self, requests: Sequence[Request], label: str) -> list[Rollout]:
        """The rollouts of all requests, in their order. Progress goes to stderr."""
        with progress(f"{self.stage}: {label}", len(requests), "answer") as advance:
            rollouts = self._backend.generate(requests, _steps(advance))
        self.num_tokens += sum(len(rollout.token_ids) for rollout in rollouts)
        return rollouts

    def _prompt(self, item: EvalItem, max_tokens: int) -> tuple[int, ...]:
        """Raises UserError if the context has no room for `max_tokens` after it, and for the answer
        of a search that a step budget cuts at its end (budget_curves.py)."""
        prompt = tuple(self.vocabulary.encode_prompt(item.problem.messages))
        if len(prompt) + max_tokens + shortest_completion() > self.max_length:
            message = (
                f"{self.stage} holds {self.max_length} tokens: too few for a question of "
                f"{len(prompt)} of {item.problem.family} and a completion of {max_tokens}"
            )
            raise UserError(message, "lower eval.max_tokens, or leave the task out")
        return prompt


def _steps(advance: Callable[[int], None]) -> Callable[[int], None]:
    """A function of the number finished in total, which `advance` takes the differences of."""
    before = 0

    def report(finished: int) -> None:
        nonlocal before
        advance(finished - before)
        before = finished

    return report
