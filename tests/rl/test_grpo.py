"""RL with a real tiny model: what reaches the loss, what is saved, and that it can be killed."""

from __future__ import annotations

import json
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    TrainerCallback,
)

from steiner.dags.path_sampling import Walk, path_without_search
from steiner.dags.solver import build_dag
from steiner.dags.source import SolverDagSource
from steiner.data.batching import LENGTH_STEP
from steiner.format.codec import Codec
from steiner.format.grammar import TRANSITIONS, GrammarState
from steiner.format.parser import parse
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.models.loading import load_model
from steiner.randomness import random_stream
from steiner.recipe import ProblemsRecipe, Recipe, RlRecipe
from steiner.rl import grpo as rl
from steiner.rl import rollout_backend as backends
from steiner.rl import rollout_groups as groups
from steiner.rl.rewards import step_advantages
from steiner.rl.rollout_groups import RolloutGroup
from steiner.rl.rollout_mismatch import MAX, MEAN
from steiner.tasks import generate_problems
from steiner.tasks.no_answer import has_search
from steiner.types import Problem, Rollout, SearchPath, Split, StopReason, UserError
from tests.puzzles import walks_through
from tests.small_model import small_qwen2

BROKEN = GrammarState.BROKEN
ASKED: dict[str, Problem] = {}
"""Question -> its problem."""
RECIPE = Recipe(
    name="little",
    problems=ProblemsRecipe({"jugs": 1, "countdown": 1}),
    rl=RlRecipe(
        steps=4,
        problems_per_step=2,
        rollouts_per_problem=4,
        rollouts_per_batch=4,
        lr=1e-3,
        warmup_fraction=0.0,
        max_steps=2,
        max_tokens=80,
        precision="fp32",
        attention="sdpa",
        report_to="tensorboard",
        save_every_steps=2,
    ),
)


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_POOL_SIZE", 6)
    make_pool = groups._pool

    def noted(recipe: Recipe, name: str) -> list[Problem]:
        pool = make_pool(recipe, name)
        ASKED.update((problem.question, problem) for problem in pool)
        return pool

    monkeypatch.setattr(groups, "_pool", noted)


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    texts = [p.question for name in ("jugs", "countdown") for p in problems(name)]
    tokenizer = train_tokenizer(texts, 420)
    add_reasoning_tokens(tokenizer)
    return Vocabulary.require(tokenizer)


def problems(name: str, count: int = 4) -> list[Problem]:
    found = generate_problems(name, 1, seed=9, split=Split.TRAIN)
    return [next(found) for _ in range(count)]


def random_model(vocabulary: Vocabulary) -> PreTrainedModel:
    torch.manual_seed(0)
    return small_qwen2(len(vocabulary.tokenizer), max_position_embeddings=1024)


@pytest.fixture
def run_dir(vocabulary: Vocabulary, tmp_path: Path) -> Path:
    """A run folder with sft/ in it."""
    random_model(vocabulary).save_pretrained(tmp_path / "sft")
    vocabulary.tokenizer.save_pretrained(tmp_path / "sft")
    return tmp_path


class Walkers:
    """Stands in for the Engine: writes search paths, of which every second one answers wrongly."""

    dtype = torch.float32

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.codec = Codec(vocabulary)

    def generate(self, requests: Sequence[Request]) -> list[Rollout]:
        return [self._rollout(index, request) for index, request in enumerate(requests)]

    def _rollout(self, index: int, request: Request) -> Rollout:
        rng = random_stream("walkers", request.sampling.seed)
        path = self._path(request, rng)
        wrong: SearchPath = replace(path, answer="I do not know")
        sequence = self.codec.encode_path(wrong if index % 2 else path)
        token_ids = sequence.token_ids[len(request.prompt_ids) :]
        logprobs = [-0.5] * len(token_ids)
        forced = [True] + [False] * (len(token_ids) - 1)  # the start of the reasoning
        return self.codec.decode(request.prompt_ids, token_ids, logprobs, StopReason.END, forced)

    def _path(self, request: Request, rng: random.Random) -> SearchPath:
        dialogue = self.codec.vocabulary.decode_text(request.prompt_ids)
        question = dialogue.removeprefix("<|im_start|>user\n").split("<|im_end|>")[0]
        problem = ASKED[question]
        if not has_search(problem.spec):
            return path_without_search(problem)
        (path,) = walks_through(build_dag(problem), 1, Walk(explore=0.4, cut=0.0), rng)
        return path


