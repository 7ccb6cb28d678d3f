"""The setting of a benchmark: a recipe, its run folder, and models trained for the benchmark.

Recipe, run folder -> folders of models; each is made once and kept until its inputs change
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Measured
from steiner.pipeline import runs as pipeline
from steiner.pipeline.stage import Stage, Stamp, read_stamp, run_stage, stage_digest
from steiner.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Setting:
    """One call of the benchmark."""

    recipe: Recipe
    recipe_name: str
    """As the command line names it."""
    run_dir: Path
    """The folder of `make run`; missing or outdated stages are made there."""
    cache: Path
    """Folder of baselines, ablations and graded answers."""
    problems: int = 500
    """Per family of each suite, or as many as there are."""
    seeds: int = 2
    """Of each ablation."""
    ablation_steps: int = 30
    """rl.steps of each ablation."""
    repeats: int = 3
    """Of timings."""
    base: str = "HuggingFaceTB/SmolLM2-135M-Instruct"
    """The real base that speed, memory and GSM8K are measured with."""
    gsm8k: str = "openai/gsm8k"
    """A folder with train.jsonl and test.jsonl, or the data set on the Hub."""
    bbh: str = "lukaemon/bbh"
    """A folder with BIG-Bench-Hard's NAME.json, or the data set on the Hub."""
    tokens: int = 1_000_000
    """Training tokens of each model on GSM8K."""
    rl_steps: int = 20
    """RL steps on GSM8K."""

    def base_folder(self, kind: str) -> Path:
        """The folder of a benchmark's own models, one for each real base and number of tokens."""
        name = re.sub(r"\W+", "-", Path(self.base).name)
        return self.cache.parent / f"{kind}-{name}-{self.tokens}"

    def stage(self, name: str) -> Path:
        """The folder of a stage of the run; it and its inputs are made if missing or outdated."""
        for needed in pipeline.stage_named(name).inputs:
            self.stage(needed)
        if not self._is_current(pipeline.stage_named(name)):
            pipeline.run(self.recipe, self.run_dir, only=name)
        return self.run_dir / name

    def _is_current(self, stage: Stage) -> bool:
        stamp = read_stamp(self.run_dir / stage.name)
        digest = stage_digest(stage, self.recipe, self.run_dir)
        return stamp is not None and stamp.digest == digest

    def trained(
        self, name: str, recipe: Recipe, work: Callable[[Recipe, Path], None], *inputs: object
    ) -> tuple[Path, Stamp]:
        """The folder that `work(recipe, folder)` fills, and its cost.

        The work is resumed if it was killed, and repeated if the recipe's data, sft or rl or one of
        `inputs` has changed.
        """
        stage = Stage(
            name,
            "a model that is trained for a benchmark",
            keys=("seed", "language", "problems", "sft", "rl"),
            inputs=(),
            work=lambda recipe, _, out_dir: work(recipe, out_dir),
            fingerprint=lambda _: "/".join(map(str, inputs)),
        )
        return self.cache / name, run_stage(stage, recipe, self.cache)


Figure = Callable[[Setting], Iterator[Measured]]
"""Measures all values of one figure."""
