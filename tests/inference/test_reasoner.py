"""The Reasoner: answers, events, limits, votes, and refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2ForCausalLM

from steiner import Reasoner
from steiner.format import grammar
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.inference.answer import Finished
from steiner.inference.budget import Budget, shortest_reasoning
from steiner.inference.efforts import EFFORT_STEPS, step_limit
from steiner.inference.engine import Engine
from steiner.inference.questions import samplings
from steiner.inference.request import Request
from steiner.inference.sampling import own_sampling
from steiner.inference.search_tree import Mark
from steiner.inference.step_events import (
    AnswerDelta,
    Component,
    ComponentDelta,
    ComponentFinished,
    StepEventParser,
    StepFinished,
    StepPlaced,
    StepStarted,
    TextReader,
)
from steiner.inference.voting import tally
from steiner.models.small_qwen2 import SmallQwen2, SmallTokenizer, is_supported, load
from steiner.types import Message, Rollout, SearchPath, StopReason, UserError
from tests.small_model import small_qwen2


@pytest.fixture(scope="module")
def reasoner(model_dir: Path) -> Reasoner:
    return Reasoner.load(model_dir)


def test_answer_contains_the_search(reasoner: Reasoner, known_path: SearchPath) -> None:
    answer = reasoner.solve(known_path.problem.question)
    assert answer.text == known_path.answer
    assert [step.texts for step in answer.steps] == [step.texts for step in known_path.steps]
    assert [step.depth for step in answer.steps] == [step.depth for step in known_path.steps]
    assert answer.problem is not None
    assert answer.problem.key == known_path.problem.key
    assert answer.accepted is True
    assert answer.tree.num_backtracks == 2
    assert answer.stop_reason is StopReason.END
    assert answer.votes == ()


def test_usage_counts_every_token(reasoner: Reasoner, known_path: SearchPath) -> None:
    answer = reasoner.solve(known_path.problem.question)
    (rollout,) = answer.rollouts
    closed = reasoner.vocabulary.encode_text(known_path.answer)
    assert answer.usage.prompt_tokens == len(rollout.prompt_ids)
    assert answer.usage.answer_tokens == len(closed) + 1
    assert answer.usage.total_tokens == len(rollout.prompt_ids) + len(rollout.token_ids)


def test_batch_gives_each_question_the_answer_that_it_gets_alone(
    reasoner: Reasoner, known_path: SearchPath
) -> None:
    texts = [known_path.problem.question, "Who are you?", "Hello", known_path.problem.question]
    limits = [{}, {"max_steps": 1}, {"samples": 3, "temperature": 0.5, "max_steps": 1}, {}]
    limits = [{"max_tokens": 200, **options} for options in limits]
    prepared = [
        reasoner.prepare(text, **options) for text, options in zip(texts, limits, strict=True)
    ]
    together = dict(reasoner.solve_batch(prepared))
    alone = [reasoner.solve(text, **options) for text, options in zip(texts, limits, strict=True)]
    for index, answer in enumerate(alone):
        assert together[index].text == answer.text
        assert together[index].steps == answer.steps
        assert [vote.count for vote in together[index].votes] == [v.count for v in answer.votes]


def test_closed_batch_leaves_the_reasoner_free(reasoner: Reasoner, known_path: SearchPath) -> None:
    batch = reasoner.solve_batch([reasoner.prepare(known_path.problem.question)] * 2)
    next(batch)
    batch.close()
    assert reasoner.solve(known_path.problem.question).accepted


def test_messages_are_asked_as_a_dialogue(reasoner: Reasoner, known_path: SearchPath) -> None:
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello."}]
    asked = [Message("system", "Be brief."), *turns, Message("user", known_path.problem.question)]
    answer = reasoner.solve(asked, max_steps=1)
    alone = reasoner.solve(known_path.problem.question)
    assert answer.usage.prompt_tokens > alone.usage.prompt_tokens


def test_a_question_of_no_task_is_answered_unchecked(reasoner: Reasoner) -> None:
    answer = reasoner.solve("Who are you?", effort="low", max_tokens=300)
    assert answer.problem is None
    assert answer.accepted is None
    assert Mark.GOAL not in {node.mark for node in answer.tree.nodes}


def test_the_answer_says_how_the_question_was_read(
    reasoner: Reasoner, known_path: SearchPath
) -> None:
    answer = reasoner.solve(known_path.problem.question)
    assert answer.reading == "Numbers 8 4 3, target 15"
    assert answer.tree.nodes[0].depth == 0
    assert {node.parent for node in answer.tree.nodes if node.depth == 1} == {0}


def test_a_problem_of_the_caller_grades_the_answer(
    reasoner: Reasoner, known_path: SearchPath
) -> None:
    question = known_path.problem.question
    other = replace(known_path.problem, spec={"numbers": [8, 4, 3], "target": 16})
    for problem, accepted in ((known_path.problem, True), (other, False)):
        answer = reasoner.solve(question, problem=problem)
        assert answer.problem == problem
        assert answer.accepted is accepted
    assert answer.tree.nodes[-1].mark is Mark.REJECTED


# ---------------------------------------------------------------------- events


@pytest.mark.parametrize("question", ["Use each of 8, 4, 3 once to reach 15.", "Who?"])
def test_events_add_up_to_the_answer(reasoner: Reasoner, question: str) -> None:
    *events, last = reasoner.stream(question, max_tokens=500)
    assert isinstance(last, Finished)
    answer = last.answer
    for index, (step, node) in enumerate(zip(answer.steps, answer.tree.nodes, strict=True)):
        own = [event for event in events if getattr(event, "step", None) == index]
        assert isinstance(own[0], StepStarted)
        assert own[-1] == StepFinished(0, index, step.decision)
        assert StepPlaced(0, index, node.depth, node.parent) in own
        for component in Component:
            text = getattr(step.texts, component)
            deltas = [
                e.text for e in own if isinstance(e, ComponentDelta) and e.component is component
            ]
            assert "".join(deltas).strip() == text
            assert ComponentFinished(0, index, component, text) in own
    written = "".join(event.text for event in events if isinstance(event, AnswerDelta))
    assert written.strip() == answer.text


def test_the_first_step_s_events_come_before_the_second_step(reasoner: Reasoner) -> None:
    kinds = [type(event) for event in reasoner.stream("Use each of 8, 4, 3 once to reach 15.")]
    assert kinds.index(StepFinished) < len(kinds) - 1 - kinds[::-1].index(StepStarted)


def test_no_events_after_the_format_breaks(reasoner: Reasoner) -> None:
    start, proceed = (
        reasoner.vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(token)]
        for token in (grammar.START, grammar.PROCEED)
    )
    text = reasoner.vocabulary.encode_text("Left over 3")
    assert list(StepEventParser(reasoner.vocabulary).feed([start, proceed, *text, start])) == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_reader_gives_all_text_and_no_half_characters(text: str) -> None:
    """Each token is one byte: the worst case."""
    reader = TextReader(lambda ids: bytes(ids).decode(errors="replace"))
    parts = [reader.push(byte) for byte in text.encode()]
    assert "".join(parts) + reader.rest() == reader.whole() == text
    assert not any("\ufffd" in part for part in parts) or "\ufffd" in text


def test_closed_stream_frees_the_engine(reasoner: Reasoner, known_path: SearchPath) -> None:
    stream = reasoner.stream(known_path.problem.question)
    next(stream)
    with pytest.raises(RuntimeError, match="close it first"):
        reasoner.solve("Who?")
    stream.close()
    assert reasoner.solve(known_path.problem.question).accepted


# ---------------------------------------------------------------------- limits


def test_steps_stay_within_their_limits(reasoner: Reasoner, known_path: SearchPath) -> None:
    question = known_path.problem.question
    assert len(reasoner.solve(question, max_steps=1).steps) == 1
    assert len(reasoner.solve(question, min_steps=5, max_steps=6).steps) in (5, 6)
    assert len(reasoner.solve("Who?", effort="low").steps) <= 4


def test_effort_none_is_one_empty_step(reasoner: Reasoner) -> None:
    answer = reasoner.solve("Who?", effort="none", max_steps=1)
    assert len(answer.steps) == 1
    assert answer.usage.reasoning_tokens == shortest_reasoning()


def test_max_steps_wins_over_effort() -> None:
    assert step_limit("low", 20) == 20
    assert step_limit("high", None) == EFFORT_STEPS["high"]
    assert step_limit("max", None) is step_limit(None, None) is None


@pytest.mark.parametrize(
    ("question", "options", "message"),
    [
        ("Who?", {"effort": "hihg"}, "unknown effort 'hihg'"),
        ("Who?", {"samples": 0}, "samples is 0"),
        ("Who?", {"samples": 3, "temperature": 0.0}, "would all be the same"),
        ("Who?", {"temperature": -1.0}, "temperature is -1"),
        ("Who?", {"max_tokens": 5000}, "max_tokens is 5000"),
        ("Who?", {"max_tokens": 3}, "max_tokens is 3"),
        ("Who?", {"min_steps": 5, "max_steps": 2}, "max_steps is 2"),
        ("Who?", {"effort": "none", "max_steps": 9}, "max_steps is 9, and effort 'none'"),
        ("Who? " * 2000, {}, "the dialogue takes"),
        ("  ", {}, "the question is empty"),
        ([], {}, "does not end with a user's turn"),
        ([Message("assistant", "I.")], {}, "does not end with a user's turn"),
        ([Message("robot", "I.")], {}, "unknown role 'robot'"),
    ],
)
def test_unusable_arguments_are_refused_at_once(
    reasoner: Reasoner, question: str, options: dict[str, float], message: str
) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        reasoner.stream(question, **options)  # type: ignore[arg-type]
    assert refusal.value.hint


# ---------------------------------------------------------------------- samples


def test_samples_vote(reasoner: Reasoner, known_path: SearchPath) -> None:
    answer = reasoner.solve(known_path.problem.question, samples=5, temperature=0.2)
    assert len(answer.rollouts) == 5
    assert sum(vote.count for vote in answer.votes) <= 5
    assert answer.text == answer.votes[0].answer == known_path.answer
    assert answer.usage.reasoning_tokens > 4 * len(known_path.steps)


def test_same_seed_same_samples_other_seed_others(reasoner: Reasoner) -> None:
    def sampled(seed: int) -> list[tuple[int, ...]]:
        options = {"samples": 2, "temperature": 2.0, "max_tokens": 60}
        return [r.token_ids for r in reasoner.solve("Who?", seed=seed, **options).rollouts]

    first = sampled(1)
    assert first == sampled(1)
    assert first[0] != first[1]
    assert not set(first) & set(sampled(2))


@pytest.mark.parametrize("suffix", ["", " "])
def test_sampling_follows_the_model_s_generation_config(
    suffix: str, model_dir: Path, tmp_path: Path
) -> None:
    """Loaded without transformers, and with it if the template is another."""
    folder = tmp_path / "model"
    shutil.copytree(model_dir, folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8") + suffix, encoding="utf-8")
    assert is_supported(folder) == (not suffix)
    file = folder / "generation_config.json"
    asked = json.loads(file.read_text(encoding="utf-8"))
    asked |= {"do_sample": True, "temperature": 1.5, "top_p": 0.9, "min_p": 0.05}
    file.write_text(json.dumps(asked), encoding="utf-8")
    reasoner = Reasoner.load(folder)

    def written(**options: float) -> list[tuple[int, ...]]:
        answer = reasoner.solve("Who?", max_tokens=60, seed=4, **options)
        return [rollout.token_ids for rollout in answer.rollouts]

    assert written() == written(temperature=1.5) != written(temperature=0.0)
    assert len(set(written(samples=3))) == 3
    (own,) = samplings(1, None, 4, own_sampling(reasoner._model))
    assert (own.temperature, own.top_p, own.min_p) == (1.5, 0.9, 0.05)


def test_streams_of_neighbouring_seeds_share_nothing() -> None:
    seeds = [sampling.seed for seed in range(20) for sampling in samplings(4, 0.7, seed)]
    assert len(set(seeds)) == 80
    assert samplings(1, 0.7, 3) == samplings(4, 0.7, 3)[:1]


def _rollout(answer: str, logprob: float, *, well_formed: bool = True) -> Rollout:
    return Rollout((1,), (2,), (logprob,), StopReason.END, (), answer, well_formed)


def test_the_majority_wins_then_the_likelihood() -> None:
    votes = tally([_rollout("A", -0.1), _rollout("b", -2.0), _rollout(" B. ", -1.0)])
    assert [(vote.answer, vote.count, vote.sample) for vote in votes] == [
        (" B. ", 2, 2),
        ("A", 1, 0),
    ]
    assert votes[0].mean_logprob == -1.5
    tied = tally([_rollout("a", -2.0), _rollout("b", -1.0)])
    assert tied[0].answer == "b"


def test_unfinished_and_empty_answers_do_not_vote() -> None:
    assert tally([_rollout("a", -1.0, well_formed=False), _rollout("", -1.0)]) == ()


# ---------------------------------------------------------------------- models


def test_model_without_the_tokens_is_refused(model_dir: Path, tmp_path: Path) -> None:
    folder = _copy(model_dir, tmp_path)
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace("<|reasoning_", "<|other_"))
    with pytest.raises(UserError, match="lacks 14 of the 14") as refusal:
        Reasoner.load(folder)
    assert "train" in refusal.value.hint


def test_layout_of_the_released_checkpoint(model_dir: Path, tmp_path: Path) -> None:
    """Untied, sharded, bf16, the 14 tokens last in a larger vocabulary, and V above its end."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path_with_plain(model_dir, tmp_path))
    tokenizer.add_tokens(["<tool_call>", "</tool_call>"])
    tokenizer.add_tokens(["<|vision_start|>", "<|box_end|>"], special_tokens=True)
    add_reasoning_tokens(tokenizer)
    last = sorted(tokenizer.get_vocab().values())[-14:]
    assert sorted(map(tokenizer.convert_tokens_to_ids, grammar.SPECIAL_TOKENS)) == last
    torch.manual_seed(1)
    model = small_qwen2(
        len(tokenizer) + 40,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        initializer_range=0.3,
    ).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "large", max_shard_size="50KB")
    tokenizer.save_pretrained(tmp_path / "large")
    assert len(list((tmp_path / "large").glob("model-*.safetensors"))) > 1
    assert not is_supported(tmp_path / "large")
    answer = Reasoner.load(tmp_path / "large").solve("Who?", max_steps=3, samples=4)
    for rollout in answer.rollouts:
        assert rollout.well_formed
        assert 1 <= len(rollout.steps) <= 3
        assert max(rollout.token_ids) < len(tokenizer)