@pytest.fixture
def walkers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainers are built with Walkers in place of the Engine."""
    monkeypatch.setattr(backends, "Engine", lambda model, vocabulary, **_: Walkers(vocabulary))


def trainer_of(recipe: Recipe, vocabulary: Vocabulary, folder: Path) -> rl.StepGRPOTrainer:
    model, dags = random_model(vocabulary), SolverDagSource()
    return rl.build_trainer(recipe, model, vocabulary.tokenizer, folder, dags)


def rollouts_of(trainer: rl.StepGRPOTrainer) -> rl.Rollouts:
    found = trainer.rollout_func
    assert isinstance(found, rl.Rollouts)
    return found


def first_batches(trainer: rl.StepGRPOTrainer) -> Iterator[dict[str, Any]]:
    """The batches of the first optimiser step."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    loader = iter(trainer.get_train_dataloader())
    for step in range(trainer.args.gradient_accumulation_steps):
        trainer._step = step
        yield trainer._prepare_inputs(next(loader))


@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.usefixtures("walkers")
def test_advantages_of_every_token(weight: float, vocabulary: Vocabulary, tmp_path: Path) -> None:
    recipe = replace(RECIPE, rl=replace(RECIPE.rl, step_reward_weight=weight, oversample=1.0))
    trainer = trainer_of(recipe, vocabulary, tmp_path)
    made = rollouts_of(trainer).source.sample(2, [], 0)
    expected = {
        rollout.token_ids: advantages_by_hand(vocabulary.classes, group, row, weight)
        for group in made
        for row, rollout in enumerate(group.rollouts_G)
    }
    rows = 0
    for batch in first_batches(trainer):
        assert batch["advantages"].shape == batch["completion_ids"].shape
        lengths = batch["completion_mask"].sum(1).tolist()
        needless = batch["completion_ids"].shape[1] - max(lengths)
        assert 0 <= needless < LENGTH_STEP
        for row, length in enumerate(lengths):
            token_ids = tuple(batch["completion_ids"][row, :length].tolist())
            found = batch["advantages"][row, :length].tolist()
            assert found == pytest.approx(expected[token_ids], abs=1e-6)
            assert batch["tool_mask"][row, :2].tolist() == [0, 1]  # forced, chosen
            rows += 1
    assert rows == 8


def advantages_by_hand(
    classes: Callable[[Sequence[int]], Sequence[int]], group: RolloutGroup, row: int, weight: float
) -> list[float]:
    """Outcome less the group's mean; in what names a next step, plus its choice, as much as if it
    were spread over the step; at a step's last token, plus its decision. Walkers make no fault."""
    outcomes = [score.outcome for score in group.scores_G]
    whole = outcomes[row] - sum(outcomes) / len(outcomes)
    token_ids = group.rollouts_G[row].token_ids
    found = [whole] * len(token_ids)
    spans = parse(classes(token_ids)).spans
    for span, step in zip(spans, step_advantages(group.scores_G)[row], strict=True):
        assert step.fault == 0
        start, stop = span.components[0]
        for place in range(start, stop):
            found[place] += weight * step.choice * (span.stop - 1 - span.start) / (stop - start)
        found[span.stop - 1] += weight * step.decision
    assert spans
    return found


