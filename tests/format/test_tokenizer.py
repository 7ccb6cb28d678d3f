"""The tokenizer gives Hugging Face's ids for every reader of its folder; user text stays plain."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from steiner.format import grammar
from steiner.format.tokenizer import (
    PAD,
    TURN_END,
    TURN_START,
    Vocabulary,
    add_reasoning_tokens,
    train_tokenizer,
)
from steiner.models.small_qwen2 import SmallTokenizer
from steiner.tasks import generate_problems, tasks
from steiner.types import Message, Split, UserError

SPECIAL = (*grammar.SPECIAL_TOKENS, PAD, TURN_START, TURN_END)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=20)
NUMBERS_AND_BLANKS = st.text("0123 \n\r\t.,:=+a'", max_size=20)
ROLES = st.sampled_from(["system", "user", "assistant"])
TURNS = st.builds(Message, ROLES, TEXTS | NUMBERS_AND_BLANKS)
DIALOGUES = st.lists(TURNS, min_size=1, max_size=3)


def _dialogue(messages: list[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _by_template(tokenizer: Any, messages: list[Message]) -> list[int]:
    ids = tokenizer.apply_chat_template(
        _dialogue(messages), tokenize=True, add_generation_prompt=True, return_dict=False
    )
    return list(ids)


# ---------------------------------------------------------------------- ids


@settings(max_examples=100)
@given(messages=DIALOGUES)
def test_prompt_equals_the_chat_template(vocabulary: Vocabulary, messages: list[Message]) -> None:
    assert vocabulary.encode_prompt(messages) == _by_template(vocabulary.tokenizer, messages)


@settings(max_examples=100)
@given(messages=DIALOGUES)
def test_a_dialogue_can_be_encoded_turn_by_turn(
    vocabulary: Vocabulary, messages: list[Message]
) -> None:
    assume(not any(token in turn.content for token in SPECIAL for turn in messages))
    ids: list[int] = []
    for message in messages:
        ids += vocabulary.tokenizer.encode(f"{TURN_START}{message.role}\n")
        ids += vocabulary.encode_text(message.content)
        ids += vocabulary.tokenizer.encode(f"{TURN_END}\n")
    ids += vocabulary.tokenizer.encode(f"{TURN_START}assistant\n")
    assert ids == _by_template(vocabulary.tokenizer, messages)


@pytest.mark.parametrize("name", tasks())
def test_questions_equal_the_chat_template(vocabulary: Vocabulary, name: str) -> None:
    for problem in islice(generate_problems(name, 1, seed=0, split=Split.TRAIN), 5):
        messages = list(problem.messages)
        assert vocabulary.encode_prompt(messages) == _by_template(vocabulary.tokenizer, messages)


@settings(max_examples=60)
@given(
    before=TEXTS,
    token=st.sampled_from(SPECIAL),
    after=TEXTS,
    others=st.lists(st.builds(Message, ROLES, TEXTS), max_size=2),
)
def test_special_tokens_in_a_message_are_plain_text(
    vocabulary: Vocabulary, before: str, token: str, after: str, others: list[Message]
) -> None:
    content = before + token + after
    ids = vocabulary.encode_prompt([*others, Message("user", content)])
    # The special tokens of the template and no others: a start and an end for each turn, and a
    # start for the assistant.
    special = [
        vocabulary.decode_text([i]) for i in ids if vocabulary.classes([i]) != [grammar.TEXT]
    ]
    assert special == [TURN_START, TURN_END] * (len(others) + 1) + [TURN_START]
    template: Any = vocabulary.tokenizer.apply_chat_template(
        _dialogue([*others, Message("user", content)]), tokenize=False, add_generation_prompt=True
    )
    as_one = vocabulary.tokenizer.encode(template)
    assert vocabulary.decode_text(ids) == vocabulary.decode_text(as_one)
    assert ids != as_one


@settings(max_examples=60)
@given(before=TEXTS, token=st.sampled_from(SPECIAL), after=TEXTS)
def test_plain_text_round_trips(
    vocabulary: Vocabulary, before: str, token: str, after: str
) -> None:
    ids = vocabulary.encode_text(before + token + after)
    assert set(vocabulary.classes(ids)) == {grammar.TEXT}
    composed = vocabulary.tokenizer.backend_tokenizer.normalizer.normalize_str
    assert vocabulary.decode_text(ids) == composed(before + token + after)


def test_numbers_to_99_are_one_token(vocabulary: Vocabulary) -> None:
    for number in range(100):
        for text in (str(number), f" {number}"):
            assert len(vocabulary.encode_text(text)) == 1
    pieces = [vocabulary.decode_text([i]) for i in vocabulary.encode_text("99 7 106 05")]
    assert pieces == ["99", " 7", " 10", "6", " 0", "5"]


# ---------------------------------------------------------------------- the saved folder


@pytest.fixture(scope="module", params=["fast", "auto", "small"])
def read_again(request: pytest.FixtureRequest, model_folder: Path) -> Vocabulary:
    """The vocabulary of the saved tokenizer, for each reader of the folder."""
    readers: dict[str, Any] = {
        "fast": PreTrainedTokenizerFast.from_pretrained,
        "auto": AutoTokenizer.from_pretrained,
        "small": SmallTokenizer,
    }
    return Vocabulary.require(readers[request.param](model_folder))


def test_auto_tokenizer_reads_the_folder_as_qwen2(model_folder: Path) -> None:
    assert type(AutoTokenizer.from_pretrained(model_folder)).__name__.startswith("Qwen2")


@settings(max_examples=100)
@given(text=TEXTS | NUMBERS_AND_BLANKS, token=st.sampled_from(("", *SPECIAL)))
def test_every_reader_of_the_folder_gets_the_same_ids(
    vocabulary: Vocabulary, read_again: Vocabulary, text: str, token: str
) -> None:
    text = text + token + text
    ids = vocabulary.encode_text(text)
    assert read_again.encode_text(text) == ids
    assert read_again.decode_text(ids) == vocabulary.decode_text(ids)
    messages = [Message("system", "Be brief."), Message("user", text)]
    assert read_again.encode_prompt(messages) == vocabulary.encode_prompt(messages)


def test_every_reader_of_the_folder_gets_the_same_vocabulary(
    vocabulary: Vocabulary, read_again: Vocabulary
) -> None:
    assert read_again.special_ids == vocabulary.special_ids
    assert (read_again.close_id, read_again.pad_id) == (vocabulary.close_id, vocabulary.pad_id)
    every_id = range(len(vocabulary.tokenizer))
    assert len(read_again.tokenizer) == len(vocabulary.tokenizer)
    assert read_again.classes(every_id) == vocabulary.classes(every_id)


# ---------------------------------------------------------------------- the 14 tokens


def test_reasoning_tokens_are_added_once_and_required() -> None:
    tokenizer = train_tokenizer(["a few words"] * 5, 400)
    size = len(tokenizer)
    with pytest.raises(UserError, match="lacks 14 of the 14 reasoning tokens"):
        Vocabulary.require(tokenizer)
    assert add_reasoning_tokens(tokenizer) == 14
    assert add_reasoning_tokens(tokenizer) == 0
    assert Vocabulary.require(tokenizer).special_ids == tuple(range(size, size + 14))


def test_classes_of_all_ids(vocabulary: Vocabulary) -> None:
    size = len(vocabulary.tokenizer)
    classes = vocabulary.class_tensor(size + 3).tolist()
    assert classes[:size] == vocabulary.classes(range(size))
    assert classes[size:] == [grammar.OTHER] * 3  # padding of the model's embeddings
    assert [classes[i] for i in vocabulary.special_ids] == list(range(14))
    assert classes[vocabulary.close_id] == grammar.CLOSE
    assert classes.count(grammar.OTHER) == 2 + 3  # endoftext, im_start, and the padding
