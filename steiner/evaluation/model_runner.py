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
        the question fills the model's context.
        """
        prompt = self._prompt(item)
        if not self.reasons:
            limit = min(DIRECT_TOKENS, self.most_tokens(prompt))
            return Request(prompt, Budget(max_tokens=limit), reasoning=False)
        budget = Budget(max_tokens=self.most_tokens(prompt))
        return Request(prompt, budget, self.sampling(item, None))

    def sample_request(self, item: EvalItem, sample: int) -> Request:
        """A request for sample number `sample`, with a random stream of its own."""
        prompt = self._prompt(item)
        largest = max(self.recipe.eval.budgets, default=None)
        budget = Budget(max_steps=largest, max_tokens=self.most_tokens(prompt))
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

    def most_tokens(self, prompt_ids: Sequence[int]) -> int:
        """`eval.max_tokens`, or what the model's context leaves after the prompt.

        Room is kept for the answer of a search that a step budget cuts at its end
        (budget_curves.py).
        """
        room = self.max_length - len(prompt_ids) - shortest_completion()
        return min(self.recipe.eval.max_tokens, room)

    def _prompt(self, item: EvalItem) -> tuple[int, ...]:
        """Raises UserError if the model's context has no room for an answer after it."""
        prompt = tuple(self.vocabulary.encode_prompt(item.problem.messages))
        if self.most_tokens(prompt) < shortest_completion():
            message = (
                f"{self.stage} has a context of {self.max_length} tokens, and a question of "
                f"{item.problem.family} has {len(prompt)}"
            )
            raise UserError(message, "leave that task out, or use a base with a longer context")
        return prompt


def _steps(advance: Callable[[int], None]) -> Callable[[int], None]:
    """A function of the number finished in total, which `advance` takes the differences of."""
    before = 0

    def report(finished: int) -> None:
        nonlocal before
        advance(finished - before)
        before = finished

    return report
