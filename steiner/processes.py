"""Several processes of one run, started by `accelerate launch` or `torchrun`, one per device.

    accelerate launch --multi_gpu -m steiner run --recipe mine.toml

The first process decides, writes and speaks; the others take part in trainings and wait otherwise.
A process that fails ends the others through the launcher.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""How long a process waits for the others, which may evaluate a model meanwhile."""


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    """Number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def wants_sharding() -> bool:
    """True if `accelerate launch` was asked to spread weights over the processes by FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP") == "true"


def is_sharded() -> bool:
    """True if weights are spread over the accelerators of the processes, by FSDP or DeepSpeed."""
    import torch

    by_deepspeed = os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true"
    return torch.cuda.is_available() and (by_deepspeed or wants_sharding())


def is_first() -> bool:
    """True for the process that decides, writes and speaks; always true of a single process."""
    return rank() == 0


def process_state() -> PartialState:
    """accelerate's record of the processes; connects them at the first call."""
    import torch
    from accelerate import PartialState

    options = {"timeout": _PATIENCE} if world_size() > 1 else {}
    return PartialState(cpu=not torch.cuda.is_available(), **options)


def from_first(value: T) -> T:
    """`value` of the first process, in all of them; waits for it."""
    if world_size() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    process_state()
    [value] = broadcast_object_list([value])
    return value


def disconnect() -> None:
    """Ends the connection once all processes are here; one that just exits may abort the others."""
    if world_size() > 1:
        state = process_state()
        state.wait_for_everyone()
        state.destroy_process_group()
