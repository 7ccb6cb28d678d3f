"""A vLLM reasoning parser: splits completions into reasoning and answer like the embedded server.

token ids as they come, or text at the end -> `reasoning`, `content`

    vllm serve MODEL --reasoning-parser-plugin steiner.serving.vllm.reasoning_parser \\
        --reasoning-parser steiner

Streams are parsed by token ids. For a whole answer vLLM gives only the text, so the request is
changed to keep special tokens in it. The strings that start and end the reasoning are deliberately
not declared to vLLM: its `thinking_token_budget` uses them to write the end into the middle of a
step.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.reasoning import ReasoningParser, ReasoningParserManager

from steiner.format.tokenizer import Vocabulary
from steiner.serving.formatting import Delta, DeltaFormatter
from steiner.serving.vllm.token_recovery import num_reasoning, reasoning_ended, token_ids


class SteinerReasoningParser(ReasoningParser):  # type: ignore[misc]
    """Parses one completion.

    Implements the abstract methods of vLLM's base class. `engine_based_streaming` declares that the
    parser separates reasoning and answer itself, up to the last token.
    """

    engine_based_streaming = True

    def __init__(self, tokenizer: Any, *args: Any, **options: Any) -> None:
        super().__init__(tokenizer, *args, **options)
        self._vocabulary = _vocabulary_of(tokenizer)
        self._formatter = DeltaFormatter(self._vocabulary)

    def adjust_request(self, request: Any) -> Any:
        """Keeps the special tokens in the text."""
        request.skip_special_tokens = False
        return request

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:
        """The reasoning and the answer of a whole completion."""
        ids = token_ids(model_output, self._vocabulary)
        delta = DeltaFormatter(self._vocabulary).add(ids, last=True)
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
        """The reasoning and answer text of the next tokens; None if there is none."""
        return _message(self._formatter.add(delta_token_ids))

    def finish_streaming(self) -> Any:
        """The rest of the text, which was held back in case more followed."""
        return _message(self._formatter.add((), last=True))

    def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
        """True if the reasoning of the last turn has ended; it has not begun in a prompt."""
        return reasoning_ended(input_ids, self._vocabulary)

    def is_reasoning_end_streaming(
        self, input_ids: Sequence[int], delta_ids: Iterable[int]
    ) -> bool:
        """True if the reasoning ends in these tokens; a JSON schema applies from there on."""
        return reasoning_ended(list(delta_ids), self._vocabulary)

    def extract_content_ids(self, input_ids: list[int]) -> list[int]:
        """The tokens of the answer."""
        return input_ids[num_reasoning(input_ids, self._vocabulary) :]

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """Number of a completion's tokens that are reasoning."""
        return num_reasoning(token_ids, self._vocabulary)


@lru_cache(maxsize=4)
def _vocabulary_of(tokenizer: Any) -> Vocabulary:
    """The Vocabulary of a tokenizer, made once because that takes time for a large one.

    It uses a copy of the tokenizer: vLLM's threads use the original, which is not thread-safe.
    """
    return Vocabulary.require(copy.deepcopy(tokenizer))


def _message(delta: Delta) -> Any:
    if not delta.reasoning and not delta.content:
        return None
    return DeltaMessage(reasoning=delta.reasoning or None, content=delta.content or None)


ReasoningParserManager.register_module("steiner", module=SteinerReasoningParser)
