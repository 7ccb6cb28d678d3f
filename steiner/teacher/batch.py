"""A teacher behind a command that answers a file of requests: vLLM offline, or any other program.

TeacherRequests -> file -> command -> file -> Replies

    steiner synth --questions mine.jsonl --teacher models/qwen \\
        --teacher-batch "vllm run-batch -i {input} -o {output} --model {model}"

The files are those of OpenAI's Batch API, a request or a response on each line. A request's
`custom_id` is its digest, so a line is never taken for the reply to another request. Replies are
read while the command runs, if it writes them then. If this process is killed, the command
continues; the next run waits for its end and takes the replies that it has written.

Requests without a reply go into another run of the command as long as the last one answered any.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from steiner.files import clear_disk_errors, model_digest
from steiner.progress import plural, say
from steiner.recipe import TeacherRecipe
from steiner.teacher.batch_output import WaitingRequests
from steiner.teacher.chat_completions import ResponseReader, identity_of, request_body
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import RunError, UserError, reason_of

RUNS = 3
"""Runs of the command for one request before it fails for good."""
_PAUSE_S = 0.5
"""Seconds between two looks at the output."""
_PATIENCE_S = 10.0
"""Seconds that an interrupted command has before it is killed."""
_PATH = "/v1/chat/completions"


class BatchTeacher:
    """Runs `settings.batch_command`, with its files in `folder`."""

    def __init__(self, settings: TeacherRecipe, folder: Path) -> None:
        """Raises UserError if the command cannot be used."""
        _require_no_other_teacher(settings)
        self._arguments = _arguments(settings.batch_command)
        self.identity = identity_of(model_digest(settings.model), settings)
        self._settings, self._folder = settings, folder.resolve()
        self._input, self._output = self._folder / "input.jsonl", self._folder / "output.jsonl"
        self._log = self._folder / "log"
        self._reader = ResponseReader(
            settings, "behind teacher.batch_command", "teacher.batch_command"
        )

    def replies(
        self,
        requests: Sequence[TeacherRequest],
        on_reply: Callable[[int, Reply], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Raises UserError for a wrong model or command, RunError if the command fails."""
        waiting = WaitingRequests(requests, self.identity, on_reply, self._reader)
        with clear_disk_errors(self._folder), _alone(self._folder) as lock:
            waiting.take_replies(self._output)
            for run in range(RUNS):
                num_before = len(waiting)
                if not num_before:
                    break
                if not may_go_on():
                    return
                if run:
                    say(f"teacher    asks {plural(num_before, 'request')} again: {waiting.why()}")
                self._run(waiting, lock)
                if len(waiting) == num_before:
                    break
        waiting.finish()

    def _run(self, waiting: WaitingRequests, lock: IO[str]) -> None:
        """One run of the command for the requests that have no reply yet."""
        with self._input.open("w", encoding="utf-8") as file:
            for digest, request in waiting:
                body = request_body(request, self._settings, self.identity)
                line = {"custom_id": digest, "method": "POST", "url": _PATH, "body": body}
                file.write(json.dumps(line) + "\n")
        self._output.unlink(missing_ok=True)
        process = self._started(lock)
        try:
            position = 0
            while _is_running(process):
                position = waiting.take_new(self._output, position)
            waiting.take_all(self._output)
        except BaseException:
            _end(process)
            raise
        self._check(process.returncode, waiting)

    def _started(self, lock: IO[str]) -> subprocess.Popen[bytes]:
        """The command, with a copy of the lock, in a process group of its own."""
        values = {
            "{input}": str(self._input),
            "{output}": str(self._output),
            "{model}": self._settings.model,
        }
        with self._log.open("wb") as log:
            try:
                process = subprocess.Popen(
                    [_filled(argument, values) for argument in self._arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=[lock.fileno()],
                )
            except OSError as error:
                raise UserError(
                    f"cannot start {self._arguments[0]} of teacher.batch_command: {error.strerror}",
                    "give the path of the program, such as /opt/vllm/bin/vllm",
                ) from error
        lock.truncate(0)
        lock.write(str(process.pid))
        lock.flush()
        return process

    def _check(self, status: int, waiting: WaitingRequests) -> None:
        """Raises RunError if the command failed before it answered all requests."""
        if not waiting:
            return
        hint = f"see {self._log}; answered requests are kept, and the same command continues"
        if status:
            how = f"exit status {status}" if status > 0 else f"ended by signal {-status}"
            raise RunError(f"teacher.batch_command failed, {how}: {_complaint(self._log)}", hint)
        if not self._output.exists():
            raise RunError(f"teacher.batch_command wrote no file {self._output}", hint)


def _require_no_other_teacher(settings: TeacherRecipe) -> None:
    for key, value in {"teacher.url": settings.url, "teacher.ray": settings.ray}.items():
        if value:
            hint = "leave one out; the command itself may use many GPUs or machines"
            raise UserError(f"teacher.batch_command and {key} are both set", hint)
    if not settings.model:
        raise UserError("teacher.model is empty", "name the model that the command loads")


def _arguments(command: str) -> list[str]:
    """The command as a list. Raises UserError if it cannot be read, or names no files."""
    example = "write it as in: vllm run-batch -i {input} -o {output} --model {model}"
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        reason = reason_of(error)
        raise UserError(f"teacher.batch_command cannot be read: {reason}", example) from error
    for name in ("{input}", "{output}"):
        if name not in command:
            raise UserError(f"teacher.batch_command has no {name}", example)
    return arguments


def _filled(argument: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        argument = argument.replace(name, value)
    return argument


@contextmanager
def _alone(folder: Path) -> Iterator[IO[str]]:
    """Yields a lock that the command inherits, so that it is held until the command ends, even if
    this process is killed. Waits for it first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            say(f"teacher    waits for the command of an earlier run, process {lock.read()}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield lock
        finally:
            path.unlink(missing_ok=True)  # a server that the command has left running may hold it


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    """Waits for a moment first."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PAUSE_S)
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupts the command and its processes, as Ctrl-C does, and kills those that remain."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_PATIENCE_S)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _complaint(log: Path) -> str:
    """The last line that the command printed, one about an error if there is any."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    errors = [line for line in lines if "error" in line.casefold()]
    return ((errors or lines or ["it printed nothing"])[-1]).strip()[:200]
