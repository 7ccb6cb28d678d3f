"""The tokenizer: a byte-level BPE with whole numbers, the chat template of Qwen2.5, 14 new tokens.

text -> token ids, by an ordinary Hugging Face tokenizer saved with the model

It splits text where Qwen2.5's does, so that whatever reads the folder as a Qwen2 tokenizer gets the
same ids. Departs from it in two places. Numbers up to 99 are one token for a small model's sake; as
Qwen splits every digit off before merging, they are added tokens. The chat template adds no system
message of its own, and a newline is always a token by itself, so that a rendered dialogue can be
encoded turn by turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from steiner.format import grammar
from steiner.types import Message, UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

_PIECE_TO_LEARN = r"\n| ?\p{L}+| ?[^\s\p{L}\p{N}]|\p{N}|[^\S\n]+"
"""What merging may make one token of: finer than Qwen's pieces, so that newlines and signs stay
apart."""

_QWEN_PIECE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_NUMBERS = [f" {n}" for n in range(100)] + [str(n) for n in range(10, 100)]
"""Added as tokens; a digit without a space before it is one already."""

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerBase:
    """A base tokenizer of at most `vocab_size` tokens: the 3 special ones of a chat, every number
    from 0 to 99 with and without a leading space, and what byte-pair merging of `texts` finds.
    The 14 reasoning tokens come later, by `add_reasoning_tokens`."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    def pieces(pattern: str) -> pre_tokenizers.PreTokenizer:
        split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([split, to_bytes])

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pieces(_PIECE_TO_LEARN)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(_NUMBERS),
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pieces(_QWEN_PIECE)
    tokenizer.add_tokens([AddedToken(number, normalized=False) for number in _NUMBERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=TURN_END,
        additional_special_tokens=[TURN_START],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )


def add_reasoning_tokens(tokenizer: PreTrainedTokenizerBase) -> int:
    """Adds those of the 14 tokens that are missing; returns how many were added."""
    return int(tokenizer.add_tokens(_missing(tokenizer), special_tokens=True))


def _missing(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    return [token for token in grammar.SPECIAL_TOKENS if token not in vocabulary]


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer that knows the format: token ids of the 14 tokens, token classes, safe encoding.

    Raises UserError (on `require`) for a tokenizer that lacks them.
    """

    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def require(cls, tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
        """The vocabulary, provided that all 14 tokens are there."""
        if missing := _missing(tokenizer):
            raise UserError(
                f"the tokenizer lacks {len(missing)} of the 14 reasoning tokens ({missing[0]})",
                "train the model with `steiner train cpt` first, which adds them",
            )
        return cls(tokenizer)

    @cached_property
    def special_ids(self) -> tuple[int, ...]:
        """Ids of the 14 tokens, in the order of format.SPECIAL_TOKENS."""
        return tuple(self._id(token) for token in grammar.SPECIAL_TOKENS)

    @cached_property
    def close_id(self) -> int:
        """Id of the token that closes a turn."""
        return self._id(TURN_END)

    def _id(self, token: str) -> int:
        return int(self.tokenizer.get_vocab()[token])

    @cached_property
    def pad_id(self) -> int:
        """Id of the padding token."""
        pad = self.tokenizer.pad_token_id
        return self.close_id if pad is None else int(pad)

    @cached_property
    def _class_by_id(self) -> dict[int, int]:
        added = self.tokenizer.added_tokens_decoder
        classes = {token: grammar.OTHER for token, entry in added.items() if entry.special}
        classes |= {token: index for index, token in enumerate(self.special_ids)}
        return classes | {self.close_id: grammar.CLOSE}

    def classes(self, token_ids: Sequence[int]) -> list[int]:
        """Token class (format/grammar.py) of each id."""
        return [self._class_by_id.get(token, grammar.TEXT) for token in token_ids]

    def class_tensor(self, size: int) -> torch.Tensor:
        """Token class of every id below `size` (the model's V, which may exceed the tokenizer's):
        int64 (V,). Ids beyond the tokenizer's vocabulary are of class OTHER."""
        import torch

        classes = torch.full((size,), grammar.OTHER, dtype=torch.int64)
        classes[: len(self.tokenizer)] = grammar.TEXT
        for token, token_class in self._class_by_id.items():
            classes[token] = token_class
        return classes

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text; strings that look like special tokens stay plain text."""
        ids: Any = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return list(ids)

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the dialogue by the tokenizer's own chat template, ready for the assistant's turn.

        Equals `apply_chat_template(..., add_generation_prompt=True)`, except that special-token
        strings in a message's content are encoded as plain text.
        """
        contents = [message.content for message in messages]
        if not any(token in text for text in contents for token in self._special_strings):
            return self._render([(m.role, m.content) for m in messages])
        marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
        ids: list[int] = []
        rendered = self._template([(m.role, k) for m, k in zip(messages, marks, strict=True)])
        for mark, content in zip(marks, contents, strict=True):
            before, rendered = rendered.split(mark, 1)
            ids += self.tokenizer.encode(before, add_special_tokens=False)
            ids += self.encode_text(content)
        ids += self.tokenizer.encode(rendered, add_special_tokens=False)
        return ids

    @cached_property
    def _special_strings(self) -> tuple[str, ...]:
        added = self.tokenizer.added_tokens_decoder.values()
        return tuple(entry.content for entry in added if entry.special)

    def _template(self, turns: Sequence[tuple[str, str]]) -> str:
        dialogue = [{"role": role, "content": content} for role, content in turns]
        text: Any = self.tokenizer.apply_chat_template(
            dialogue, tokenize=False, add_generation_prompt=True
        )
        return str(text)

    def _render(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        ids: Any = self.tokenizer.encode(self._template(turns), add_special_tokens=False)
        return list(ids)

    def decode_text(self, token_ids: Sequence[int]) -> str:
        """Text of ordinary tokens."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=False))
