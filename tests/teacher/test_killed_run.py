"""A run that is killed in the middle of its requests continues with the replies that it has."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from steiner.dags.store import read_paths
from tests.teacher.scripted_endpoint import Script, scripted_endpoint

CONCURRENT = 4
NUMBERS = [(2 + n, 30 + 3 * n, 200 + 7 * n) for n in range(30)]


def test_a_killed_run_asks_again_only_what_was_on_its_way(tmp_path: Path) -> None:
    file = tmp_path / "sums.jsonl"
    rows = [
        {"question": f"What is {' + '.join(map(str, n))}?", "answer": str(sum(n))} for n in NUMBERS
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    script = Script()
    with scripted_endpoint(script) as url:
        command = [sys.executable, "-m", "steiner", "synth", "--questions", str(file)]
        command += ["--grader", "number", "--teacher", "scripted", "--teacher-url", url]
        command += ["--set", f"teacher.max_concurrent={CONCURRENT}", "--out", str(tmp_path / "run")]
        killed = subprocess.Popen(command, stderr=subprocess.PIPE)
        while script.requests.total() < 40 and killed.poll() is None:
            time.sleep(0.002)
        killed.kill()
        killed.communicate()
        assert 40 <= script.requests.total() < 200
        before = dict(script.requests)
        subprocess.run(command, check=True, capture_output=True)
        asked_again = [body for body in before if script.requests[body] > 1]
        assert len(asked_again) <= CONCURRENT
        assert max(script.requests.values()) <= 2
        whole = list(read_paths(tmp_path / "run" / "synth" / "paths.parquet"))
        other = [*command[:-1], str(tmp_path / "other")]
        subprocess.run(other, check=True, capture_output=True)
    assert list(read_paths(tmp_path / "other" / "synth" / "paths.parquet")) == whole
