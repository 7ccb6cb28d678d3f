"""A completion as vLLM's server hands it over, read back into the tokens that it is made of.

text with its special tokens spelled out -> token ids;  token ids -> where the reasoning ends

Only a whole answer, not streamed, comes as text: everything else is read from the ids as they are.
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
    """Ids of a completion. Where a token's name stands at a place at which the format does not
    allow that token, it is text that looks like one."""
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
    """Whether the reasoning of the last turn has ended; `ids` may begin with the dialogue."""
    for token_class in reversed(vocabulary.classes(ids)):
        if token_class == _END_CLASS:
            return True
        if token_class in (_START_CLASS, grammar.OTHER):
            return False
    return False


def num_reasoning(ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """How many tokens of a completion are reasoning: those up to its end, special ones included."""
    end_id = vocabulary.special_ids[_END_CLASS]
    return ids.index(end_id) + 1 if end_id in ids else len(ids)
