"""Measures figures, merges them into results.json, and renders docs/results.md from it.

figure names -> benchmarks/results.json, docs/results.md;  python -m benchmarks.run [FIGURE ...]

A figure replaces its own rows only, as soon as it is measured. One that fails leaves its old rows
and the other figures alone. Models trained for the benchmark, and the graded answers of every
model, are cached under runs/bench, so that a killed run continues where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from benchmarks import (
    ablations,
    accuracy,
    cold,
    decoding,
    generalization,
    gsm8k,
    machine,
    page,
    perplexity,
    pipeline,
    real_base,
    real_rivals,
    serving,
    throughput,
)
from benchmarks.commit import current_commit
from benchmarks.results import RESULTS, Record, merge_results, record
from benchmarks.setting import Figure, Setting
from steiner.files import locked
from steiner.recipe_file import load_recipe
from steiner.types import SteinerError, UserError

FIGURES: Mapping[str, Figure] = {
    **pipeline.FIGURES,
    **accuracy.FIGURES,
    **generalization.FIGURES,
    **decoding.FIGURES,
    **throughput.FIGURES,
    **perplexity.FIGURES,
    **ablations.FIGURES,
    **cold.FIGURES,
    **serving.FIGURES,
    **real_base.FIGURES,
    **real_rivals.FIGURES,
    **gsm8k.FIGURES,
}
"""Every figure by name, figures of the table first."""

CACHE = Path("runs", "bench")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the figures one after another. Exit code 1 if any failed."""
    options = _parser().parse_args(arguments)
    try:
        names = [_known(name) for name in options.figures or FIGURES]
        setting = _setting(options)
        with locked(setting.cache):
            failed = [name for name in names if not _measure(name, setting, options)]
        if failed:
            print(f"error: not measured: {', '.join(failed)}", file=sys.stderr)
    except SteinerError as error:
        return _say_error(error)
    return min(1, len(failed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    parser.add_argument("--recipe", default="tiny", help="tiny, or a recipe of another run")
    parser.add_argument("--run", type=Path, help="the run's folder; default: runs/<recipe>")
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    parser.add_argument("--page", type=Path, default=page.PAGE, help=argparse.SUPPRESS)
    for name, kind, text in _KNOBS:
        default = Setting.__dataclass_fields__[name].default
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=text)
    return parser


_KNOBS = (
    ("problems", int, "problems per family of each suite"),
    ("seeds", int, "seeds of each ablation"),
    ("ablation_steps", int, "RL steps of each ablation"),
    ("repeats", int, "repeats of timings"),
    ("base", str, "a real base, for the figures of its speed and memory, and of GSM8K"),
    ("gsm8k", str, "folder with GSM8K's train.jsonl and test.jsonl, or its name on the Hub"),
    ("bbh", str, "folder with BIG-Bench-Hard's NAME.json, or its name on the Hub"),
    ("tokens", int, "training tokens of each model made from a real base"),
    ("rl_steps", int, "RL steps on GSM8K"),
)


def _known(name: str) -> str:
    if name in FIGURES:
        return name
    near = get_close_matches(name, FIGURES, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(FIGURES)}"
    raise UserError(f"unknown figure '{name}'", hint)


def _setting(options: argparse.Namespace) -> Setting:
    recipe = load_recipe(options.recipe)
    return Setting(
        recipe=recipe,
        recipe_name=options.recipe,
        run_dir=options.run or Path("runs", recipe.name),
        cache=CACHE / recipe.name,
        **{name: getattr(options, name) for name, _, _ in _KNOBS},
    )


def _measure(name: str, setting: Setting, options: argparse.Namespace) -> bool:
    """Measures a figure and writes it to the results and the page; False if it failed."""
    print(f"{name}: measuring", file=sys.stderr, flush=True)
    start = time.perf_counter()
    try:
        records = list(_records(name, FIGURES[name], setting, options))
    except SteinerError as error:
        _say_error(error)
        return False
    except Exception:  # an error of one figure must not lose the others
        traceback.print_exc()
        return False
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    about = list(_records(page.MACHINE, lambda _: machine.measured_machine(), setting, options))
    merge_results(page.MACHINE, about, options.results)
    page.write_page(merge_results(name, records, options.results), options.page)
    for row in records:
        print(page.row_text(row), flush=True)
    return True


def _records(
    name: str, figure: Figure, setting: Setting, options: argparse.Namespace
) -> Iterator[Record]:
    commit = current_commit()
    for measured in figure(setting):
        yield record(name, measured, _command(name, options), commit, machine.description())


def _command(name: str, options: argparse.Namespace) -> str:
    """The command that measures the figure; it names options that differ from their defaults."""
    defaults = _parser().parse_args([])
    hidden = ("figures", "results", "page")
    words = [name]
    for key, value in vars(options).items():
        if key not in hidden and value != getattr(defaults, key):
            words += [f"--{key.replace('_', '-')}", str(value)]
    return (
        f"make bench FIGURE={name}" if len(words) == 1 else f'make bench FIGURE="{" ".join(words)}"'
    )


def _say_error(error: SteinerError) -> int:
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
