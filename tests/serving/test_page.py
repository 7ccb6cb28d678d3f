"""The page, in a real browser, against a real server whose model knows one search by heart."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

from steiner.format import grammar
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.serving.service import Service
from steiner.serving.settings import Settings
from tests.puzzles import PUZZLES
from tests.serving.conftest import running

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
"""Until something that must come is given up: a busy machine is slow, and that is no failure."""
CHAT = "**/v1/chat/completions"
SUMMARY, BACKTRACK = (
    grammar.SPECIAL_TOKENS.index(token)
    for token in ("<|reasoning_step_summary_end|>", grammar.BACKTRACK)
)


class PacedEngine(Engine):
    """Halts where a test wants it to, so that the page can be looked at meanwhile."""

    def __init__(self, *args, **limits):
        super().__init__(*args, **limits)
        self._lock, self._halt_at, self._running = threading.Condition(), None, True

    def run(self, halt_at=None):
        """Continues until some row has written a token of this class."""
        with self._lock:
            self._halt_at, self._running = halt_at, True
            self._lock.notify()

    def step(self):
        if self._halt_at is not None:
            time.sleep(
                0.004
            )  # what comes sooner is passed on with the next step, which may not come
        with self._lock:
            self._lock.wait_for(lambda: self._running)
        events = super().step()
        with self._lock:
            written = (self.vocabulary.classes(event.token_ids) for event in events)
            self._running = not any(self._halt_at in classes for classes in written)
        return events


@contextmanager
def _serving(engine, vocabulary):
    with running(Service(engine, vocabulary, Settings())) as server:
        try:
            yield server.url
        finally:
            engine.run()


@pytest.fixture(scope="module")
def engine(model_dir):
    model, vocabulary = load_reasoning_model(model_dir)
    paced = PacedEngine(model, vocabulary, max_batch=8, max_length=1024)
    paced.vocabulary = vocabulary
    return paced


@pytest.fixture(scope="module")
def url(engine):
    with _serving(engine, engine.vocabulary) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, url, engine):
    """The page; whatever a test does with it, it complains of nothing and asks nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    opened, opened.said, asked = context.new_page(), [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(url)
    yield opened
    engine.run()
    context.close()
    assert opened.said == []
    assert [one for one in asked if not one.startswith((f"{url}/", "data:"))] == []


@pytest.fixture(scope="module")
def question(known_path):
    return known_path.problem.question


def test_enter_in_the_empty_box_asks_nothing_and_complains_of_nothing(page):
    box = page.get_by_label("Question", exact=True)
    box.fill("")
    box.press("Enter")
    assert page.evaluate("document.querySelector('#composer').checkValidity()")
    assert page.locator(".turn").count() == 0


def _ask(page, text):
    page.get_by_label("Question", exact=True).fill(text)
    page.keyboard.press("Enter")


def _expect(locator):
    from playwright.sync_api import expect

    return expect(locator)


def _whole(page):
    return page.locator(".step:not(.is-draft)")


def _ended(page):
    _expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


# ---------------------------------------------------------------------- asking


def test_steps_arrive_while_the_model_thinks(page, engine, question, known_path):
    engine.run(halt_at=SUMMARY)
    _ask(page, question)
    _expect(page.locator(".step.is-draft")).to_have_count(1)
    _expect(page.locator(".node.is-draft")).to_have_count(1)
    _expect(page.locator("[data-component=verification]")).to_be_hidden()
    for count in (1, 2):
        engine.run(halt_at=BACKTRACK)
        _expect(_whole(page)).to_have_count(count)
        _expect(page.locator(".node.kind-dead")).to_have_count(count)
        assert not page.get_by_role("region", name="Answer").is_visible()
    engine.run()
    _expect(page.locator(".answer-text")).to_have_text(known_path.answer)
    _ended(page)
    for index, step in enumerate(known_path.steps):
        for name in ("next_step", "understanding", "summary", "verification"):
            text = page.locator(".step").nth(index).locator(f"[data-component={name}]")
            assert text.text_content() == getattr(step.texts, name)
    assert page.locator(".step .decided").all_text_contents() == [
        "Proceed",
        *["Backtrack"] * 2,
        "End, answer verified",
    ]


def test_node_and_card_point_at_each_other(page, question):
    _ask(page, question)
    _ended(page)
    nodes, cards = page.get_by_role("treeitem"), page.locator(".step")
    _expect(nodes.nth(3)).to_contain_class("kind-goal is-active")
    nodes.nth(1).hover()
    _expect(cards.nth(1)).to_contain_class("kind-dead is-active")
    cards.nth(3).hover()
    _expect(nodes.nth(3)).to_contain_class("kind-goal is-active")
    assert page.locator(".is-active").count() == 2


def test_stop_and_ask_again(page, engine, question, known_path):
    engine.run(halt_at=BACKTRACK)
    _ask(page, question)
    _expect(_whole(page)).to_have_count(1)
    page.get_by_role("button", name="Stop").click()
    _expect(page.locator(".trouble")).to_contain_text("You stopped this search")
    engine.run()
    _ask(page, question)
    turns = page.get_by_role("article")
    _expect(turns).to_have_count(2)
    _expect(turns.nth(1).locator(".answer-text")).to_have_text(known_path.answer)
    assert turns.nth(0).locator(".step").count() == 2
    assert turns.nth(1).get_by_role("treeitem").count() == len(known_path.steps)


def test_earlier_turns_are_part_of_the_dialogue(page, question, known_path):
    _ask(page, question)
    _ended(page)
    page.locator("#budget").fill("2")
    with page.expect_request(CHAT) as asked:
        _ask(page, "And now?")
    body = asked.value.post_data_json
    assert [turn["content"] for turn in body["messages"]] == [
        question,
        known_path.answer,
        "And now?",
    ]
    assert body["max_steps"] == 2
    page.keyboard.press("Escape")
    _ended(page)
    page.get_by_role("button", name="New dialogue").click()
    assert page.get_by_role("article").count() == 0
    with page.expect_request(CHAT) as asked:
        _ask(page, question)
    assert len(asked.value.post_data_json["messages"]) == 1


def test_samples_are_voted_on(page, question):
    page.locator("#samples").fill("3")
    _ask(page, question)
    _ended(page)
    tabs = page.get_by_role("tab")
    assert tabs.count() == 3
    _expect(page.get_by_role("tabpanel")).to_have_count(1)
    votes = page.get_by_role("list", name="Votes").get_by_role("listitem")
    assert page.locator(".answer-text").text_content() in votes.first.text_content()
    tabs.first.focus()
    page.keyboard.press("End")
    _expect(tabs.last).to_be_focused()
    assert tabs.last.get_attribute("aria-selected") == "true"
    _expect(page.get_by_role("tabpanel", name="Sample 3")).to_be_visible()


# ---------------------------------------------------------------------- for everybody


def test_the_keyboard_is_enough(page, question, known_path):
    def tab_to(selector, key):
        for _ in range(20):
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
            page.keyboard.press(key)
        raise AssertionError(f"{selector} cannot be reached")

    tab_to("#question", "Tab")
    page.keyboard.type(question)
    page.keyboard.press("Enter")
    _ended(page)
    tab_to("#budget", "Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("output[for=budget]").text_content() == "25"
    tab_to("[role=treeitem]", "Shift+Tab")
    focused = page.locator(":focus")
    assert focused.get_attribute("aria-label").startswith("Step 4, goal, answer verified: ")
    page.keyboard.press("ArrowUp")
    _expect(page.locator(".step").nth(2)).to_contain_class("kind-dead is-active")
    page.keyboard.press("Home")
    words = known_path.steps[0].texts.next_step
    assert focused.get_attribute("aria-label").endswith(words)
    tab_to(".step", "Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    _expect(page.locator(".node").nth(3)).to_contain_class("kind-dead is-active")


def test_a_screen_reader_is_told_little(page, question, known_path):
    page.evaluate(
        """() => { window.news = []; const box = document.getElementById("news");
        new MutationObserver(() => news.push(box.textContent)).observe(box, {childList: true}); }"""
    )
    _ask(page, question)
    _ended(page)
    stated = page.evaluate("news")
    assert stated[0] == "Thinking."
    assert stated[-1] == f"Answer: {known_path.answer}. 4 steps, 2 dead ends."
    assert len(stated) <= 4
    assert page.locator("[aria-live], [role=status], [role=alert], [role=log]").count() == 1
    assert page.get_by_role("tree", name="Search tree, 4 steps").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(page, question, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) == 390
    _ask(page, question)
    _ended(page)
    assert page.evaluate(width) == 390


def test_shapes_differ_not_only_colours(page, question):
    _ask(page, question)
    _ended(page)
    legend = page.get_by_role("list", name="Legend").get_by_role("listitem")
    shapes = [entry.locator("path").get_attribute("d") for entry in legend.all()]
    assert len(shapes) == len(set(shapes)) == 7


_BOXES = """(selector) => [...document.querySelectorAll(selector)].map((element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    const clip = element.closest(".tree-scroller")?.getBoundingClientRect();
    return clip ? [Math.max(left, clip.left), Math.max(top, clip.top),
                   Math.min(right, clip.right), Math.min(bottom, clip.bottom)]
                : [left, top, right, bottom];
}).filter(([left, top, right, bottom]) => left < right && top < bottom)"""
"""The visible boxes of the elements: left, top, right, bottom."""


def _overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("width", [1280, 390])
def test_labels_and_legend_do_not_overlap(page, engine, question, known_path, width):
    page.set_viewport_size({"width": width, "height": 844})
    engine.run(halt_at=BACKTRACK)
    _ask(page, question)
    for count in (2, len(known_path.steps)):  # the first dead end, and the whole search
        if count > 2:
            engine.run()
            _ended(page)
        _expect(page.locator(".node .label")).to_have_count(count)
        labels = page.evaluate(_BOXES, ".node .label")
        legend = page.evaluate(_BOXES, ".legend li")
        assert labels
        assert len(legend) == 7
        for one, other in itertools.combinations([*labels, *legend], 2):
            assert not _overlap(one, other)


def test_there_is_an_example_of_each_family(page):
    examples = page.locator("[data-example]")
    assert {one.get_attribute("data-example") for one in examples.all()} == set(PUZZLES)
    questions = set()
    for example in examples.all():
        example.click()
        questions.add(page.get_by_label("Question", exact=True).input_value())
    assert len(questions) == len(PUZZLES)
    assert all(questions)


# ---------------------------------------------------------------------- when it goes wrong


def _step(**fields):
    texts = dict.fromkeys(("next_step", "understanding", "summary", "verification"), "<b>x</b>")
    return texts | {"decision": "proceed", "parent": None, "mark": "proceed"} | fields


def _streamed(*deltas, end="data: [DONE]\n\n"):
    """The body of a stream whose model wrote these."""
    parts = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    return "".join(f"data: {json.dumps({'choices': [part]})}\n\n" for part in parts) + end


def test_a_models_text_stays_text_and_a_broken_stream_is_told(page):
    steps = [
        _step(next_step="<img src=x onerror=alert(1)>"),
        _step(parent=0, decision="backtrack", mark="dead_end"),
        _step(),
    ]
    body = _streamed({"reasoning_steps": steps}, {"content": "<i>y</i>"}, end="")
    page.route(CHAT, lambda route: route.fulfill(content_type="text/event-stream", body=body))
    _ask(page, "<script>alert(2)</script>")
    _expect(page.locator(".trouble")).to_contain_text("The connection broke off")
    assert page.locator(".turn :is(img, script, b:not(.pointed b), i)").count() == 0
    assert page.locator(".asked").text_content() == "<script>alert(2)</script>"
    kinds = [node.get_attribute("class").split()[1] for node in page.get_by_role("treeitem").all()]
    assert kinds == ["kind-backtrack", "kind-dead", "kind-proceed"]


def test_it_says_how_the_question_was_read(page):
    steps = [_step(reads=True), _step(parent=0, reads=False, decision="end", mark="unverified")]
    body = _streamed({"reasoning_steps": steps}, {"content": "5"})
    page.route(CHAT, lambda route: route.fulfill(content_type="text/event-stream", body=body))
    _ask(page, "Which number?")
    labels = page.locator(".step dt").filter(has_text=re.compile("read|understanding"))
    _expect(labels).to_have_text(["How I read your question", "Current understanding"])


@pytest.mark.parametrize(
    ("mark", "kind"),
    [
        ("goal", "goal"),
        ("unverified", "unverified"),
        ("rejected", "rejected"),
        ("stopped", "end"),
    ],
)
def test_only_a_verified_answer_is_the_goal(page, mark, kind):
    steps = [_step(), _step(parent=0, decision="end", mark="unverified")]
    choice = {
        "index": 0,
        "delta": {},
        "finish_reason": "stop",
        "reasoning_marks": ["proceed", mark],
    }
    end = f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n"
    body = _streamed({"reasoning_steps": steps}, {"content": "5"}, end=end)
    page.route(CHAT, lambda route: route.fulfill(content_type="text/event-stream", body=body))
    _ask(page, "Which number?")
    _ended(page)
    _expect(page.get_by_role("treeitem").nth(1)).to_contain_class(f"kind-{kind}")
    assert page.locator(".node.kind-goal").count() == (mark == "goal")


def test_enter_in_the_empty_box_does_nothing(page, engine, question):
    engine.run(halt_at=BACKTRACK)
    _ask(page, question)
    _expect(_whole(page).first).to_be_visible()
    page.get_by_label("Question", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelectorAll('form :invalid').length") == 0
    assert page.get_by_role("article").count() == 1
    engine.run()
    _ended(page)


def test_too_long_a_dialogue_is_told_in_plain_words(page):
    _ask(page, "Make 24 from 3, 5, 7, 9. " * 500)
    _expect(page.locator(".trouble")).to_contain_text("longer than the model can hold")
    _ended(page)
    page.said.clear()  # the browser's own note of the status 400


def test_a_key_is_asked_for_and_sent(page, question, known_path):
    def door(route):
        if route.request.headers.get("authorization") == "Bearer sesame":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"message": "no", "code": "invalid_api_key"}})

    page.route("**/v1/**", door)
    _ask(page, question)
    _expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type("sesame")
    page.get_by_role("button", name="Ask again").click()
    _expect(page.locator(".answer-text")).to_have_text(known_path.answer)
    page.said.clear()  # the browser's own note of the status 401


# ---------------------------------------------------------------------- the files


def test_files_come_with_type_rules_and_tag(url):
    for path, kind in (
        ("/", "text/html"),
        ("/page/page.js", "text/javascript"),
        ("/page/page.css", "text/css"),
        ("/page/search-tree.js", "text/javascript"),
        ("/page/d3-hierarchy.min.js", "text/javascript"),
        ("/page/icon.svg", "image/svg+xml"),
    ):
        sent = httpx.get(url + path)
        assert sent.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in sent.headers["content-security-policy"]
        tag = {"If-None-Match": sent.headers["etag"]}
        assert httpx.get(url + path, headers=tag).status_code == 304
        assert httpx.head(url + path).content == b""
    assert httpx.get(f"{url}/page/index.html").status_code == 404
    assert httpx.get(f"{url}/page/").status_code == 404
