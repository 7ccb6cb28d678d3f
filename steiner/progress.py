"""Progress of long work on stderr: a bar with the time left on a terminal, else a few plain lines.

with progress("synth", total=10_000, unit="dag") as done:
    done(250)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from steiner.processes import is_first

_SECONDS_BETWEEN_LINES = 60.0
"""Where stderr is no terminal, a line at most this often."""

_open_bars: list[Any] = []


@contextmanager
def progress(name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yields a function that takes the number of units finished since its last call."""
    if not is_first():
        yield lambda count: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=name, unit=unit, unit_scale=total > 99_999, leave=False) as bar:
            _open_bars.append(bar)
            try:
                yield bar.update
            finally:
                _open_bars.remove(bar)
    else:
        yield _PlainProgress(name, total).advance


@contextmanager
def no_progress(name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """In place of `progress` where nothing is to be shown."""
    yield lambda count: None


def say(line: str) -> None:
    """Print a line on stderr, above an open bar."""
    if not is_first():
        return
    if _open_bars:
        _open_bars[-1].write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def shown_size(num_bytes: int) -> str:
    """`2.5 GB`, `640 MB`, `95.4 KB` or `196 bytes`."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes} bytes"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: "0.4 s", "3 min 12 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plural(number: int, noun: str) -> str:
    """ "1 step", "2 steps"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class _PlainProgress:
    """Prints a line a minute; none for work that takes less.

    The time left is estimated once 1 % is done, without the first report: it may include a
    compilation.
    """

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._said = time.monotonic()
        self._first: tuple[float, int] | None = None
        """Time of the first report, and the units finished then."""

    def advance(self, count: int) -> None:
        """Count `count` more units as finished."""
        self._done += count
        now = time.monotonic()
        if self._first is None:
            self._first = now, self._done
        first_time, first_done = self._first
        if now - self._said < _SECONDS_BETWEEN_LINES or not first_done < self._done < self._total:
            return
        self._said = now
        left = (now - first_time) * (self._total - self._done) / (self._done - first_done)
        share = 100 * self._done / self._total
        estimate = f", about {duration(left)} left" if share >= 1 else ""
        say(f"{self._name:<10} {share:.0f} %{estimate}")
