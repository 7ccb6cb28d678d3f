"""The trainer: losses against hand arithmetic, and a killed training that ends as an undisturbed
one does."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Qwen2ForCausalLM,
)

from steiner.data.batching import collate
from steiner.data.packed_rows import PackedRows
from steiner.randomness import random_stream
from steiner.recipe import SftRecipe
from steiner.training import losses
from steiner.training import trainer as training
from steiner.training.checkpoints import last_checkpoint
from steiner.training.losses import CHUNK_TOKENS, forward_gives_losses, token_losses
from steiner.training.schedule import Schedule, schedule_of
from steiner.training.trainer import SequenceTrainer, train_sequences
from steiner.types import TokenSequence
from tests.processes import run_in_processes

MakeModel = Callable[[], Qwen2ForCausalLM]

SCHEDULE = Schedule(
    tokens=400,
    batch_tokens=60,
    muon_lr=0.02,
    adam_lr=0.003,
    warmup_fraction=0.2,
    seed=5,
    bf16=False,
    attention="sdpa",
    report_to="none",
    save_every_steps=3,
    activation_checkpointing=False,
)


def _sequence(*ids: int, weights: tuple[float, ...] | None = None) -> TokenSequence:
    return TokenSequence(ids, weights or (1.0,) * len(ids))


def _sequences(count: int = 16) -> list[TokenSequence]:
    rng = random_stream("test trainer")
    rows = ([rng.randrange(500) for _ in range(rng.randint(5, 15))] for _ in range(count))
    return [
        _sequence(*ids, weights=tuple(rng.choice((0.0, 0.5, 1.0)) for _ in ids)) for ids in rows
    ]


# ---------------------------------------------------------------------- loss


def _by_hand(model: Qwen2ForCausalLM, sequence: TokenSequence) -> list[tuple[float, float]]:
    """(cross-entropy, weight) of each token after the first, one prefix after the other."""
    found = []
    for end in range(1, len(sequence.token_ids)):
        with torch.no_grad():
            logits_V = model(torch.tensor([sequence.token_ids[:end]])).logits[0, -1].tolist()
        log_sum = math.log(sum(math.exp(logit) for logit in logits_V))
        found.append((log_sum - logits_V[sequence.token_ids[end]], sequence.loss_weights[end]))
    return found


def test_token_losses_by_hand(make_model: MakeModel) -> None:
    model = make_model()
    rows = [
        _sequence(3, 1, 4, 1, 5, weights=(1.0, 0.0, 0.5, 1.0, 0.0)),  # the first is never stated
        _sequence(9, 2, weights=(0.0, 2.0)),
    ]
    batch = collate(rows, pad_id=0)
    total, loss_N, weight_N = token_losses(model, batch["input_ids"], batch["loss_weights"])
    expected = [pair for row in rows for pair in _by_hand(model, row) if pair[1]]
    assert weight_N.tolist() == [0.5, 1.0, 2.0] == [weight for _, weight in expected]
    assert total.item() == pytest.approx(sum(loss * weight for loss, weight in expected), rel=1e-4)
    assert loss_N.tolist() == pytest.approx([loss for loss, _ in expected], rel=1e-4)


def test_loss_is_the_weighted_mean_whatever_the_padding(
    make_model: MakeModel, tmp_path: Path
) -> None:
    model, rows = make_model(), _sequences(4)
    trainer = SequenceTrainer(model, rows, SCHEDULE, tmp_path, pad_id=0)
    expected = [pair for row in rows for pair in _by_hand(model, row)]
    # sum(w * loss) / sum(w) over all tokens of the batch
    mean = sum(loss * weight for loss, weight in expected) / sum(weight for _, weight in expected)
    with forward_gives_losses(model):
        for pad_id in (0, 7):
            loss = trainer.compute_loss(model, collate(rows, pad_id))
            assert loss.item() == pytest.approx(mean, rel=1e-4)


def test_batch_without_any_loss_gives_0(make_model: MakeModel, tmp_path: Path) -> None:
    rows = [_sequence(1, 2, 3, weights=(0.0, 0.0, 0.0))]
    model = make_model()
    trainer = SequenceTrainer(model, rows, SCHEDULE, tmp_path, pad_id=0)
    with forward_gives_losses(model):
        for batch in (collate(rows, 0), collate([], 0)):
            loss = trainer.compute_loss(model, batch)
            assert loss.item() == 0
            loss.backward()


# ---------------------------------------------------------------------- schedule


def test_number_of_steps_follows_from_the_tokens(make_model: MakeModel, tmp_path: Path) -> None:
    # 10 sequences of 12 tokens, 5 in a batch of at most 60: 2 batches an epoch of 120 tokens.
    # 400 tokens are 3 1/3 epochs, so 6 2/3 batches: 7 steps.
    rows = [_sequence(*range(12)) for _ in range(10)]
    trainer = SequenceTrainer(make_model(), rows, SCHEDULE, tmp_path, pad_id=0)
    assert trainer.args.max_steps == 7
    assert trainer.args.warmup_steps == 1  # a fifth of 7, rounded down


def test_schedule_is_that_of_the_recipe() -> None:
    recipe = SftRecipe(tokens=7, batch_tokens=8, muon_lr=0.5, adam_lr=0.25, precision="fp32")
    schedule = schedule_of(recipe, seed=9)
    assert (schedule.tokens, schedule.batch_tokens, schedule.seed) == (7, 8, 9)
    assert (schedule.muon_lr, schedule.adam_lr, schedule.bf16) == (0.5, 0.25, False)


# ---------------------------------------------------------------------- resuming


class Killed(BaseException):
    """As if the process were gone."""


def _train(
    make_model: MakeModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    kill_at_step: int | None = None,
) -> SequenceTrainer:
    compute, calls = SequenceTrainer.compute_loss, 0

    def counted(self: SequenceTrainer, *inputs: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == kill_at_step:
            raise Killed
        return compute(self, *inputs, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SequenceTrainer, "compute_loss", counted)
        return train_sequences(make_model(), tokenizer, _sequences(), SCHEDULE, folder)


@pytest.fixture(scope="module")
def undisturbed(
    make_model: MakeModel,
    base_tokenizer: PreTrainedTokenizerBase,
    tmp_path_factory: pytest.TempPathFactory,
) -> SequenceTrainer:
    return _train(make_model, base_tokenizer, tmp_path_factory.mktemp("undisturbed"))


def _assert_same(one: SequenceTrainer, other: SequenceTrainer) -> None:
    assert one.state.global_step == other.state.global_step == one.args.max_steps
    for name, parameter in one.learner.named_parameters():
        assert torch.equal(parameter, other.learner.get_parameter(name)), name


def test_killed_training_ends_as_an_undisturbed_one(
    make_model: MakeModel,
    tokenizer: PreTrainedTokenizerBase,
    undisturbed: SequenceTrainer,
    tmp_path: Path,
) -> None:
    assert undisturbed.args.max_steps > len(undisturbed.batches)  # into the second epoch
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        _train(make_model, tokenizer, folder, kill_at_step=6)
    assert last_checkpoint(folder) == str(folder / "checkpoint-3")
    with pytest.raises(Killed):  # again, 2 steps on: steps 4 to 6, a checkpoint, then step 7
        _train(make_model, tokenizer, folder, kill_at_step=4)
    assert last_checkpoint(folder) == str(folder / "checkpoint-6")
    _assert_same(_train(make_model, tokenizer, folder), undisturbed)


def test_checkpoint_that_was_cut_short_is_passed_over(
    make_model: MakeModel,
    tokenizer: PreTrainedTokenizerBase,
    undisturbed: SequenceTrainer,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        _train(make_model, tokenizer, folder, kill_at_step=8)
    newest = folder / "checkpoint-6"
    (newest / "optimizer.pt").write_bytes(b"half")
    (newest / "trainer_state.json").unlink()  # written last
    assert last_checkpoint(folder) == str(folder / "checkpoint-3")
    _assert_same(_train(make_model, tokenizer, folder), undisturbed)


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    assert last_checkpoint(tmp_path / "none") is None
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    assert last_checkpoint(tmp_path) is None


# ---------------------------------------------------------------------- the saved folder


def test_it_leaves_an_ordinary_model_folder_and_the_log(
    tokenizer: PreTrainedTokenizerBase, undisturbed: SequenceTrainer
) -> None:
    folder = Path(str(undisturbed.args.output_dir))
    assert not list(folder.glob("checkpoint-*"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    for name, parameter in undisturbed.learner.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == tokenizer.get_vocab()
    log = json.loads((folder / "logs" / "trainer_state.json").read_text())["log_history"]
    assert sum("loss" in entry for entry in log) == undisturbed.args.max_steps


def test_it_learns(
    make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = [_sequence(*range(12))] * 10
    schedule = replace(SCHEDULE, tokens=2400, save_every_steps=100)  # 20 epochs of 120 tokens
    trainer = train_sequences(make_model(), tokenizer, rows, schedule, tmp_path)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] - 1


# ---------------------------------------------------------------------- chunks and processes


@pytest.mark.parametrize("in_backward", [False, True])
def test_chunks_do_not_change_losses_or_gradients(
    in_backward: bool, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of any size, the last one padded, against the plain formula on all logits at once.

    For weights that DeepSpeed has spread (`ds_id`), logits are computed again in the backward pass.
    """
    model, batch = make_model(), collate(_sequences(6), pad_id=0)
    ids_BT, weights_BT = batch["input_ids"], batch["loss_weights"]
    logits_BTV = model(ids_BT).logits[:, :-1]
    plain_BT = torch.nn.functional.cross_entropy(
        logits_BTV.transpose(1, 2), ids_BT[:, 1:], reduction="none"
    )
    (plain_BT * weights_BT[:, 1:]).sum().backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    if in_backward:
        model.get_output_embeddings().weight.ds_id = 0
    for size in (1, 7, CHUNK_TOKENS):
        monkeypatch.setattr(losses, "CHUNK_TOKENS", size)
        model.zero_grad()
        found = token_losses(model, ids_BT, weights_BT)
        torch.testing.assert_close(found.loss_N, plain_BT[weights_BT[:, 1:] != 0])
        (3 * found.total).backward()
        for name, weight in model.named_parameters():
            torch.testing.assert_close(weight.grad, 3 * expected[name], rtol=1e-4, atol=5e-6)


