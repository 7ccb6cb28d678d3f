"""vLLM keeps to the budget like the embedded engine, and answers like the embedded server."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from steiner.format.grammar import GrammarState
from steiner.format.parser import parse
from steiner.inference.answer import reasoning_tokens
from steiner.inference.budget import shortest_completion
from steiner.inference.search_tree import build_tree
from steiner.serving.formatting import reasoning_text

pytestmark = pytest.mark.vllm

PYTHON = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
QUESTION = "Use each of 8, 4, 3 once to reach 15."
QUESTIONS = (QUESTION, "Which numbers are there to be used?")
LIMITS = (
    {},
    {"max_steps": 1},
    {"max_steps": 2},
    {"min_steps": 3, "max_steps": 3},
    {"min_steps": 5},
    {"min_steps": 6, "max_steps": 6},
    {"max_tokens": shortest_completion()},
    {"max_tokens": 60},
    {"max_steps": 4, "max_tokens": 150},
    {"min_steps": 9, "max_tokens": 200},
)
CASES = [(question, limits) for question in QUESTIONS for limits in LIMITS]


def fields_of(limits):
    """A budget as the fields of a vLLM request."""
    steps = {name: value for name, value in limits.items() if name != "max_tokens"}
    tokens = {"max_tokens": limits["max_tokens"]} if "max_tokens" in limits else {}
    return {"vllm_xargs": steps} | tokens


def told_by(rollout):
    """Reasoning and content in the embedded server's words."""
    steps, _ = build_tree(rollout.steps)
    return reasoning_text(steps), rollout.answer


@pytest.fixture(scope="module")
def choices(ask):
    """vLLM's choice for every case; all requests are sent at once."""

    def choice(case):
        question, limits = case
        answer = ask(question, return_token_ids=True, **fields_of(limits))
        assert answer.status_code == 200, answer.text
        return answer.json()

    with ThreadPoolExecutor(len(CASES)) as threads:
        return dict(enumerate(threads.map(choice, CASES)))


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: f"{CASES[case][1]}")
def test_same_greedy_tokens_and_words(case, choices, embedded):
    question, limits = CASES[case]
    rollout = embedded.rollout(question, **limits)
    answer, choice = choices[case], choices[case]["choices"][0]
    assert tuple(answer["prompt_token_ids"]) == rollout.prompt_ids
    assert tuple(choice["token_ids"]) == rollout.token_ids
    assert rollout.well_formed
    reasoning, content = told_by(rollout)
    assert choice["message"]["reasoning"] == reasoning
    assert (choice["message"]["content"] or "") == content
    assert choice["finish_reason"] == "stop"
    counted = answer["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert counted == reasoning_tokens(rollout, embedded.vocabulary)


def test_requests_were_preempted_and_resumed(url, choices):
    """The cache is too small for all of them, so some are preempted."""
    metrics = httpx.get(f"{url}/metrics", timeout=60).text
    counts = re.findall(r"^vllm:num_preemptions_total\{.*\} (\S+)$", metrics, re.M)
    assert sum(map(float, counts)) > 0


def test_the_known_search_is_found_if_the_budget_allows_it(known_path, choices):
    message = choices[0]["choices"][0]["message"]
    assert message["content"] == known_path.answer
    assert message["reasoning"].count("Decision: backtrack") == 2


@pytest.mark.parametrize("limits", [{}, {"max_steps": 2}, {"min_steps": 5, "max_tokens": 200}])
def test_stream_says_the_same(limits, url, embedded):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="steiner",
            messages=[{"role": "user", "content": QUESTION}],
            temperature=0,
            stream=True,
            extra_body=fields_of(limits),
        )
        deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
    reasoning = [getattr(delta, "reasoning", None) or "" for delta in deltas]
    content = [delta.content or "" for delta in deltas]
    assert ("".join(reasoning), "".join(content)) == told_by(embedded.rollout(QUESTION, **limits))
    assert sum(map(bool, reasoning)) > 10


def test_sampled_completions_keep_the_format_and_the_budget(ask, embedded):
    limits = {"min_steps": 2, "max_steps": 4, "max_tokens": 900}
    answer = ask(QUESTION, n=8, temperature=2, seed=1, return_token_ids=True, **fields_of(limits))
    for choice in answer.json()["choices"]:
        parsed = parse(embedded.vocabulary.classes(choice["token_ids"]))
        assert parsed.state is GrammarState.DONE
        assert 2 <= len(parsed.spans) <= 4


def test_structured_choices_apply_to_the_answer_only(ask):
    answer = ask(QUESTION, structured_outputs={"choice": ["8 + 4", "8 + 3"]})
    message = answer.json()["choices"][0]["message"]
    assert message["reasoning"].count("Decision: backtrack") == 2
    assert message["content"] in ("8 + 4", "8 + 3")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"vllm_xargs": {"max_steps": 0}}, "max_steps is 0"),
        ({"vllm_xargs": {"min_steps": 3, "max_steps": 2}}, "max_steps is 2, min_steps 3"),
        ({"vllm_xargs": {"max_steps": "many"}}, "max_steps is 'many'; give a whole number"),
        ({"max_tokens": 12}, "the format alone takes 13 tokens"),
    ],
)
def test_contradictory_budgets_are_refused(ask, fields, said):
    refused = ask(QUESTION, **fields)
    assert refused.status_code == 400
    assert said in refused.text


def test_the_other_model_runner_loads_the_class_too():
    code = (
        "from vllm import SamplingParams\n"
        "from vllm.v1.worker.gpu.sample.logits_processor import (\n"
        "    build_custom_logits_processors_params_validator as build)\n"
        "validate = build(['steiner.serving.vllm.logits_processor:StepBudget'])\n"
        "validate(SamplingParams(extra_args={'max_steps': 2}))\n"
        "try:\n"
        "    validate(SamplingParams(extra_args={'max_steps': 0}))\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert "max_steps is 0" in done.stdout
