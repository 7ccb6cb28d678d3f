"""Freed memory stays in the process."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import resource
from steiner.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        blocks = [bytearray(8_000_000 + 500_000 * size) for size in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

kept = KEEP and keep_freed_memory()
faults()
print(kept, faults())
"""


def _run(keep: bool) -> tuple[str, int]:
    """Result of keep_freed_memory, and the page faults of allocating the same blocks again."""
    code = CODE.replace("KEEP", str(keep))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept, int(faults)


def test_freed_memory_is_used_again_without_page_faults() -> None:
    _, returned = _run(keep=False)
    kept, reused = _run(keep=True)
    assert kept == str(sys.platform == "linux")
    assert reused < returned / 10


def test_peak_memory_is_that_of_the_work_since_the_reset() -> None:
    code = (
        "from steiner.allocator import *\n"
        "block = bytearray(300_000_000); first = peak_memory_mb(); del block\n"
        "release_freed_memory(); reset_peak_memory()\n"
        "print(first, peak_memory_mb())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    assert first > 300
    assert second < first - 200
