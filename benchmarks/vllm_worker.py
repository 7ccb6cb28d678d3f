"""Runs in .venv-vllm, without steiner: decodes the prompts of a task once for each line on stdin.

folder of a model with task.json in it -> a line `tokens N` when ready, and after each round
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams


def main(folder: Path) -> None:
    """Warm up, then one round a line until stdin ends."""
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    prompts = [{"prompt_token_ids": prompt} for prompt in task["prompts"]]
    model = _model(folder, longest=max(map(len, task["prompts"])) + task["num_tokens"])
    _round(model, prompts, 16)
    print("tokens 0", flush=True)
    for _ in sys.stdin:
        print(f"tokens {_round(model, prompts, task['num_tokens'])}", flush=True)


def _model(folder: Path, longest: int) -> Any:
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return LLM(
        str(folder),
        skip_tokenizer_init=True,
        dtype=settings["dtype"],
        max_model_len=longest + 1,
        max_num_seqs=64,
        enforce_eager=True,
        enable_prefix_caching=False,
    )


def _round(model: Any, prompts: list[dict[str, list[int]]], num_tokens: int) -> int:
    sampling = SamplingParams(
        temperature=1.0, max_tokens=num_tokens, ignore_eos=True, detokenize=False
    )
    outputs = model.generate(prompts, sampling, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
