"""Ordinary text as rows of tokens, perplexity by hand, paths up to a number of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle, groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from steiner.dags.path_sampling import Walk
from steiner.dags.solver import build_dag
from steiner.dags.store import path_table
from steiner.data import mixture
from steiner.data.mixture import (
    PROMPT_LOSS,
    ROW_TOKENS,
    encode_paths,
    ordinary_rows,
    pack_documents,
)
from steiner.data.ordinary_text import Document, documents
from steiner.data.packed_rows import PackedRows
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.randomness import random_stream
from steiner.tasks import make_problem
from steiner.training.losses import perplexity
from steiner.types import SearchPath, TokenSequence
from tests.puzzles import walks_through

MakeModel = Callable[[], Qwen2ForCausalLM]
DOCUMENTS = [
    Document(("", "Jugs hold water.")),
    Document(("Who lies?", "A knave."), is_dialogue=True),
    Document(("1 + 1 = ", "2", ". 2 + 3 = ", "5", ".")),
]


def test_whole_documents_lie_side_by_side_each_closed(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = pack_documents(
        cycle(DOCUMENTS), tokenizer, tokens=320, row_tokens=32, show_progress=False
    )
    assert len(rows) == 320 // 32
    texts = [
        "Jugs hold water.<|endoftext|>",
        (
            "<|im_start|>user\nWho lies?<|im_end|>\n"
            "<|im_start|>assistant\nA knave.<|im_end|>\n<|endoftext|>"
        ),
        "1 + 1 = 2. 2 + 3 = 5.<|endoftext|>",
    ]
    for row in rows:
        real = [i for i, weight in zip(row.token_ids, row.loss_weights, strict=True) if weight]
        padding = [i for i, w in zip(row.token_ids, row.loss_weights, strict=True) if not w]
        assert set(padding) <= {tokenizer.pad_token_id}
        left = tokenizer.decode(real)
        assert tuple(row.token_ids[: len(real)]) == tuple(real)
        assert left
        while left:
            left = next(left.removeprefix(text) for text in texts if left.startswith(text))


def test_little_of_the_rows_is_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = pack_documents(
        cycle(DOCUMENTS), tokenizer, tokens=64 * 50, row_tokens=64, show_progress=False
    )
    weights = [weight for row in rows for weight in row.loss_weights]
    assert sum(weight > 0 for weight in weights) > 0.85 * len(weights)


def test_a_document_longer_than_a_row_loses_its_end(tokenizer: PreTrainedTokenizerBase) -> None:
    long = "1 + 1 = 2, " * 20
    rows = pack_documents(
        cycle([Document((long, "2"))]), tokenizer, tokens=48, row_tokens=16, show_progress=False
    )
    expected = tuple(tokenizer.encode(long)[:16])
    assert [row.token_ids for row in rows] == [expected] * 3


def test_a_long_document_may_become_several(tokenizer: PreTrainedTokenizerBase) -> None:
    long = "1 + 1 = 2, " * 20
    whole = [*tokenizer.encode(long), tokenizer.pad_token_id]
    rows = pack_documents(
        iter([Document(("", long))]),
        tokenizer,
        tokens=len(whole) + 16,
        row_tokens=16,
        split_long=True,
        show_progress=False,
    )
    pieces = {row.token_ids for row in rows}
    assert {tuple(whole[i : i + 16]) for i in range(0, len(whole) - 16, 16)} <= pieces


def test_what_can_be_known_carries_loss(tokenizer: PreTrainedTokenizerBase) -> None:
    ends, replies = set(), []
    for document in DOCUMENTS:
        (row,) = pack_documents(iter([document]), tokenizer, 64, show_progress=False)
        known = [weight == 1.0 for weight in row.loss_weights]
        pieces = zip(known, row.token_ids, strict=True)
        groups = [(yes, [i for _, i in group]) for yes, group in groupby(pieces, itemgetter(0))]
        for yes, ids in groups:
            if yes:
                replies.append(tokenizer.decode(ids).strip())
        padding = row.token_ids[sum(weight > 0 for weight in row.loss_weights) :]
        assert set(padding) == {tokenizer.pad_token_id}
        ends |= {weight for weight in row.loss_weights if weight}
    assert sorted(ends) == pytest.approx([PROMPT_LOSS, 1.0], rel=1e-3)
    assert replies == [
        "Jugs hold water.<|endoftext|>",
        "A knave.<|im_end|>",
        "<|endoftext|>",
        "2.",
        "5.<|endoftext|>",
    ]


def test_rows_are_sequences() -> None:
    ids_NT = np.arange(12, dtype=np.int32).reshape(3, 4)
    rows = PackedRows(ids_NT, (ids_NT / 16).astype(np.float16))
    assert rows[1].token_ids == (4, 5, 6, 7)
    assert rows[-1].token_ids == (8, 9, 10, 11)
    assert rows[-1].loss_weights == (0.5, 0.5625, 0.625, 0.6875)
    assert [row.token_ids for row in rows[1:]] == [(4, 5, 6, 7), (8, 9, 10, 11)]
    assert [len(rows), len(rows[:2]), len(list(rows))] == [3, 2, 3]
    with pytest.raises(IndexError):
        rows[3]


def test_fewer_tokens_than_a_row_make_one_row(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = pack_documents(cycle(DOCUMENTS), tokenizer, 3, row_tokens=16, show_progress=False)
    assert [len(row.token_ids) for row in rows] == [16]


# ---------------------------------------------------------------------- perplexity


def rows_of(*ids: list[int]) -> PackedRows:
    """Rows without padding, of which perplexity counts each token alike."""
    weights_NT = np.where(np.arange(len(ids[0])) % 2, 1.0, 0.25).astype(np.float16)
    return PackedRows(np.array(ids, np.int32), np.tile(weights_NT, (len(ids), 1)))


def test_perplexity_by_hand(make_model: MakeModel) -> None:
    model = make_model()
    rows = rows_of([3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9])
    losses = []
    for row in rows:
        with torch.no_grad():
            logprobs_TV = model(torch.tensor([row.token_ids])).logits[0].double().log_softmax(-1)
        losses += [-logprobs_TV[t, row.token_ids[t + 1]].item() for t in range(4)]
    # 3 rows, each predicting 4 tokens: the mean is over 12.
    expected = math.exp(sum(losses) / 12)
    assert len(losses) == 12
    for batch_tokens in (1, 10, 4096):
        found = perplexity(model, rows, batch_tokens=batch_tokens)
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("batch_tokens", "batches"), [(1, [1, 1, 1]), (9, [1, 1, 1]), (14, [2, 1]), (15, [3])]
)
def test_a_batch_has_a_limit_of_tokens_and_at_least_a_row(
    batch_tokens: int, batches: list[int], make_model: MakeModel
) -> None:
    model, found = make_model(), []
    model.get_input_embeddings().register_forward_pre_hook(
        lambda layer, ids: found.append(len(ids[0]))
    )
    perplexity(
        model, rows_of([3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9]), batch_tokens=batch_tokens
    )
    assert found == batches


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_are_in_the_number_format_of_training(
    bf16: bool, dtype: torch.dtype, make_model: MakeModel
) -> None:
    model, products = make_model(), set()
    model.model.layers[0].mlp.down_proj.register_forward_hook(
        lambda layer, inputs, output: products.add(output.dtype)
    )
    rows = rows_of([3, 1, 4, 1, 5])
    found = perplexity(model, rows, bf16=bf16)
    assert products == {dtype}
    assert found == pytest.approx(perplexity(model, rows), rel=0.02)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(
    make_model: MakeModel,
) -> None:
    model = make_model()
    torch.nn.init.zeros_(model.lm_head.weight)  # every logit is 0: each token has chance 1 / V
    rows = rows_of([3, 1, 4])
    assert perplexity(model, rows) == pytest.approx(model.config.vocab_size, rel=1e-5)


def test_perplexity_changes_nothing(make_model: MakeModel) -> None:
    model, before = make_model(), make_model()
    for training in (True, False):
        model.train(training)
        perplexity(model, rows_of([3, 1, 4]))
        assert model.training is training
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before.get_parameter(name))
        assert parameter.grad is None


# ---------------------------------------------------------------------- paths


@pytest.fixture
def paths() -> list[SearchPath]:
    problem = make_problem("countdown", {"numbers": [9, 7, 5, 3], "target": 24})
    return walks_through(build_dag(problem), 20, Walk(explore=0.8), random_stream("mixture"))


def written(paths: list[SearchPath], folder: Path, group: int = 5) -> Path:
    """A paths.parquet with so many paths in a row group."""
    pq.write_table(path_table(paths), folder / "paths.parquet", row_group_size=group)
    return folder / "paths.parquet"


def test_as_many_paths_as_make_the_tokens(
    tokenizer: PreTrainedTokenizerBase, paths: list[SearchPath], tmp_path: Path
) -> None:
    add_reasoning_tokens(tokenizer)
    codec, file = Codec(Vocabulary.require(tokenizer)), written(paths, tmp_path)
    every = [_rounded(codec.encode_path(path)) for path in paths]
    for tokens in (0, 1, 500, 10**9):
        chosen = encode_paths(file, tokenizer, Codec.encode_path, ["countdown"], tokens)
        assert list(chosen) == every[: len(chosen)]
        assert chosen.lengths == [len(sequence.token_ids) for sequence in chosen]
        assert sum(chosen.lengths[:-1]) < max(tokens, 1)
        assert sum(chosen.lengths) >= tokens or len(chosen) == len(paths)


def _rounded(sequence: TokenSequence) -> TokenSequence:
    """With loss weights in half precision, as arrays hold them."""
    return TokenSequence(sequence.token_ids, tuple(map(float, np.float16(sequence.loss_weights))))


def test_all_cores_encode_the_same(
    tokenizer: PreTrainedTokenizerBase,
    paths: list[SearchPath],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_reasoning_tokens(tokenizer)
    file = written(paths, tmp_path, group=2)
    alone = encode_paths(file, tokenizer, Codec.encode_path, ["countdown"], 10**6)
    monkeypatch.setattr(mixture, "_WORTH_A_POOL", 0)
    monkeypatch.setattr(mixture, "_RESULTS_AHEAD", 2)
    pooled = encode_paths(file, tokenizer, Codec.encode_path, ["countdown"], 10**6)
    assert list(pooled) == list(alone)
    shuffled = encode_paths(
        file, tokenizer, Codec.encode_path, ["countdown"], 10**6, rng=random_stream("groups")
    )
    assert list(shuffled) != list(alone)
    assert sorted(s.token_ids for s in shuffled) == sorted(s.token_ids for s in alone)


def test_shards_make_the_same_rows_as_one_after_another(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixture, "_SHARD_TOKENS", 4 * ROW_TOKENS)
    made = ordinary_rows(tokenizer, 10 * ROW_TOKENS, "shards")
    assert len(made) == 10
    sizes = (4 * ROW_TOKENS, 4 * ROW_TOKENS, 2 * ROW_TOKENS)
    for index, size in enumerate(sizes):
        shard = pack_documents(documents("shards", index), tokenizer, size, show_progress=False)
        rows = made[4 * index : 4 * index + 4]
        assert np.array_equal(rows.ids_NT, shard.ids_NT)
        assert np.array_equal(rows.weights_NT, shard.weights_NT)


def test_families_share_the_tokens_evenly(
    tokenizer: PreTrainedTokenizerBase, paths: list[SearchPath], tmp_path: Path
) -> None:
    """Ten short paths of one family to each long one of another; then two parts to one."""
    add_reasoning_tokens(tokenizer)
    codec = Codec(Vocabulary.require(tokenizer))
    jugs = make_problem("jugs", {"capacities": [3, 5], "target": 4, "max_moves": 6})
    long = walks_through(build_dag(jugs), 2, Walk(explore=0.8), random_stream("long"))
    mixed = [*paths[:10], long[0], *paths[10:], long[1]]
    file = written(mixed, tmp_path)
    encoded = {codec.encode_path(path).token_ids: path.problem.family for path in mixed}
    wanted: tuple[tuple[dict[str, float], dict[str, int]], ...] = (
        ({}, {"countdown": 500, "jugs": 500}),
        ({"jugs": 0.5}, {"countdown": 800, "jugs": 400}),
    )
    for shares, least in wanted:
        tokens = sum(least.values())
        families = ["countdown", "jugs", "gym:chain_sum"]  # the last has no paths, so no share
        chosen = encode_paths(file, tokenizer, Codec.encode_path, families, tokens, shares)
        for family, wants in least.items():
            lengths = [len(s.token_ids) for s in chosen if encoded[s.token_ids] == family]
            longest = max(len(ids) for ids, name in encoded.items() if name == family)
            assert wants <= sum(lengths) < wants + longest
