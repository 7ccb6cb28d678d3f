"""`steiner report`: the report of a run as one HTML file that needs no network and no other file.

run folder (evaluate/results.json, evaluate/transcripts.json, logs of the stages) -> report.html
folder of an evaluation alone (results.json, transcripts.json) -> report.html

report_*.py holds its content, steiner/assets its looks.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from steiner.evaluation import report_plots as plots
from steiner.evaluation import report_tables as tables
from steiner.evaluation import report_text as text
from steiner.evaluation.results import Results, read_results
from steiner.evaluation.training_logs import NO_HISTORY, History, read_history
from steiner.files import read_json, write_text
from steiner.types import UserError

ASSETS = Path(__file__).parent.parent / "assets"


def write_report(run_dir: Path, out_dir: Path) -> Path:
    """Writes `out_dir/report.html` for the run in `run_dir`, and returns its path.

    Raises UserError if there are no results, and RunError if a file is incomplete.
    """
    return _write_page(run_dir / "evaluate", out_dir, read_history(run_dir))


def write_evaluation_report(folder: Path) -> Path:
    """Writes `folder/report.html` for an evaluation of models from elsewhere, of whose training
    nothing is known. Errors as `write_report`."""
    return _write_page(folder, folder, NO_HISTORY)


def _write_page(folder: Path, out_dir: Path, history: History) -> Path:
    """The page of the results in `folder`."""
    if not (folder / "results.json").is_file():
        raise UserError(f"no results in {folder}", "run `steiner eval` first")
    results = read_results(folder / "results.json")
    transcripts = read_json(folder / "transcripts.json")["transcripts"]
    write_text(out_dir / "report.html", render(results, transcripts, history))
    return out_dir / "report.html"


def render(results: Results, transcripts: list[dict[str, Any]], history: History) -> str:
    """The page."""
    content = {
        "name": results.recipe["name"],
        "headline": text.headline(results, history),
        "accuracy": tables.accuracy(results),
        "gains": tables.gains(results),
        "suites": tables.suite_rows(results),
        "budgets": _budgets(results),
        "behaviour": tables.behaviour(results),
        "transcripts": [tables.transcript(one) for one in transcripts],
        "legend": tables.LEGEND,
        "training": {
            "plots": plots.training(history),
            "perplexity": text.perplexity(history),
            "data": tables.data(history),
        },
        "method": text.method(results, history),
    }
    content["sections"] = _sections(content)
    return str(template("report.html.j2").render(**content, **_assets()))


def _budgets(results: Results) -> dict[str, Any] | None:
    if not results.find_all("majority@"):
        return None
    return {
        "note": text.budget_note(results),
        "plots": [plots.by_steps(results), plots.by_tokens(results)],
        "equal": tables.at_equal_tokens(results),
    }


def _sections(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Anchors and titles of the sections that have content."""
    present = {
        ("accuracy", "Accuracy by stage"): True,
        ("suites", "Other questions"): len(content["suites"]) > 1,
        ("budgets", "Step budgets"): content["budgets"],
        ("behaviour", "Search behaviour"): content["behaviour"],
        ("searches", "Example searches"): content["transcripts"],
        ("training", "Training"): any(content["training"].values()),
        ("method", "Method"): True,
    }
    return [section for section, has_content in present.items() if has_content]


@cache
def template(name: str) -> Any:
    """A page's template in ASSETS."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)


def _assets() -> dict[str, Any]:
    """Style sheets and scripts, inlined unescaped."""
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
