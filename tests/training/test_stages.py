"""Continual pre-training and fine-tuning of a tiny base on real paths."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from steiner.dags.path_sampling import Walk
from steiner.dags.solver import build_dag
from steiner.dags.store import path_table, read_paths
from steiner.data.mixture import ROW_TOKENS, PackedRows
from steiner.data.ordinary_text import Document
from steiner.format.codec import Codec
from steiner.format.grammar import SPECIAL_TOKENS
from steiner.format.tokenizer import Vocabulary
from steiner.models.gguf_files import write_gguf
from steiner.models.loading import load_model
from steiner.randomness import random_stream
from steiner.recipe import BaseRecipe, CptRecipe, ProblemsRecipe, Recipe, SftRecipe
from steiner.tasks import generate_problems
from steiner.training import cpt, sft
from steiner.training.lora import load_for_training
from steiner.training.losses import perplexity
from steiner.types import SearchPath, Split, TokenSequence, UserError
from tests.puzzles import PUZZLES, walks_through

WATER = Document(("What do jugs do? ", "Jugs hold water. " * 8))
MakeModel = Callable[[], Qwen2ForCausalLM]
HELD_OUT = PackedRows(
    np.arange(400, dtype=np.int32).reshape(4, 100), np.ones((4, 100), dtype=np.float16)
)


def _paths() -> Iterator[SearchPath]:
    rng = random_stream("test stages")
    for name in PUZZLES:
        for problem in islice(generate_problems(name, 1, seed=0, split=Split.TRAIN), 3):
            yield from walks_through(build_dag(problem), 5, Walk(explore=0.8, cut=0.5), rng)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "synth").mkdir()
    pq.write_table(path_table(list(_paths())), tmp_path / "synth" / "paths.parquet")
    return tmp_path


@pytest.fixture
def recipe(make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> Recipe:
    folder = tmp_path / "base"
    make_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "recipe.toml").touch()  # as `steiner pretrain` leaves one
    common: dict[str, Any] = {"batch_tokens": 1024, "precision": "fp32", "report_to": "none"}
    return Recipe(
        name="test",
        problems=ProblemsRecipe(dict.fromkeys(PUZZLES, 1)),
        base=BaseRecipe(model=str(folder)),
        cpt=CptRecipe(tokens=6000, ordinary_fraction=0.3, **common),
        sft=SftRecipe(tokens=6000, wrong_turn_loss=0.25, answer_loss=2.0, **common),
    )


@pytest.fixture(autouse=True)
def ordinary_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few words in place of what takes long to make."""
    monkeypatch.setattr(cpt, "documents", lambda *names: cycle([WATER]))
    monkeypatch.setattr(cpt, "held_out_rows", lambda tokenizer: HELD_OUT)


@pytest.fixture
def learnt_from(monkeypatch: pytest.MonkeyPatch) -> list[list[TokenSequence]]:
    """The arguments of each training."""
    given: list[list[TokenSequence]] = []

    def spy(stage: Any) -> None:
        train = stage.train_sequences

        def noted(model: Any, tokenizer: Any, sequences: Any, *others: Any) -> Any:
            given.append(list(sequences))
            return train(model, tokenizer, sequences, *others)

        monkeypatch.setattr(stage, "train_sequences", noted)

    spy(cpt)
    spy(sft)
    return given


def test_base_to_cpt_to_sft(
    recipe: Recipe, run_dir: Path, learnt_from: list[list[TokenSequence]]
) -> None:
    base, base_tokenizer = load_model(recipe.base.source)
    cpt.train(recipe, run_dir, run_dir / "cpt")
    model, tokenizer = load_model(run_dir / "cpt")
    assert len(tokenizer) == len(base_tokenizer) + 14
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    stated = json.loads((run_dir / "cpt" / "logs" / "perplexity.json").read_text())
    assert stated["before"] == pytest.approx(perplexity(base, HELD_OUT), rel=1e-6)
    assert stated["after"] == pytest.approx(perplexity(model, HELD_OUT), rel=1e-6)
    _check_cpt(learnt_from[0], recipe, len(base_tokenizer))

    sft.train(recipe, run_dir, run_dir / "sft")
    tuned, tokenizer = load_model(run_dir / "sft")
    assert not torch.equal(tuned.lm_head.weight, model.lm_head.weight)
    _check_sft(learnt_from[1], run_dir, Vocabulary.require(tokenizer))


