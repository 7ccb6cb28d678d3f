"""Rates of steps, and the search trees of transcripts, on walks through real DAGs."""

from dataclasses import replace

import pytest

from steiner.dags.source import SolverDagSource
from steiner.evaluation.behaviour import answer_rates, step_rates, traces
from steiner.evaluation.model_runner import ItemCompletion
from steiner.evaluation.suites import EvalItem
from steiner.evaluation.transcripts import select_transcripts, transcript
from steiner.types import Decision, Rollout, StopReason
from tests.evaluation.conftest import paths

DAGS = SolverDagSource()


def _rates(searches):
    return answer_rates(searches) | step_rates(traces(searches, DAGS))


def _search(path, steps=None):
    rollout = Rollout(
        prompt_ids=(1,),
        token_ids=(1, 2, 3),
        logprobs=(0.0, 0.0, 0.0),
        stop_reason=StopReason.END,
        steps=tuple(steps or path.steps),
        answer=path.answer,
        well_formed=True,
    )
    return ItemCompletion(EvalItem("test", path.problem), rollout)


def _whole(family, count):
    return [path for path in paths(family, count, "behaviour") if not path.truncated]


def test_a_correct_walk_has_no_faults():
    walks = _whole("countdown", 12)
    searches = [_search(path) for path in walks]
    rates = _rates(searches)
    steps = [step for path in walks for step in path.steps]
    num_backtracks = sum(step.decision is Decision.BACKTRACK for step in steps)
    assert rates["backtracks"].value == pytest.approx(num_backtracks / len(steps))
    assert rates["backtracks_rightly"].value == 1
    assert rates["verifies_rightly"].value == 1
    for fault in ("repeats", "illegal", "miscomputes", "breaks_format", "runs_out"):
        assert rates[fault].value == 0


def test_a_wrong_verification_and_a_repeated_step_are_counted():
    path = next(p for p in _whole("countdown", 20) if len(p.steps) >= 5)
    reading, *steps = path.steps
    claim = replace(steps[0].texts, verification=steps[-1].texts.verification)
    wrong = [reading, replace(steps[0], texts=claim), *steps[1:]]
    one = _rates([_search(path, wrong)])
    assert one["verifies_rightly"].value == pytest.approx(1 - 1 / len(path.steps))
    back = replace(steps[0], decision=Decision.BACKTRACK)
    again = _search(path, [reading, back, *steps])
    assert _rates([again])["repeats"].value == pytest.approx(1 / (len(path.steps) + 1))


def test_every_step_has_its_parent_in_the_tree():
    for path in _whole("mini_sudoku", 6):
        search = _search(path)
        drawn = transcript("rl", search, traces([search], DAGS)[0], right=True)
        depths = {None: -1}
        for index, (step, entry) in enumerate(zip(path.steps, drawn["steps"], strict=True)):
            assert entry["parent"] is None or entry["parent"] < index
            depths[index] = depths[entry["parent"]] + 1
            assert depths[index] == step.depth
        assert drawn["steps"][-1]["kind"] == "goal"
        assert not any(entry["faults"] for entry in drawn["steps"])


def test_transcripts_are_the_median_searches():
    walks = _whole("countdown", 30)
    searches = [_search(path) for path in walks]
    (chosen,) = select_transcripts("rl", searches, traces(searches, DAGS))
    lengths = sorted(
        len(path.steps)
        for path in walks
        if any(step.decision is Decision.BACKTRACK for step in path.steps)
    )
    assert chosen["right"]
    assert len(chosen["steps"]) == lengths[len(lengths) // 2]