def tmp_path_with_plain(model_dir: Path, tmp_path: Path) -> Path:
    """A folder whose tokenizer has none of the 14 tokens yet."""
    folder = _copy(model_dir, tmp_path)
    file = folder / "tokenizer.json"
    record = json.loads(file.read_text())
    record["added_tokens"] = [
        token for token in record["added_tokens"] if token["content"] not in grammar.SPECIAL_TOKENS
    ]
    file.write_text(json.dumps(record))
    return folder


def _copy(model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dir, tmp_path / "copy"))


# ---------------------------------------------------------------------- without transformers


def test_small_model_is_read_without_transformers(reasoner: Reasoner, model_dir: Path) -> None:
    assert is_supported(model_dir)
    assert type(reasoner._model) is SmallQwen2


def test_loading_without_transformers_gives_the_same_tokens(
    reasoner: Reasoner, model_dir: Path, known_path: SearchPath
) -> None:
    model = Qwen2ForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    prompt = tuple(reasoner.vocabulary.encode_prompt(known_path.problem.messages))
    request = Request(prompt, Budget(max_tokens=200))
    (expected,) = Engine(model, reasoner.vocabulary, max_batch=1).generate([request])
    small, vocabulary = load(model_dir, torch.float32)
    (rollout,) = Engine(small, vocabulary, max_batch=1).generate([request])
    assert rollout.token_ids == expected.token_ids
    assert rollout.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