@pytest.mark.usefixtures("walkers")
def test_loss_and_gradient_by_hand(vocabulary: Vocabulary, tmp_path: Path) -> None:
    trainer = trainer_of(RECIPE, vocabulary, tmp_path)
    model = trainer.model
    classes_V = vocabulary.class_tensor(len(vocabulary.tokenizer))
    by_trl = torch.zeros(())
    by_hand = torch.zeros(())
    for batch in first_batches(trainer):
        by_trl = by_trl + trainer.compute_loss(model, batch)
        by_hand = by_hand + loss_by_hand(model, batch, classes_V, num_rollouts=8, max_tokens=80)
    weights = list(model.parameters())
    wanted = torch.autograd.grad(by_hand, weights)
    for found, expected in zip(torch.autograd.grad(by_trl, weights), wanted, strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
    assert any(gradient.abs().max() > 1e-4 for gradient in wanted)


def logprobs_by_hand(
    logits_TV: torch.Tensor, ids_T: torch.Tensor, classes_V: torch.Tensor
) -> torch.Tensor:
    """Log-probabilities of the tokens, one by one; 0 behind the end."""
    state, found = int(GrammarState.BEGIN), []
    for logits_V, token in zip(logits_TV, ids_T, strict=True):
        allowed = [i for i, c in enumerate(classes_V.tolist()) if TRANSITIONS[state][c] != BROKEN]
        found.append(logits_V[token] - logits_V[allowed or [int(token)]].logsumexp(0))
        state = TRANSITIONS[state][int(classes_V[token])]
    return torch.stack(found)


def loss_by_hand(
    model: PreTrainedModel,
    batch: dict[str, Any],
    classes_V: torch.Tensor,
    num_rollouts: int,
    max_tokens: int,
) -> torch.Tensor:
    """Dr. GRPO: minus the sum over chosen tokens of A log p, over rollouts and the token limit;
    p among the tokens that the grammar allows."""
    ids_BT = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask_BT = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    logits_BTV = model(input_ids=ids_BT, attention_mask=mask_BT).logits
    width = batch["completion_ids"].shape[1]
    rows = zip(logits_BTV[:, -width - 1 : -1], batch["completion_ids"], strict=True)
    logprob_BT = torch.stack([logprobs_by_hand(*row, classes_V) for row in rows])
    chosen_BT = batch["completion_mask"] * batch["tool_mask"]
    return -(batch["advantages"] * logprob_BT * chosen_BT).sum() / (num_rollouts * max_tokens)


@pytest.mark.usefixtures("walkers")
def test_end_to_end(run_dir: Path) -> None:
    rl.train(RECIPE, run_dir, run_dir / "rl")
    before = AutoModelForCausalLM.from_pretrained(run_dir / "sft").state_dict()
    after = AutoModelForCausalLM.from_pretrained(run_dir / "rl").state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(value.isfinite().all() for value in after.values())
    Vocabulary.require(AutoTokenizer.from_pretrained(run_dir / "rl"))
    history = json.loads((run_dir / "rl" / "logs" / "trainer_state.json").read_text())[
        "log_history"
    ]
    logged = [entry for entry in history if "reward" in entry]
    assert [entry["step"] for entry in logged] == [1, 2, 3, 4]
    assert {"accuracy", "steps", "tokens", "malformed_rate", "backtrack_rate"} <= set(logged[0])
    assert {"term/closeness", "term/illegal", "step_reward"} <= set(logged[0])
    assert logged[0]["accuracy"] == 0.5  # the stand-in errs every second time
    assert logged[0]["mixed_rate"] == 1
    assert logged[0]["malformed_rate"] == 0
    assert list((run_dir / "rl" / "logs" / "tensorboard").rglob("events*"))
    assert not list((run_dir / "rl").glob("checkpoint-*"))


class Stop(TrainerCallback):
    """Kills the run once step 3 is done, after the checkpoint at 2."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 3:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("walkers")
@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_resumed_run_is_an_uninterrupted_one(
    lora_rank: int, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, rl=replace(RECIPE.rl, lora_rank=lora_rank))
    rl.train(recipe, run_dir, run_dir / "whole")
    build = rl.build_trainer

    def build_to_be_killed(*arguments: Any) -> rl.StepGRPOTrainer:
        trainer = build(*arguments)
        trainer.add_callback(Stop())
        return trainer

    with monkeypatch.context() as patch:
        patch.setattr(rl, "build_trainer", build_to_be_killed)
        with pytest.raises(KeyboardInterrupt):
            rl.train(recipe, run_dir, run_dir / "killed")
    assert not (run_dir / "killed" / "model.safetensors").exists()
    rl.train(recipe, run_dir, run_dir / "killed")
    whole, resumed = (
        AutoModelForCausalLM.from_pretrained(run_dir / name).state_dict()
        for name in ("whole", "killed")
    )
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


@pytest.mark.usefixtures("walkers")
@pytest.mark.parametrize("four_bit", [False, True])
def test_lora_changes_linear_layers_alone_and_is_merged(four_bit: bool, run_dir: Path) -> None:
    if four_bit:
        pytest.importorskip("bitsandbytes")
    before = AutoModelForCausalLM.from_pretrained(run_dir / "sft").state_dict()
    settings = replace(RECIPE.rl, lora_rank=2, lr=1e-2, activation_checkpointing=True)
    settings = replace(settings, lora_4bit=four_bit)
    rl.train(replace(RECIPE, rl=settings), run_dir, run_dir / "rl")
    after = AutoModelForCausalLM.from_pretrained(run_dir / "rl").state_dict()
    assert after.keys() == before.keys()
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert any("q_proj.weight" in name for name in changed)
    assert not any("norm" in name for name in changed)
    adapted = load_model(run_dir / "rl" / "adapter")[0].state_dict()
    assert all(torch.allclose(adapted[name], weight, atol=1e-6) for name, weight in after.items())


def test_activation_checkpointing_prints_no_warning(run_dir: Path) -> None:
    settings = replace(RECIPE.rl, steps=1, activation_checkpointing=True)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        rl.train(replace(RECIPE, rl=settings), run_dir, run_dir / "rl")
    assert not [each for each in shown if "gradient_checkpointing" in str(each.message)]


def test_the_engine_draws_rollouts_from_4_bit_weights(run_dir: Path) -> None:
    pytest.importorskip("bitsandbytes")
    settings = replace(RECIPE.rl, lora_rank=2, lora_4bit=True, steps=1)
    rl.train(replace(RECIPE, rl=settings), run_dir, run_dir / "rl")
    history = json.loads((run_dir / "rl" / "logs" / "trainer_state.json").read_text())
    assert history["log_history"][0]["tokens"] > 0


@pytest.mark.parametrize("muon_lr", [0.0, 0.01])
def test_rollouts_come_from_the_weights_as_trained(
    muon_lr: float, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, rl=replace(RECIPE.rl, muon_lr=muon_lr, steps=1, lr=0.1))
    trainer = trainer_of(recipe, vocabulary, tmp_path)
    prompt_ids = tuple(vocabulary.encode_prompt(problems("jugs", 1)[0].messages))
    request = Request(prompt_ids, Budget(max_tokens=40))
    source = rollouts_of(trainer).source
    used, source.backend = source.backend, Walkers(vocabulary)
    before = used.generate([request])
    trainer.train()
    fresh = Engine(trainer.model, vocabulary, max_length=1024)
    assert before != used.generate([request]) == fresh.generate([request])


def test_rollouts_of_a_bf16_copy(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large model; the loss is relative to what the rollouts were drawn with."""
    monkeypatch.setattr(backends, "is_large", lambda model: True)
    settings = replace(RECIPE.rl, steps=2, precision="bf16")
    rl.train(replace(RECIPE, rl=settings), run_dir, run_dir / "rl")
    history = json.loads((run_dir / "rl" / "logs" / "trainer_state.json").read_text())
    for entry in history["log_history"][:2]:
        assert math.isfinite(entry["loss"])
        assert 0 < entry[MEAN] < 0.02
        assert entry[MAX] < 0.2  # a ratio within TRL's clipping range
        assert entry["clip_ratio/region_mean"] == 0


@pytest.mark.parametrize(("large", "precision"), [(True, "fp32"), (False, "bf16")])
def test_rollouts_of_the_weights_themselves(
    large: bool,
    precision: Literal["fp32", "bf16"],
    vocabulary: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small model, or training in fp32: TRL gets no log-probabilities, so the ratio is 1."""
    monkeypatch.setattr(backends, "is_large", lambda model: large)
    recipe = replace(RECIPE, rl=replace(RECIPE.rl, precision=precision))
    trainer = trainer_of(recipe, vocabulary, tmp_path)
    engine = rollouts_of(trainer).source.backend
    assert isinstance(engine, Engine)
    assert engine.dtype is torch.float32
    assert "old_per_token_logps" not in next(first_batches(trainer))


def test_muon_and_several_updates_per_generation(run_dir: Path) -> None:
    settings = replace(RECIPE.rl, muon_lr=0.01, updates_per_generation=2, steps=2)
    rl.train(replace(RECIPE, rl=settings), run_dir, run_dir / "rl")
    assert (run_dir / "rl" / "model.safetensors").exists()


@pytest.mark.parametrize("kl_beta", [0.0, 0.1])
@pytest.mark.parametrize("has_own_logprobs", [True, False])
def test_logprobs_before_the_update_are_computed_only_where_rollouts_have_none(
    has_own_logprobs: bool,
    kl_beta: float,
    run_dir: Path,
    vocabulary: Vocabulary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With several updates per generation; a reference model computes its own in any case."""

    class Rounding(Walkers):
        dtype = torch.bfloat16 if has_own_logprobs else torch.float32

    monkeypatch.setattr(backends, "Engine", lambda model, vocabulary, **_: Rounding(vocabulary))
    settings = replace(RECIPE.rl, updates_per_generation=2, kl_beta=kl_beta)
    model, dags = load_model(run_dir / "sft")[0], SolverDagSource()
    trainer = rl.build_trainer(
        replace(RECIPE, rl=settings), model, vocabulary.tokenizer, run_dir / "rl", dags
    )
    asked, logprobs = [], trainer._logprobs

    def noted(model: PreTrainedModel, *arguments: Any) -> Any:
        asked.append(model)
        return logprobs(model, *arguments)

    monkeypatch.setattr(trainer, "_logprobs", noted)
    batch = next(first_batches(trainer))
    assert (model in asked) != has_own_logprobs
    assert ("ref_per_token_logps" in batch) == (trainer.ref_model in asked) == bool(kl_beta)
    old_BT = batch["old_per_token_logps"]
    assert (old_BT < 0).any()
    if has_own_logprobs:
        assert torch.equal(old_BT, batch["sampling_per_token_logps"])
    assert trainer.compute_loss(model, batch).isfinite()
    assert model in asked


@pytest.mark.usefixtures("walkers")
def test_problems_are_of_the_training_split_and_drawn_by_name(
    vocabulary: Vocabulary, tmp_path: Path
) -> None:
    source = rollouts_of(trainer_of(RECIPE, vocabulary, tmp_path)).source
    first, again, other = source.sample(2, [], 3), source.sample(2, [], 3), source.sample(2, [], 4)
    assert len(first) == 3  # 2 and half as many again
    assert first == again != other
    assert all(group.problem.split is Split.TRAIN for group in first)


def test_training_warns_of_nothing(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Deprecations that a library commits count too: users read them in the output of a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer_of(replace(RECIPE, rl=replace(RECIPE.rl, steps=1)), vocabulary, tmp_path).train()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "rl.steps is 0"),
        ({"oversample": 0.5}, "rl.oversample is 0.5"),
        ({"rollouts_per_problem": 1}, "rl.rollouts_per_problem is 1"),
        ({"problems_per_step": 0}, "rl.problems_per_step is 0"),
        ({"term_weights": {"clossness": 1.0}}, "unknown reward term 'clossness'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str, run_dir: Path) -> None:
    recipe = replace(RECIPE, rl=replace(RECIPE.rl, **settings))
    with pytest.raises(UserError, match=message):
        rl.train(recipe, run_dir, run_dir / "rl")
