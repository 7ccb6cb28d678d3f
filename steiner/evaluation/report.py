"""The report of a run: one HTML file that needs no network and nothing beside it.

run folder (evaluate/results.json, evaluate/transcripts.json, logs of the stages) -> report.html

What it says is in report_*.py, how it looks in steiner/assets.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from steiner.evaluation import report_plots as plots
from steiner.evaluation import report_tables as tables
from steiner.evaluation import report_text as text
from steiner.evaluation.results import Results, read_results
from steiner.evaluation.training_logs import History, read_history
from steiner.files import read_json, write_text
from steiner.types import UserError

ASSETS = Path(__file__).parent.parent / "assets"


def write_report(
    run_dir: Path,
    out_dir: Path,
    evaluation: str = "evaluate",
    *,
    quantities: Mapping[str, str],
) -> Path:
    """Writes `out_dir/report.html` from what lies in `run_dir`; its path.

    `evaluation` is the folder of the results, below `run_dir`; `quantities` names the logged
    quantity of each training stage. Raises UserError where there are
    none, RunError where a file is cut short.
    """
    folder = run_dir / evaluation
    if not (folder / "results.json").is_file():
        raise UserError(f"no results in {folder}", "run `steiner eval` first")
    results = read_results(folder / "results.json")
    transcripts = read_json(folder / "transcripts.json")["transcripts"]
    page = render(results, transcripts, read_history(run_dir, quantities))
    write_text(out_dir / "report.html", page)
    return out_dir / "report.html"


def render(results: Results, transcripts: list[dict[str, Any]], history: History) -> str:
    """The page."""
    shown = {
        "name": results.recipe["name"],
        "headline": text.headline(results, history),
        "accuracy": tables.accuracy(results),
        "gains": tables.gains(results),
        "terms": tables.terms(results),
        "scaling": _scaling(results),
        "behaviour": tables.behaviour(results),
        "transcripts": [tables.transcript(one) for one in transcripts],
        "legend": tables.LEGEND,
        "training": {
            "plots": plots.training(history),
            "perplexity": text.perplexity(history),
            "counts": [(_count_title(name), f"{n:,}") for name, n in history.counts.items()],
        },
        "method": text.method(results, history),
    }
    shown["sections"] = _sections(shown)
    return str(_template().render(**shown, **_assets()))


def _scaling(results: Results) -> dict[str, Any] | None:
    if not results.find_all("majority@"):
        return None
    return {
        "note": text.scaling_note(results),
        "plots": [plots.by_steps(results), plots.by_tokens(results)],
        "equal": tables.at_equal_tokens(results),
    }


def _count_title(name: str) -> str:
    return "DAGs" if name == "dags" else name.capitalize()


def _sections(shown: dict[str, Any]) -> list[tuple[str, str]]:
    """Anchors and titles of the sections that are there."""
    training = shown["training"]
    present = {
        ("accuracy", "Accuracy by stage"): True,
        ("steps", "What more steps buy"): shown["scaling"],
        ("behaviour", "How it searches"): shown["behaviour"],
        ("searches", "Searches, drawn"): shown["transcripts"],
        ("training", "How it was trained"): any(training.values()),
        ("method", "How this was measured"): True,
    }
    return [section for section, there in present.items() if there]


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("report.html.j2")


def _assets() -> dict[str, Any]:
    """Style and scripts, to be put into the page as they are."""
    from markupsafe import Markup

    files = {
        "tree_css": "search-tree.css",
        "css": "report.css",
        "tree": "search-tree.js",
        "d3": "vendor/d3-hierarchy.min.js",
    }
    return {
        name: Markup((ASSETS / file).read_text(encoding="utf-8")) for name, file in files.items()
    }
