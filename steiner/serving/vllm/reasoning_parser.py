"""vLLM's reasoning parser: a completion's reasoning and answer, in the embedded server's words.

token ids as they come, or text at the end -> `reasoning`, `content`

    vllm serve MODEL --reasoning-parser-plugin steiner.serving.vllm.reasoning_parser \\
        --reasoning-parser steiner

A stream is read from its token ids. Of a whole answer vLLM hands over the text alone, so the
request is changed to have special tokens spelled out in it. Which strings begin and end the
reasoning is not told to vLLM on purpose: its `thinking_token_budget`, which needs to know, would
write the end into the middle of a step.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.reasoning import ReasoningParser, ReasoningParserManager

from steiner.format.tokenizer import Vocabulary
from steiner.serving.formatting import Delta, Scribe
from steiner.serving.vllm.token_recovery import num_reasoning, reasoning_ended, token_ids


class SteinerReasoningParser(ReasoningParser):  # type: ignore[misc]
    """Reads one completion. Replaces what vLLM's base class leaves open, and says by
    `engine_based_streaming` that it tells reasoning and answer apart itself, to the last token."""

    engine_based_streaming = True

    def __init__(self, tokenizer: Any, *args: Any, **options: Any) -> None:
        super().__init__(tokenizer, *args, **options)
        self._vocabulary = _vocabulary_of(tokenizer)
        self._scribe = Scribe(self._vocabulary, None)

    def adjust_request(self, request: Any) -> Any:
        """Keeps the special tokens in the text."""
        request.skip_special_tokens = False
        return request

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:
        """The reasoning and the answer of a whole completion."""
        ids = token_ids(model_output, self._vocabulary)
        delta = Scribe(self._vocabulary, None).write(ids, last=True)
        return delta.reasoning or None, delta.content or None

    def extract_reasoning_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
    ) -> Any:
        """What the next tokens add to either; None where that is nothing."""
        return _message(self._scribe.write(delta_token_ids))

    def finish_streaming(self) -> Any:
        """What was held back because more could have followed."""
        return _message(self._scribe.write((), last=True))

    def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
        """Whether the last turn's reasoning has ended; a prompt's has not begun."""
        return reasoning_ended(input_ids, self._vocabulary)

    def is_reasoning_end_streaming(
        self, input_ids: Sequence[int], delta_ids: Iterable[int]
    ) -> bool:
        """Whether it ends in these tokens: from then on a JSON schema, if any, holds."""
        return reasoning_ended(list(delta_ids), self._vocabulary)

    def extract_content_ids(self, input_ids: list[int]) -> list[int]:
        """The tokens of the answer."""
        return input_ids[num_reasoning(input_ids, self._vocabulary) :]

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """How many of a completion's tokens are reasoning."""
        return num_reasoning(token_ids, self._vocabulary)


@lru_cache(maxsize=4)
def _vocabulary_of(tokenizer: Any) -> Vocabulary:
    """Made once, as a large vocabulary takes time and each request has a parser; of a copy, as
    vLLM's threads use the tokenizer itself, which is not safe in two at once."""
    return Vocabulary.require(copy.deepcopy(tokenizer))


def _message(delta: Delta) -> Any:
    if not delta.reasoning and not delta.content:
        return None
    return DeltaMessage(reasoning=delta.reasoning or None, content=delta.content or None)


ReasoningParserManager.register_module("steiner", module=SteinerReasoningParser)
