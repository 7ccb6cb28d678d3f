"""Looking back: heads that see one token before, and rows whose answers stand in the row."""

from __future__ import annotations

import pytest
import torch

from steiner.data.recall_rows import attend_to_previous_tokens, recall_rows
from tests.small_model import small_qwen2

VOCAB = 200


@pytest.mark.parametrize("heads", [4, 8])
def test_heads_of_the_first_layer_see_one_of_the_tokens_before(heads: int) -> None:
    torch.manual_seed(0)
    model = small_qwen2(
        VOCAB, hidden_size=32 * heads, num_attention_heads=heads, initializer_range=0.02
    )
    attend_to_previous_tokens(model)
    model.set_attn_implementation("eager")
    ids = torch.randint(VOCAB, (1, 300))
    first_HTT = model(ids, output_attentions=True).attentions[0][0]
    for head, distance in enumerate((1, 2, 1, 3) * (heads // 4)):
        seen_T = first_HTT[head].diagonal(-distance)
        assert seen_T.mean() > 0.85


@pytest.mark.parametrize("easy", [True, False])
def test_what_carries_loss_stands_in_the_row_behind_the_same_key(easy: bool) -> None:
    rows = recall_rows(VOCAB, 256 * 50, seed=1, easy=easy)
    assert len(rows) == 50
    asked = 0
    for row in rows:
        ids, weights = row.token_ids, row.loss_weights
        assert set(weights) == {0.0, 1.0}
        places = [i for i, weight in enumerate(weights) if weight and not weights[i - 1]]
        for place in places:
            # The key, and the sign or signs that link it to its value.
            starts = [place - 1] if ids[place - 1] >= 16 else [place - 2, place - 3]
            known = [tuple(ids[start : place + 1]) for start in starts]
            assert any(
                ids[back : back + len(words)] == words
                for words in known
                for back in range(place - len(words))
            )
            asked += 1
    assert asked > 500


def test_easy_rows_have_one_sign_and_one_token() -> None:
    for row in recall_rows(VOCAB, 256 * 10, seed=2, easy=True):
        for place in (i for i, weight in enumerate(row.loss_weights) if weight):
            assert row.loss_weights[place - 1] == 0.0
            assert row.token_ids[place] >= 16
            assert row.token_ids[place - 1] < 16 <= row.token_ids[place - 2]


def test_rows_follow_from_the_seed() -> None:
    first, again, other = (recall_rows(VOCAB, 2560, seed, easy=False) for seed in (1, 1, 2))
    assert first == again
    assert first != other
