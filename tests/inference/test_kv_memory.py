"""Free memory, as the kernel and control groups state it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from steiner.inference.kv_memory import default_kv_memory, free_memory
from steiner.progress import shown_size

CPU = torch.device("cpu")


def _write(root: Path, **files: str) -> Path:
    """Files below `root`; __ in a name stands for /."""
    for name, content in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return _write(tmp_path, proc__meminfo="MemTotal: 9000 kB\nMemAvailable:   8000 kB\n")


def test_without_a_group_it_is_what_the_kernel_calls_available(root: Path) -> None:
    assert free_memory(CPU, root) == 8000 * 1024


def test_the_tightest_group_counts_and_unused_pages_of_files_are_free(root: Path) -> None:
    _write(root, proc__self__cgroup="0::/pod/box\n")
    groups = root / "sys/fs/cgroup"
    for group, most, used in (("pod", "5000000", "1000000"), ("pod/box", "max", "700000")):
        folder = groups / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(most + "\n")
        (folder / "memory.current").write_text(used + "\n")
        (folder / "memory.stat").write_text("anon 5\ninactive_file 300000\nactive_file 7\n")
    assert free_memory(CPU, root) == 5_000_000 - 1_000_000 + 300_000


def test_the_first_version_of_groups(root: Path) -> None:
    _write(root, proc__self__cgroup="4:cpu,memory:/box\n2:pids:/box\n0::/\n")
    folder = root / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("2000000")
    (folder / "memory.usage_in_bytes").write_text("500000")
    (folder / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 2000\n")
    assert free_memory(CPU, root) == 1_502_000


def test_a_group_above_its_limit_leaves_nothing(root: Path) -> None:
    _write(root, proc__self__cgroup="0::/\n")
    folder = root / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("1000")
    (folder / "memory.current").write_text("5000")
    (folder / "memory.stat").write_text("")
    assert free_memory(CPU, root) == 0


def test_elsewhere_all_memory_counts(tmp_path: Path) -> None:
    assert free_memory(CPU, tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_the_default_is_half_of_what_is_free_here() -> None:
    assert default_kv_memory(CPU) == pytest.approx(free_memory(CPU) / 2, rel=0.2)


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [
        (2_500_000_000, "2.5 GB"),
        (10_660_000_000, "10.7 GB"),
        (640_000_000, "640 MB"),
        (95_354, "95.4 KB"),
        (196, "196 bytes"),
    ],
)
def test_sizes_are_shown_in_words(num_bytes: int, shown: str) -> None:
    assert shown_size(num_bytes) == shown