def test_small_tokenizer_agrees_with_the_one_of_transformers(model_dir: Path) -> None:
    full = Vocabulary.require(PreTrainedTokenizerFast.from_pretrained(model_dir))
    small = Vocabulary.require(SmallTokenizer(model_dir))  # type: ignore[arg-type]
    assert small.special_ids == full.special_ids
    assert small.close_id == full.close_id
    assert small.pad_id == full.pad_id
    size = len(full.tokenizer) + 5
    assert small.class_tensor(size).equal(full.class_tensor(size))

    text = st.text() | st.sampled_from([*grammar.SPECIAL_TOKENS, "<|im_end|>", " 12 + 3 = 15\n"])

    @given(st.lists(st.lists(text).map("".join), min_size=1, max_size=3))
    def agree(contents: list[str]) -> None:
        messages = [Message("user", content) for content in contents]
        ids = full.encode_prompt(messages)
        assert small.encode_prompt(messages) == ids
        assert small.encode_text(contents[0]) == full.encode_text(contents[0])
        assert small.decode_text(ids) == full.decode_text(ids)

    agree()


def test_hugging_face_loads_the_same_tokenizer(model_dir: Path, known_path: SearchPath) -> None:
    auto = Vocabulary.require(AutoTokenizer.from_pretrained(model_dir))
    small = Vocabulary.require(SmallTokenizer(model_dir))  # type: ignore[arg-type]
    assert auto.encode_prompt(known_path.problem.messages) == small.encode_prompt(
        known_path.problem.messages
    )
