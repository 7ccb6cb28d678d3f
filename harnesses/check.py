"""Checks that both harnesses grade a served model as we do, and that other clients work with it.

model folder -> a table; exit code 1 if a verdict or the answer of a client differs

    make test-harness                           # a tiny model that knows the answers by heart
    make test-harness MODEL=runs/tiny/rl ARGS="--limit 200"

Our verdicts come from the judge of the main suite on the answers that OpenAI's client got. It reads
each problem from its question; the harnesses read it from the file's spec.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openai

from harnesses.held_out import problem_of, read_held_out
from harnesses.runs import MAX_TOKENS, Right, run_clients, run_inspect, run_lm_eval
from steiner.evaluation.suites import EvalItem, suites
from steiner.tasks import Grade
from steiner.types import Problem, RunError, Split, SteinerError

Record = Mapping[str, Any]

_AT_ONCE = 8
_NUM_KNOWN = 8
_STOP_S = 60


def main() -> None:
    """Serves the model, asks it through each program and compares."""
    parser = argparse.ArgumentParser("python -m harnesses.check", description=__doc__)
    parser.add_argument("--model", type=Path, metavar="DIR", help="default: one made for this")
    parser.add_argument("--limit", type=int, default=8, metavar="N", help="problems (%(default)s)")
    parser.add_argument(
        "--programs", type=Path, required=True, metavar="DIR", help="the harnesses'"
    )
    options = parser.parse_args()
    records = read_held_out()[: options.limit]
    try:
        with TemporaryDirectory() as scratch, _served(options.model, records, Path(scratch)) as url:
            found = _verdicts(options.programs.absolute(), url, records, Path(scratch))
            _check_clients(options.programs.absolute(), url, records[0]["question"])
    except SteinerError as error:
        sys.exit(f"error: {error}")
    if not _agree(records, found):
        sys.exit("error: the harnesses differ from our own judge")


@contextmanager
def _served(model: Path | None, records: Sequence[Record], scratch: Path) -> Iterator[str]:
    """The API's address of a server of its own process, as a user would start it."""
    if model is None:
        from harnesses.known_model import write_known_model

        model = scratch / "model"
        print("a model learns the first problems by heart ...", file=sys.stderr)
        write_known_model(records[:_NUM_KNOWN], model)
    command = [sys.executable, "-m", "steiner", "serve", "--model", str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"(http://\S+/v1)", server.stdout.readline())
            if address is None:
                raise RunError("the server did not start")
            yield address[1]
        finally:
            server.terminate()
            server.wait(_STOP_S)


def _verdicts(
    programs: Path, url: str, records: Sequence[Record], scratch: Path
) -> dict[str, Right]:
    """The grades of each judge; all ask at the same time."""
    with ThreadPoolExecutor() as threads:
        jobs = {
            "steiner": threads.submit(_own, url, records),
            "lm-eval": threads.submit(run_lm_eval, programs, url, len(records), scratch / "lm"),
            "inspect": threads.submit(
                run_inspect, programs, url, len(records), scratch / "inspect"
            ),
        }
        return {name: job.result() for name, job in jobs.items()}


def _check_clients(programs: Path, url: str, question: str) -> None:
    """Raises RunError if another client gets another answer than OpenAI's."""
    with openai.OpenAI(base_url=url, api_key="none") as client:
        expected = _ask(client, question).message.content
    for name, answers in run_clients(programs, url, question).items():
        if any(answer != expected for answer in answers):
            raise RunError(f"{name} got {answers}, and OpenAI's client '{expected}'")
        print(f"{name}: the same answer as OpenAI's client")


def _own(url: str, records: Sequence[Record]) -> Right:
    """Our verdicts: what is not whole is wrong, whatever it says."""
    with (
        openai.OpenAI(base_url=url, api_key="none") as client,
        ThreadPoolExecutor(_AT_ONCE) as threads,
    ):
        choices = threads.map(lambda record: _ask(client, record["question"]), records)
        return {
            record["key"]: choice.finish_reason == "stop"
            and suites()["test"].grade(EvalItem("test", _problem(record)), choice.message.content)
            is Grade.RIGHT
            for record, choice in zip(records, choices, strict=True)
        }


def _ask(client: openai.OpenAI, question: str) -> Any:
    answer = client.chat.completions.create(
        model="steiner",
        messages=[{"role": "user", "content": question}],
        max_completion_tokens=MAX_TOKENS,
        temperature=0,
    )
    return answer.choices[0]


def _problem(record: Record) -> Problem:
    """The problem of the line, which is held out."""
    problem = problem_of(record)
    assert problem.split is Split.TEST, record
    return problem


def _agree(records: Sequence[Record], found: Mapping[str, Right]) -> bool:
    """Prints all grades; True if the judges agree on every problem."""
    agreed = True
    print(f"{'family':16}{'key':18}" + "".join(f"{name:>9}" for name in found))
    for record in records:
        verdicts = [right.get(record["key"]) for right in found.values()]
        agreed &= len(set(verdicts)) == 1 and None not in verdicts
        words = "".join(f"{_WORDS[verdict]:>9}" for verdict in verdicts)
        print(f"{record['family']:16}{record['key']:18}{words}")
    shares = "".join(f"{sum(right.values()) / len(records):>9.3f}" for right in found.values())
    print(f"{'accuracy':34}{shares}")
    return agreed


_WORDS = {True: "right", False: "wrong", None: "-"}


if __name__ == "__main__":
    main()
