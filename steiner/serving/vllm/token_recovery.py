"""Recovers the token ids of a completion from its text, with special tokens spelled out.

text -> token ids;  token ids -> the end of the reasoning

vLLM gives text only for a whole answer that is not streamed; streams are parsed by token ids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from steiner.format import grammar
from steiner.format.parser import GrammarParser
from steiner.format.tokenizer import Vocabulary

_END_CLASS, _START_CLASS = (
    grammar.SPECIAL_TOKENS.index(token) for token in (grammar.END, grammar.START)
)
_SPELLED = re.compile("(" + "|".join(map(re.escape, grammar.SPECIAL_TOKENS)) + ")")


def token_ids(text: str, vocabulary: Vocabulary) -> list[int]:
    """Token ids of a completion. The name of a special token counts as plain text if the format
    does not allow that token there."""
    ids: list[int] = []
    parser = GrammarParser()
    for piece in _SPELLED.split(text):
        if piece in grammar.SPECIAL_TOKENS:
            token_class = grammar.SPECIAL_TOKENS.index(piece)
            if parser.allows(token_class):
                ids.append(vocabulary.special_ids[token_class])
                parser.feed(token_class)
                continue
        ids += vocabulary.encode_text(piece)
    return ids


def reasoning_ended(ids: Sequence[int], vocabulary: Vocabulary) -> bool:
    """True if the reasoning of the last turn has ended; `ids` may begin with the dialogue."""
    for token_class in reversed(vocabulary.classes(ids)):
        if token_class == _END_CLASS:
            return True
        if token_class in (_START_CLASS, grammar.OTHER):
            return False
    return False


def num_reasoning(ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """Number of reasoning tokens in a completion, special ones included."""
    end_id = vocabulary.special_ids[_END_CLASS]
    return ids.index(end_id) + 1 if end_id in ids else len(ids)