def _train_apart(folder: Path, num_processes: int) -> list[float]:
    """The logged losses of a training in processes of their own, over gloo."""
    run_in_processes(__file__, folder, num_processes)
    log = json.loads((folder / "logs" / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


def test_two_processes_have_the_losses_of_one(
    make_model: MakeModel, base_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """DistributedDataParallel over gloo: each process takes half of every batch's rows."""
    make_model().save_pretrained(tmp_path / "base")
    base_tokenizer.save_pretrained(tmp_path / "base")
    for name in ("one", "two"):
        shutil.copytree(tmp_path / "base", tmp_path / name)
    one, two = _train_apart(tmp_path / "one", 1), _train_apart(tmp_path / "two", 2)
    assert len(one) == len(two) >= 5
    assert two == pytest.approx(one, abs=2e-4)  # the trainer rounds what it logs
    assert one[0] != pytest.approx(one[-1], abs=0.01)


def test_activation_checkpointing_changes_no_weights(
    make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    trained = []
    for name, checkpointing in (("kept", False), ("computed_again", True)):
        model = make_model()
        schedule = replace(SCHEDULE, activation_checkpointing=checkpointing)
        train_sequences(model, tokenizer, _sequences(), schedule, tmp_path / name)
        assert model.is_gradient_checkpointing is checkpointing
        trained.append(model.state_dict())
    for name, weight in trained[0].items():
        assert torch.allclose(weight, trained[1][name], atol=1e-6), name


def test_the_decoder_is_compiled_only_while_it_trains(
    make_model: MakeModel,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Perplexity, measured after training, would compile it a second time."""
    num_calls = 0

    def compiled(function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def counted(*inputs: Any, **options: Any) -> Any:
            nonlocal num_calls
            num_calls += 1
            return function(*inputs, **options)

        return counted

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(training, "compiling_pays", lambda *_: True)
    model = make_model()
    trainer = train_sequences(model, tokenizer, _sequences(), SCHEDULE, tmp_path)
    assert num_calls == trainer.state.global_step > 0
    losses.perplexity(model, PackedRows(np.ones((2, 9), np.int32), np.ones((2, 9), np.float16)))
    assert num_calls == trainer.state.global_step


if __name__ == "__main__":  # one process of test_two_processes_have_the_losses_of_one
    out = Path(sys.argv[1])
    train_sequences(
        AutoModelForCausalLM.from_pretrained(out),
        AutoTokenizer.from_pretrained(out),
        _sequences(),
        replace(SCHEDULE, save_every_steps=1000),
        out,
    )
