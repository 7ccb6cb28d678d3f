"""How much memory the KV cache may take by default.

device -> bytes

By default it is a share of the memory that is free when the model is ready to decode. On a CPU that
is what the kernel counts as available, or less if a control group (a container) has a limit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

SHARE = 0.5
"""Of the free memory."""
_GROUP_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Controller -> limit, usage, and the line of memory.stat for unused pages of files; version 2 of
control groups has one hierarchy without a name."""


def default_kv_memory(device: torch.device) -> int:
    """Bytes that the KV cache may take on a device."""
    return int(SHARE * free_memory(device))


def free_memory(device: torch.device, root: Path = Path("/")) -> int:
    """Free bytes of a device, those that PyTorch keeps for itself included. `root` holds `proc` and
    `sys`; where there are none, all memory of the machine counts as free."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    meminfo = root / "proc/meminfo"
    if not meminfo.is_file():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    available = int(_value(meminfo, "MemAvailable:")) * 1024
    return max(0, min([available, *_free_in_groups(root)]))


def _free_in_groups(root: Path) -> Iterator[int]:
    """Bytes that each control group of this process has left."""
    file = root / "proc/self/cgroup"
    for line in file.read_text().splitlines() if file.is_file() else ():
        _, controllers, path = line.split(":", 2)
        for controller, names in _GROUP_FILES.items():
            if controller in controllers.split(","):
                mount = root / "sys/fs/cgroup" / controller
                lowest = mount / path.lstrip("/")
                groups = (g for g in (lowest, *lowest.parents) if g.is_relative_to(mount))
                yield from (_left(g, *names) for g in groups if (g / names[0]).is_file())


def _left(group: Path, limit: str, usage: str, cached: str) -> int:
    """Limit less usage. Pages of files that were not used lately count as free: the kernel drops
    them first."""
    most = (group / limit).read_text().strip()
    if most == "max":
        return sys.maxsize
    used = int((group / usage).read_text())
    return int(most) - used + int(_value(group / "memory.stat", cached))


def _value(file: Path, name: str) -> str:
    """The word behind a name in a file of such lines; 0 if it is not there."""
    lines = (line.split() for line in file.read_text().splitlines())
    return next((words[1] for words in lines if words[0] == name), "0")
