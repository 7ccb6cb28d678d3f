"""Tokenizers: trains the embedded model's, and adds the 14 reasoning tokens to any other.

text -> token ids, by an ordinary Hugging Face tokenizer saved with the model

The embedded tokenizer is a byte-level BPE that splits text where Qwen2.5's does, so that a program
that reads the folder as a Qwen2 tokenizer gets the same ids. It departs from Qwen2.5 in two places:

- Numbers up to 99 are one token each, because the model is small. They are added tokens, as Qwen's
  pattern splits off every digit before merging.
- The chat template adds no system message, and a newline is always a token of its own, so that a
  rendered dialogue can be encoded turn by turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from steiner.format import grammar
from steiner.format.chat_format import ChatFormat
from steiner.types import Message, UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

_PIECE_TO_LEARN = r"\n| ?\p{L}+| ?[^\s\p{L}\p{N}]|\p{N}|[^\S\n]+"
"""Tokens are merged within these pieces only: finer than Qwen's, so that signs stay apart."""

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
    """Trains a base tokenizer of at most `vocab_size` tokens.

    They are the 3 special tokens of a chat, every number from 0 to 99 with and without a leading
    space, and the results of byte-pair merging on `texts`. `add_reasoning_tokens` adds the 14
    reasoning tokens later.
    """
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
    """Adds the missing reasoning tokens; returns their number."""
    return int(tokenizer.add_tokens(_missing(tokenizer), special_tokens=True))


def _missing(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    return [token for token in grammar.SPECIAL_TOKENS if token not in vocabulary]


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer with the 14 reasoning tokens: their ids, token classes, and safe encoding."""

    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def require(cls, tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
        """The vocabulary of a tokenizer. Raises UserError if it lacks one of the 14 tokens."""
        if missing := _missing(tokenizer):
            raise UserError(
                f"the tokenizer lacks {len(missing)} of the 14 reasoning tokens ({missing[0]})",
                "train the model with `steiner train cpt` first, which adds them",
            )
        return cls(tokenizer)

    @cached_property
    def special_ids(self) -> tuple[int, ...]:
        """Ids of the 14 tokens, in the order of grammar.SPECIAL_TOKENS."""
        return tuple(self._id(token) for token in grammar.SPECIAL_TOKENS)

    @cached_property
    def chat(self) -> ChatFormat:
        """The layout of dialogues."""
        return ChatFormat(self.tokenizer)

    @property
    def close_id(self) -> int:
        """Id of the token that closes the assistant's turn."""
        return self.chat.close_id

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return self.chat.pad_id

    def _id(self, token: str) -> int:
        return int(self.tokenizer.get_vocab()[token])

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
        return self.chat.encode_text(text)

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the dialogue up to the start of the assistant's turn, by the chat template."""
        return self.chat.encode_prompt(messages)

    def decode_text(self, token_ids: Sequence[int]) -> str:
        """Text of ordinary tokens."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=False))
