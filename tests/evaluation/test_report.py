"""The report of a real evaluation: self-contained, and interactive in a real browser."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from steiner.dags.source import SolverDagSource
from steiner.evaluation.behaviour import traces
from steiner.evaluation.model_runner import ItemCompletion
from steiner.evaluation.report import write_report
from steiner.evaluation.suites import EvalItem
from steiner.evaluation.transcripts import transcript
from steiner.files import write_json
from steiner.types import Rollout, RunError, StopReason, UserError
from tests.evaluation.conftest import paths

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def report(evaluated):
    """The report of the run, with logs as the stages leave them and a walk through a real DAG."""
    run_dir = evaluated.run_dir
    path = next(p for p in paths("countdown", 30, "report") if len(p.steps) >= 5)
    rollout = Rollout((1,), (1,) * 90, (0.0,), StopReason.END, path.steps, path.answer, True)
    search = ItemCompletion(EvalItem("test", path.problem), rollout)
    drawn = transcript("rl", search, traces([search], SolverDagSource())[0], right=True)
    drawn["question"] += " <script>alert('not text')</script>"
    write_json(run_dir / "evaluate" / "transcripts.json", {"transcripts": [drawn]})
    log = [{"step": 10, "loss": 2.5}, {"step": 20, "loss": 1.5}]
    write_json(run_dir / "logs" / "cpt" / "trainer_state.json", {"log_history": log})
    write_json(run_dir / "logs" / "cpt" / "perplexity.json", {"before": 10.0, "after": 10.1})
    counts = {"dags": 1234, "paths": 5678, "distinct problems": 1200}
    counts |= {"problems drawn: countdown": 1300, "distinct problems: countdown": 1200}
    write_json(run_dir / "synth" / "manifest.json", {"counts": counts})
    return write_report(run_dir, run_dir / "report"), drawn


@pytest.fixture(scope="module")
def page(report):
    """The report in Chromium, with what it said and asked for while it loaded."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        opened = browser.new_page()
        opened.said, opened.asked = [], []
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.goto(report[0].as_uri())
        yield opened
        browser.close()


class _Tags(HTMLParser):
    """Collects open tags, ids and links."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[key] for key in ("src", "href") if key in found and tag != "a"]
        if tag not in ("meta", "link", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_complete_and_has_no_outside_links(report):
    text = report[0].read_text()
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert all(link.startswith(("#", "data:")) for link in tags.links)
    assert not re.search(r"@import|url\((?!#)", text)


def test_it_shows_the_results(report, evaluated):
    text = report[0].read_text()
    mean = evaluated.results.find("accuracy", stage="rl", family="all")[0]
    assert f"{100 * mean.value:.0f} %" in text
    assert "1,234" in text
    assert re.search(r"Countdown</th><td class=\"num\">1,300</td><td class=\"num\">1,200", text)
    assert "+1.0 %" in text
    assert "Missing files, whose values are not shown: manifest.json." in text


def test_text_of_the_model_is_escaped(report):
    assert "<script>alert" not in report[0].read_text()


def test_page_has_no_console_output_and_no_requests(page, report):
    assert page.said == []
    assert page.asked == [report[0].as_uri()]


def test_every_step_has_a_node_of_its_kind(page, report):
    _, drawn = report
    nodes = page.locator("svg.tree [role=treeitem]")
    assert nodes.count() == len(drawn["steps"])
    for index, step in enumerate(drawn["steps"]):
        assert f"kind-{step['kind']}" in nodes.nth(index).get_attribute("class")
    assert page.locator("svg.tree .edge").count() == len(drawn["steps"])


def test_arrow_keys_select_steps_in_the_tree_and_the_list(page, report):
    _, drawn = report
    nodes = page.locator("svg.tree [role=treeitem]")
    nodes.nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    active = page.locator(".step.is-active")
    assert active.count() == 1
    assert active.get_attribute("data-label") == drawn["steps"][2]["next_step"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Step 3")
    page.keyboard.press("End")
    assert active.get_attribute("data-label") == drawn["steps"][-1]["next_step"]


def test_the_slider_hides_later_steps(page, report):
    _, drawn = report
    slider = page.get_by_label("Steps shown")
    slider.fill("2")
    assert page.locator(".node.is-later").count() == len(drawn["steps"]) - 2
    slider.fill(str(len(drawn["steps"])))
    assert page.locator(".node.is-later").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.set_viewport_size({"width": 1280, "height": 800})


def test_missing_results_are_an_error_with_a_hint(tmp_path):
    with pytest.raises(UserError, match="no results") as caught:
        write_report(tmp_path, tmp_path)
    assert "steiner eval" in caught.value.hint


def test_incomplete_results_are_a_one_line_error(evaluated, tmp_path):
    whole = (evaluated.run_dir / "evaluate" / "results.json").read_text()
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "results.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"cannot read .*results\.json"):
        write_report(tmp_path, tmp_path)
    assert json.loads(whole)["final"] == "rl"
