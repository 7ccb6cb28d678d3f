"""A user's own task in one Python file.

FILE.py that defines TASK -> Task, registered under its name
"""

from __future__ import annotations

import runpy
from pathlib import Path

from steiner.tasks import Task, register
from steiner.types import SteinerError, UserError

_HINT = "end it with TASK = Task(name, generator, grader): docs/extending.md"


def register_task_file(file: str) -> Task:
    """Registers the task that `file` defines as TASK. Raises UserError if there is none."""
    if not Path(file).is_file():
        raise UserError(f"no task file {file}", _HINT)
    try:
        found = runpy.run_path(file).get("TASK")
    except SteinerError:
        raise
    except Exception as error:
        message = f"the task file {file} fails: {type(error).__name__}: {error}"
        raise UserError(message, f"correct it until `python {file}` runs") from error
    if not isinstance(found, Task):
        raise UserError(f"the task file {file} defines no TASK", _HINT)
    register(found)
    return found
