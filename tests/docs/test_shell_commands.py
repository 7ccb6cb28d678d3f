"""The checks of the documentation's commands refuse what would not work."""

from __future__ import annotations

import pytest

from tests.docs.shell_commands import check_command, commands


@pytest.mark.parametrize(
    "line",
    [
        "steiner train rl --set rl.steps=10",
        ". .venv/bin/activate && .venv/bin/steiner serve --port 8001",
        'make run ARGS="--recipe smoke"  # in a minute',
        'make bench FIGURE="rl --problems 100"',
        "STEINER_API_KEY=secret steiner serve --model runs/tiny/rl",
        "echo 'Make 21 from 9, 6, 3.' | steiner chat > runs/answers.txt",
        "vllm serve MODEL --logits-processors steiner.serving.vllm.logits_processor:StepBudget",
        "python -m benchmarks.run",
    ],
)
def test_working_command_passes(line: str) -> None:
    check_command(line)


@pytest.mark.parametrize(
    "line",
    [
        "steiner trian rl",
        "steiner serve --ports 8001",
        "steiner train rl --set rl.step=10",
        "steiner run --recipe tny",
        "steiner plan tny",
        "echo yes | steiner nothing",
        "make everything",
        "make run ARG=1",
        'make bench FIGURE="fastest"',
        "cat steiner/nothing.py",
        "vllm serve MODEL --logits-processors steiner.serving.vllm.logits_processor:Nothing",
        "python -m benchmarks.nothing",
        "stiener run",
    ],
)
def test_broken_command_is_refused(line: str) -> None:
    with pytest.raises(Exception, match=r"."):
        check_command(line)


def test_commands_of_a_block_without_comments_and_output() -> None:
    text = "# a comment\nmake run \\\n    PYTHON=python3\n\nsteiner chat  # talk\n"
    assert list(commands(text, prompted=False)) == [
        "make run PYTHON=python3",
        "steiner chat  # talk",
    ]
    assert list(commands("$ make run\nsynth 22 s\n", prompted=True)) == ["make run"]
