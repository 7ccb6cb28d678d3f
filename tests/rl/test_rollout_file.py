"""Scored rollouts: per-token rewards and advantages against hand arithmetic, and the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steiner.dags.path_sampling import Walk
from steiner.dags.solver import build_dag
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.inference.request import Request
from steiner.randomness import random_stream
from steiner.recipe import ProblemsRecipe, Recipe, RlRecipe
from steiner.rl.credit_assignment import StepTokens
from steiner.rl.rewards import StepReward
from steiner.rl.rollout_file import read_rollouts, scored_rollouts, token_rewards, write_rollouts
from steiner.rl.rollout_groups import RolloutGroup, RolloutGroupSource
from steiner.tasks import generate_problems
from steiner.types import Rollout, Split, StopReason, UserError
from tests.puzzles import walks_through

RECIPE = Recipe(
    "export",
    problems=ProblemsRecipe({"countdown": 1}),
    rl=RlRecipe(rollouts_per_problem=3, max_tokens=600),
)


@pytest.fixture(scope="module")
def group() -> RolloutGroup:
    """Three searches for one problem, of which the last answers wrongly."""
    problem = next(generate_problems("countdown", 1, seed=9, split=Split.TRAIN))
    tokenizer = train_tokenizer([problem.question], 420)
    add_reasoning_tokens(tokenizer)
    codec = Codec(Vocabulary.require(tokenizer))
    paths = walks_through(build_dag(problem), 3, Walk(explore=0.4, cut=0.0), random_stream("file"))
    paths[2] = replace(paths[2], answer="I do not know")

    class Walkers:
        def generate(self, requests: list[Request]) -> list[Rollout]:
            prompt = requests[0].prompt_ids
            written = [codec.encode_path(path).token_ids for path in paths]
            completions = [
                ids[len(codec.vocabulary.encode_prompt(problem.messages)) :] for ids in written
            ]
            return [
                codec.decode(
                    prompt,
                    ids,
                    [-0.5] * len(ids),
                    StopReason.END,
                    [True] * 3 + [False] * (len(ids) - 3),
                )
                for ids in completions
            ]

    source = RolloutGroupSource(RECIPE, codec.vocabulary, Walkers())  # type: ignore[arg-type]
    (made,) = source._groups([(0, problem)], seed=0)
    return made


def test_rewards_stand_at_the_tokens_that_earned_them() -> None:
    places = (
        StepTokens(choice=range(3, 6), fault=8, decision=11, written=9),
        StepTokens(choice=range(14, 16), fault=None, decision=None, written=7),
    )
    steps = (
        StepReward({"closeness": 0.5}, {"unsound": -0.5}, {"persistence": -0.1}),
        StepReward({"closeness": 0.25}, {}, {"early_end": -0.3}),  # a decision never written
    )
    rewards = token_rewards(20, places, steps)
    assert {place: reward for place, reward in enumerate(rewards) if reward} == {
        5: 0.5,
        8: -0.5,
        11: -0.1,
        15: 0.25,
    }


def test_rows_by_hand(group: RolloutGroup) -> None:
    weight = 0.5
    rows = list(scored_rollouts([group, group], weight))
    outcomes = [score.outcome for score in group.scores_G]
    assert [row.right for row in rows[:3]] == [True, True, False]
    assert [row.group_id for row in rows] == [
        f"{n}-{group.problem.key}" for n in (0, 0, 0, 1, 1, 1)
    ]
    for row, rollout, score, places in zip(
        rows[:3], group.rollouts_G, group.scores_G, group.step_tokens_G, strict=True
    ):
        assert row.response_ids == rollout.token_ids
        assert row.response_mask == (0, 0, 0) + (1,) * (len(rollout.token_ids) - 3)
        assert sum(row.rewards) == pytest.approx(score.outcome + weight * score.step_total)
        assert row.rewards[-1] == pytest.approx(score.outcome)
        # Outside steps, as in the answer, a token has its rollout's advantage alone.
        assert row.advantages[-1] == pytest.approx(score.outcome - sum(outcomes) / 3)
        first = places[0].choice
        assert row.advantages[first[0]] != row.advantages[-1]
    plain = list(scored_rollouts([group], 0.0))
    assert all(len(set(row.advantages)) == 1 for row in plain)


def test_the_file_reads_back_equal(group: RolloutGroup, tmp_path: Path) -> None:
    rows = list(scored_rollouts([group], 0.5))
    write_rollouts(tmp_path / "rollouts.parquet", rows)
    found = read_rollouts(tmp_path / "rollouts.parquet")
    for one, same in zip(found, rows, strict=True):
        for name in ("rewards", "advantages", "logprobs"):
            assert getattr(one, name) == pytest.approx(getattr(same, name), abs=1e-6)
        rounded = {"rewards": (), "advantages": (), "logprobs": (), "outcome": 0.0}
        assert replace(one, **rounded) == replace(same, **rounded)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no Parquet")
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "corpus.parquet")
    for name in ("text.parquet", "none.parquet", "corpus.parquet"):
        with pytest.raises(UserError, match=f"cannot read rollouts from .*{name}"):
            read_rollouts(tmp_path / name)
