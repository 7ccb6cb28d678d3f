"""A whole run on own questions: a scripted teacher, a tiny base, RL with the teacher's evidence.

The base learns two questions by heart, wrong turns included, so that its rollouts reach nodes of
the teacher's DAGs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from steiner.cli.main import main
from steiner.evaluation.results import read_results
from steiner.format.tokenizer import train_tokenizer
from steiner.questions.written import canonical_question
from steiner.tasks import unregister
from steiner.types import Split, problem_key, split_of
from tests.small_model import small_qwen2
from tests.teacher.scripted_endpoint import Script, scripted_endpoint, written_steps

SETTINGS = {
    "questions.name": "sums",
    "questions.paths_per_question": 8,
    "synth.explore": 0.6,
    "cpt.tokens": 4_000,
    "cpt.adam_lr": 1e-2,
    "sft.tokens": 40_000,
    "sft.batch_tokens": 1024,
    "sft.adam_lr": 1e-2,
    "rl.steps": 2,
    "rl.problems_per_step": 2,
    "rl.rollouts_per_problem": 8,
    "rl.max_steps": 6,
    "rl.max_tokens": 300,
    "eval.problems_per_family": 2,
    "eval.budgets": [2, 4],
    "eval.samples": 1,
    "eval.max_tokens": 300,
}


def _questions(split: Split, count: int) -> list[list[int]]:
    """The numbers of questions in one split."""
    found = []
    for n in range(1000):
        numbers = [3 + n, 40 + n, 5]
        key = problem_key("sums", canonical_question(_text(numbers)))
        if split_of(key) is split:
            found.append(numbers)
        if len(found) == count:
            break
    return found


def _text(numbers: Iterable[int]) -> str:
    return f"What is {' + '.join(map(str, numbers))}?"


def _file(path: Path, questions: Iterable[list[int]]) -> str:
    rows = [{"question": _text(numbers), "answer": str(sum(numbers))} for numbers in questions]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


def _base(folder: Path, questions: Iterable[list[int]]) -> str:
    """A model with random weights whose tokenizer knows the words of the questions."""
    texts = [_text(numbers) + written_steps(numbers, 0, numbers[0], 0) for numbers in questions]
    tokenizer = train_tokenizer([*texts, "The sum in the last step is too large."] * 20, 400)
    torch.manual_seed(0)
    small_qwen2(len(tokenizer), max_position_embeddings=1024).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@dataclass(frozen=True)
class _Run:
    folder: Path
    command: list[str]
    script: Script


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Run]:
    """A finished run; its teacher still answers."""
    folder = tmp_path_factory.mktemp("own")
    train, test = _questions(Split.TRAIN, 2), _questions(Split.TEST, 2)
    settings = SETTINGS | {
        "questions.source": _file(folder / "train.jsonl", train),
        "questions.test": _file(folder / "test.jsonl", test),
        "questions.grader": "number",
        "base.model": _base(folder / "base", train),
        "teacher.model": "scripted",
    }
    script = Script()
    with scripted_endpoint(script) as url:
        command = ["run", "--recipe", "questions", "--teacher-url", url]
        command += [*_set(settings), "--out", str(folder / "run")]
        assert main(command) == 0
        unregister("sums")  # each command registers it again
        yield _Run(folder / "run", command, script)


def _set(settings: Mapping[str, object]) -> list[str]:
    pairs = (("--set", f"{key}={json.dumps(value)}") for key, value in settings.items())
    return [word for pair in pairs for word in pair]


def _log(run_dir: Path) -> list[dict[str, float]]:
    state = json.loads((run_dir / "logs" / "rl" / "trainer_state.json").read_text())
    history: list[dict[str, float]] = state["log_history"]
    return history


def test_from_a_file_to_a_report(finished: _Run) -> None:
    assert (finished.folder / "report" / "report.html").is_file()
    results = read_results(finished.folder / "evaluate" / "results.json")
    assert results.suites["test"] == {"sums": 2}
    assert results.leaked == dict.fromkeys(results.leaked or {}, 0)


def test_rl_gets_step_rewards_from_the_teachers_evidence(finished: _Run) -> None:
    log = _log(finished.folder)
    assert any(entry.get("step_reward") for entry in log)
    assert any(entry.get("term/closeness") for entry in log)  # by the values of nodes


def test_the_same_command_again_asks_nothing(
    finished: _Run, capsys: pytest.CaptureFixture[str]
) -> None:
    num_asked = finished.script.requests.total()
    assert main(finished.command) == 0
    assert finished.script.requests.total() == num_asked > 0
    assert capsys.readouterr().err.count("up to date") == 6


TASK_FILE = """
from steiner.tasks import Task
from tests.toy_task import Sums
from steiner.tasks.graders import Number

TASK = Task("file_sums", generator=Sums(), grader=Number())
"""


@pytest.mark.parametrize("name", ["gym:chain_sum", "file_sums"])
def test_a_task_without_paths_is_trained_by_rl_and_evaluated(
    name: str, finished: _Run, tmp_path: Path
) -> None:
    given = name
    if name == "file_sums":
        given = str(tmp_path / "mine.py")
        Path(given).write_text(TASK_FILE, encoding="utf-8")
    run_dir = tmp_path / "run"
    shutil.copytree(finished.folder, run_dir)
    few = {key: value for key, value in SETTINGS.items() if key.startswith(("rl.", "eval."))}
    few |= {"rl.steps": 1, "rl.rollouts_per_problem": 2}
    options = ["--task", given, *_set(few), "--out", str(run_dir)]
    assert main(["train", "rl", *options]) == 0
    assert f"accuracy/{name}" in _log(run_dir)[0]
    assert main(["eval", *options, "--model", str(run_dir / "rl")]) == 0
    folder = run_dir / f"evaluate-{name.replace(':', '-')}"
    assert read_results(folder / "results.json").suites["test"] == {name: 2}