@pytest.mark.parametrize(
    ("lora_rank", "four_bit", "num_loads"), [(0, False, 1), (2, False, 1), (2, True, 2)]
)
def test_perplexity_after_training_is_that_of_the_saved_model(
    lora_rank: int,
    four_bit: bool,
    num_loads: int,
    recipe: Recipe,
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trained model is the saved one already, but for LoRA on 4-bit weights; there, it is gone
    before the saved one is loaded."""
    if four_bit:
        pytest.importorskip("bitsandbytes")
    loaded: list[weakref.ref[object]] = []

    def noted(*arguments: Any) -> Any:
        assert not any(model() for model in loaded)
        model, tokenizer = load_for_training(*arguments)
        loaded.append(weakref.ref(model))
        return model, tokenizer

    monkeypatch.setattr(cpt, "load_for_training", noted)
    rates = {"muon_lr": 0.0, "adam_lr": 0.01} if lora_rank else {}
    settings = replace(recipe.cpt, lora_rank=lora_rank, lora_4bit=four_bit, **rates)
    cpt.train(replace(recipe, cpt=settings), run_dir, run_dir / "cpt")
    assert len(loaded) == num_loads
    saved, _ = load_for_training(run_dir / "cpt", settings)
    stated = json.loads((run_dir / "cpt" / "logs" / "perplexity.json").read_text())
    assert stated["after"] == pytest.approx(perplexity(saved, HELD_OUT), rel=1e-5)
    assert stated["after"] != pytest.approx(stated["before"], rel=1e-3)


def _check_cpt(sequences: list[TokenSequence], recipe: Recipe, old_size: int) -> None:
    ordinary = [s for s in sequences if not any(i >= old_size for i in s.token_ids)]
    paths = [s for s in sequences if s not in ordinary]
    assert paths
    assert all(set(sequence.loss_weights) == {1.0} for sequence in paths)
    for row in ordinary:
        is_real = [weight > 0 for weight in row.loss_weights]
        assert is_real == sorted(is_real, reverse=True)  # padding last
        assert {0.0, 1.0} < set(row.loss_weights)
    num_ordinary = sum(len(sequence.token_ids) for sequence in ordinary)
    assert num_ordinary == 6000 * 0.3 // ROW_TOKENS * ROW_TOKENS  # whole rows
    num_reasoning = sum(len(sequence.token_ids) for sequence in sequences) - num_ordinary
    longest = max(len(sequence.token_ids) for sequence in sequences)
    assert 6000 * 0.7 <= num_reasoning < 6000 * 0.7 + len(PUZZLES) * longest


def _check_sft(sequences: list[TokenSequence], run_dir: Path, vocabulary: Vocabulary) -> None:
    """Each starts with its question, without loss; then reasoning, answer and end, with loss."""
    prompts = {
        tuple(vocabulary.encode_prompt(path.problem.messages))
        for path in read_paths(run_dir / "synth" / "paths.parquet")
    }
    start = vocabulary.special_ids[SPECIAL_TOKENS.index("<|reasoning_start|>")]
    weights = set()
    for sequence in sequences:
        begin = sequence.token_ids.index(start)
        assert sequence.token_ids[:begin] in prompts
        assert set(sequence.loss_weights[:begin]) == {0.0}
        assert sequence.loss_weights[begin:].count(0.0) <= 1  # an end that was forced
        assert sequence.loss_weights[-1] == 2.0  # of the answer
        weights |= set(sequence.loss_weights[begin:])
    assert weights == {0.0, 0.25, 1.0, 2.0}
    total = sum(len(sequence.token_ids) for sequence in sequences)
    longest = max(len(sequence.token_ids) for sequence in sequences)
    assert 6000 <= total < 6000 + len(PUZZLES) * longest


def test_tasks_have_their_shares_of_cpt_too(
    recipe: Recipe, run_dir: Path, learnt_from: list[list[TokenSequence]]
) -> None:
    (Path(recipe.base.source) / "recipe.toml").unlink()  # no ordinary text
    few = {name: 0.001 for name in PUZZLES if name != "jugs"}
    longer = replace(recipe.cpt, shares=few, tokens=2 * recipe.cpt.tokens)
    cpt.train(replace(recipe, cpt=longer), run_dir, run_dir / "cpt")
    codec = Codec(Vocabulary.require(load_model(run_dir / "cpt")[1]))
    family = {
        codec.encode_path(path).token_ids: path.problem.family
        for path in read_paths(run_dir / "synth" / "paths.parquet")
    }
    counts = Counter(family[sequence.token_ids] for sequence in learnt_from[0])
    assert counts["jugs"] > 5
    assert all(counts[name] == 1 for name in few)  # a first path always fits


def test_sft_of_a_model_without_the_tokens_is_refused(recipe: Recipe, run_dir: Path) -> None:
    Path(recipe.base.source).rename(run_dir / "cpt")
    with pytest.raises(UserError, match="lacks 14 of the 14 reasoning tokens") as caught:
        sft.train(recipe, run_dir, run_dir / "sft")
    assert "steiner train cpt" in caught.value.hint


def test_another_base_gets_no_text_that_it_does_not_know(
    recipe: Recipe, run_dir: Path, learnt_from: list[list[TokenSequence]]
) -> None:
    (Path(recipe.base.source) / "recipe.toml").unlink()
    cpt.train(recipe, run_dir, run_dir / "cpt")
    assert not (run_dir / "cpt" / "logs" / "perplexity.json").exists()
    _, tokenizer = load_model(run_dir / "cpt")
    start = tokenizer.convert_tokens_to_ids("<|reasoning_start|>")
    assert all(start in sequence.token_ids for sequence in learnt_from[0])


def test_a_gguf_file_is_trained(
    recipe: Recipe, run_dir: Path, learnt_from: list[list[TokenSequence]]
) -> None:
    base, tokenizer = load_model(recipe.base.source)
    file = run_dir / "base.gguf"
    write_gguf(base, tokenizer, file, matrices="f32")
    from_file = replace(recipe, base=BaseRecipe(model=str(file)))
    cpt.train(from_file, run_dir, run_dir / "cpt")
    sft.train(from_file, run_dir, run_dir / "sft")
    trained, its_tokenizer = load_model(run_dir / "sft")
    assert len(its_tokenizer) == len(tokenizer) + 14
    assert its_tokenizer.chat_template == tokenizer.chat_template
    old = base.get_input_embeddings().weight
    new = trained.get_input_embeddings().weight[: len(old)]
    assert 0 < (new - old).abs().max() < 0.5  # it went on from the file's weights
    assert all(learnt_from)


def test_the_user_s_own_text_is_mixed_in_and_its_perplexity_is_measured(
    recipe: Recipe, run_dir: Path, tmp_path: Path, learnt_from: list[list[TokenSequence]]
) -> None:
    corpus = tmp_path / "own.jsonl"
    rows = [{"text": f"Our product number {n} is new."} for n in range(400)]
    corpus.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    own = replace(recipe, cpt=replace(recipe.cpt, corpora={str(corpus): 1.0}))
    cpt.train(own, run_dir, run_dir / "cpt")
    stated = json.loads((run_dir / "cpt" / "logs" / "perplexity.json").read_text())
    assert stated["after"] < stated["before"]
    _, tokenizer = load_model(run_dir / "cpt")
    texts = [tokenizer.decode(sequence.token_ids) for sequence in learnt_from[0]]
    share = sum("Our product" in text for text in texts) / len(texts)
    assert 0 < share < 1


@pytest.mark.parametrize("chapters", [1, 3])
def test_a_short_text_of_the_user_is_mixed_in(
    chapters: int,
    recipe: Recipe,
    run_dir: Path,
    learnt_from: list[list[TokenSequence]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (Path(recipe.base.source) / "recipe.toml").unlink()
    file = run_dir / "handbook.txt"
    text = "\n\n".join(f"Chapter {n} of our handbook. " * 200 for n in range(chapters))
    file.write_text(text, encoding="utf-8")
    own = replace(recipe, cpt=replace(recipe.cpt, corpora={str(file): 1.0}))
    cpt.train(own, run_dir, run_dir / "cpt")
    _, tokenizer = load_model(run_dir / "cpt")
    texts = [tokenizer.decode(sequence.token_ids) for sequence in learnt_from[0]]
    assert 0 < sum("our handbook" in text for text in texts) < len(texts)
    is_measured = (run_dir / "cpt" / "logs" / "perplexity.json").exists()
    assert is_measured == (chapters > 1)
    assert ("no perplexity" in capsys.readouterr().err) == (chapters == 1)


def test_cpt_of_a_damaged_base_is_refused(recipe: Recipe, run_dir: Path) -> None:
    weights = Path(recipe.base.source) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot load a model"):
        cpt.train(recipe, run_dir, run_dir / "cpt")


def test_the_same_seed_learns_the_same(
    recipe: Recipe, run_dir: Path, learnt_from: list[list[TokenSequence]]
) -> None:
    little = replace(recipe, cpt=replace(recipe.cpt, tokens=300, ordinary_fraction=0.0))
    for seed, name in ((0, "a"), (0, "b"), (1, "c")):
        torch.manual_seed(len(learnt_from))  # what ran before must not matter
        cpt.train(replace(little, seed=seed), run_dir, run_dir / name)
    first, again, other = learnt_from
    assert first == again != other
    weights = [load_model(run_dir / name)[0].get_input_embeddings().weight for name in "abc"]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
