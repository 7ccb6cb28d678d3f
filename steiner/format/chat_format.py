"""The layout of a dialogue in tokens, read from the tokenizer's own chat template.

Messages -> prompt ids;  template -> the token that closes the assistant's turn

Works for any template of a Hugging Face tokenizer, among them ChatML (Qwen, SmolLM), Llama 3,
Gemma, Phi-3 and Mistral. Nothing here is specific to one of them: to use another layout, change
`chat_template.jinja` in the model's folder.

    chat = ChatFormat(tokenizer)
    prompt_ids = chat.encode_prompt([Message("user", "Make 24 from 3, 5, 7, 9.")])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from steiner.types import Message, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "\ue000{}\ue001"
"""Stands for a message's content in a rendered template; private-use characters."""


@dataclass(frozen=True)
class ChatFormat:
    """Encodes dialogues for one tokenizer."""

    tokenizer: PreTrainedTokenizerBase

    @cached_property
    def close_id(self) -> int:
        """Id of the token that closes the assistant's turn.

        It is the first special token after an assistant's message in the rendered template, or the
        tokenizer's end-of-sequence token if the template writes none. Raises UserError for a
        tokenizer that has neither.
        """
        mark = _MARK.format(1)
        turns = [
            {"role": "user", "content": _MARK.format(0)},
            {"role": "assistant", "content": mark},
        ]
        after = self._render(turns, add_generation_prompt=False).rpartition(mark)[2]
        special = self.tokenizer.added_tokens_decoder
        for token in self._encode(after):
            if token in special and special[token].special:
                return token
        end = getattr(self.tokenizer, "eos_token_id", None)
        if end is None:
            raise UserError(
                "the chat template has no token that closes the assistant's turn",
                "set the tokenizer's eos_token",
            )
        return int(end)

    @cached_property
    def pad_id(self) -> int:
        """Id that fills up a batch: the padding token, else end-of-sequence, else 0.

        Padding is masked in attention and in the loss, so any id works.
        """
        for name in ("pad_token_id", "eos_token_id"):
            token = getattr(self.tokenizer, name, None)
            if token is not None:
                return int(token)
        return 0

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the dialogue up to the start of the assistant's turn.

        Equal to `apply_chat_template(..., add_generation_prompt=True)`, except that special-token
        strings in a message's content are encoded as plain text, and that a system message goes
        to the start of the first user message if the template has no system turn.

        Raises UserError if the template refuses the dialogue, two user turns in a row for instance.
        """
        if messages and messages[0].role == "system" and not self._takes_system:
            messages = _system_text_in_first_turn(messages)
        contents = [message.content for message in messages]
        if any(token in text for text in contents for token in self._special_strings):
            return self._encode_with_plain_contents(messages)
        turns = [{"role": m.role, "content": m.content} for m in messages]
        return self._encode(self._render(turns, add_generation_prompt=True))

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text; strings that look like special tokens stay plain text."""
        ids: Any = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return list(ids)

    def _encode_with_plain_contents(self, messages: Sequence[Message]) -> list[int]:
        """Renders the dialogue with marks in place of the contents, then encodes part by part."""
        marks = [_MARK.format(index) for index in range(len(messages))]
        turns = [{"role": m.role, "content": k} for m, k in zip(messages, marks, strict=True)]
        rendered = self._render(turns, add_generation_prompt=True)
        ids: list[int] = []
        for mark, message in zip(marks, messages, strict=True):
            before, _, rendered = rendered.partition(mark)
            content = message.content.strip() if self._strips_contents else message.content
            ids += self._encode(before) + self.encode_text(content)
        return ids + self._encode(rendered)

    @cached_property
    def _strips_contents(self) -> bool:
        """True if the template strips white space around a message."""
        padded = f" {_MARK.format(0)} "
        turns = [{"role": "user", "content": padded}]
        return padded not in self._render(turns, add_generation_prompt=True)

    @cached_property
    def _takes_system(self) -> bool:
        """True if the template writes a system turn; Gemma's and older ones of Mistral refuse it,
        others leave it out."""
        system = _MARK.format(0)
        turns = [
            {"role": "system", "content": system},
            {"role": "user", "content": _MARK.format(1)},
        ]
        try:
            return system in self._render(turns, add_generation_prompt=True)
        except _RefusedDialogue:
            return False

    @cached_property
    def _special_strings(self) -> tuple[str, ...]:
        added = self.tokenizer.added_tokens_decoder.values()
        return tuple(entry.content for entry in added if entry.special)

    def _encode(self, text: str) -> list[int]:
        ids: Any = self.tokenizer.encode(text, add_special_tokens=False)
        return list(ids)

    def _render(self, turns: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        if getattr(self.tokenizer, "chat_template", "") is None:
            raise UserError(
                "the tokenizer has no chat template",
                "use an instruction-tuned model, or set tokenizer.chat_template and save it",
            )
        try:
            text: Any = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except TemplateError as error:
            raise _RefusedDialogue(
                f"the model's chat template refuses this dialogue: {error}",
                "most templates take user and assistant turns in alternation",
            ) from error
        return str(text)


class _RefusedDialogue(UserError):
    """The template raised an error of its own."""


def _system_text_in_first_turn(messages: Sequence[Message]) -> list[Message]:
    """The dialogue with its system message before the text of the message after it."""
    system, *rest = messages
    if not rest:
        return [Message("user", system.content)]
    first, *later = rest
    return [Message(first.role, f"{system.content}\n\n{first.content}"), *later]
