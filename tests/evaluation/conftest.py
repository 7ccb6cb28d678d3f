"""Small models with random weights, and a real evaluation of them."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from steiner.dags.path_sampling import Walk
from steiner.dags.solver import build_dag
from steiner.evaluation.evaluate import evaluate
from steiner.evaluation.results import Results
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.randomness import random_stream
from steiner.recipe import EvalRecipe, ProblemsRecipe, Recipe
from steiner.tasks import generate_problems
from steiner.types import Split
from tests.puzzles import walks_through
from tests.small_model import small_qwen2

RECIPE = Recipe(
    name="test",
    problems=ProblemsRecipe(levels={"countdown": 1, "mini_sudoku": 1}),
    eval=EvalRecipe(problems_per_family=8, budgets=(1, 2, 4), samples=3, max_tokens=400),
)


@dataclass(frozen=True)
class Evaluated:
    """A run folder with an evaluation."""

    run_dir: Path
    results: Results
    models: dict[str, str]


def paths(family, count, seed="test"):
    """Sampled paths through real DAGs."""
    rng = random_stream(seed, family)
    problems = generate_problems(family, 1, seed=0, split=Split.TRAIN)
    for _ in range(count):
        yield from walks_through(build_dag(next(problems)), 1, Walk(explore=0.6), rng)


def _texts():
    for family in RECIPE.problems.levels:
        for path in paths(family, 20):
            yield path.problem.question + path.answer
            for step in path.steps:
                texts = step.texts
                yield f"{texts.next_step} {texts.understanding} {texts.verification}"


def _save_model(tokenizer, folder, *, reasons):
    if reasons:
        add_reasoning_tokens(tokenizer)
    torch.manual_seed(3)  # with this seed some searches take more than two steps
    model = small_qwen2(
        len(tokenizer), num_hidden_layers=1, num_key_value_heads=1, initializer_range=0.3
    )
    if reasons:  # Likely special tokens, so that random texts end and have several steps.
        vocabulary = Vocabulary.require(tokenizer)
        with torch.no_grad():
            model.get_input_embeddings().weight[list(vocabulary.special_ids)] *= 2.5
            model.get_input_embeddings().weight[vocabulary.close_id] *= 2.5
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer(_texts(), 700)
    return {
        "base": _save_model(tokenizer, folder / "base", reasons=False),
        "sft": _save_model(tokenizer, folder / "sft", reasons=True),
        "rl": _save_model(tokenizer, folder / "rl", reasons=True),
    }


@pytest.fixture(scope="session")
def evaluated(models, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("run")
    results = evaluate(RECIPE, models, run_dir / "evaluate")
    return Evaluated(run_dir, results, models)
