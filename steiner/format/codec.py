"""Encodes search paths as tokens, and decodes a model's tokens into steps and an answer.

SearchPath -> TokenSequence;  (prompt ids, completion ids) -> Rollout

A Rollout knows the step of each token, so that a step's reward reaches the tokens of that step. In
a TokenSequence only reasoning and answer carry loss. The end of a truncated path carries none,
because the sampler did not choose it; `wrong_turn_loss` weighs the choice of steps that the sampler
knows to be dead ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from steiner.format import grammar
from steiner.format.parser import parse
from steiner.format.tokenizer import Vocabulary
from steiner.tasks.no_answer import is_reading
from steiner.types import (
    Decision,
    Message,
    Rollout,
    SearchPath,
    Step,
    StepTexts,
    StopReason,
    TokenSequence,
)

_DECISION_TOKENS = {
    Decision.PROCEED: grammar.PROCEED,
    Decision.BACKTRACK: grammar.BACKTRACK,
    Decision.END: grammar.END,
}


class Codec:
    """Encodes and decodes with one tokenizer; caches the ids of repeated texts."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._special = dict(zip(grammar.SPECIAL_TOKENS, vocabulary.special_ids, strict=True))
        self._text = lru_cache(maxsize=200_000)(lambda text: tuple(vocabulary.encode_text(text)))

    def encode_path(
        self,
        path: SearchPath,
        *,
        choice_loss: float = 1.0,
        wrong_turn_loss: float = 1.0,
        answer_loss: float = 1.0,
    ) -> TokenSequence:
        """Encodes a SearchPath: prompt, reasoning, answer, closing token. A truncated path whose
        last step does not end the reasoning stops after that step.

        Loss weights: `choice_loss` for the tokens of next_step, or `wrong_turn_loss` if the step is
        a wrong turn; `answer_loss` for the answer; 1 for the rest of the reasoning.
        """
        tokens = list(self.vocabulary.encode_prompt(path.problem.messages))
        weights = [0.0] * len(tokens)

        def add(ids: Sequence[int], weight: float) -> None:
            tokens.extend(ids)
            weights.extend([weight] * len(ids))

        add([self._special[grammar.START]], 1.0)
        for index, step in enumerate(path.steps):
            choice = wrong_turn_loss if step.wrong_turn else choice_loss
            for name, ids in self._step(step.texts):
                add(ids, choice if name == "name" else 1.0)
            forced = path.truncated and index == len(path.steps) - 1
            if forced and step.decision is not Decision.END:
                return TokenSequence(tuple(tokens), tuple(weights))
            decision = self._special[_DECISION_TOKENS[step.decision]]
            add([decision], 0.0 if forced else 1.0)
        add([*self._text(path.answer), self.vocabulary.close_id], answer_loss)
        return TokenSequence(tuple(tokens), tuple(weights))

    def encode_step(self, texts: StepTexts) -> tuple[int, ...]:
        """The tokens of a step from its start to its end, without the decision."""
        return tuple(token for _, ids in self._step(texts) for token in ids)

    def _step(self, texts: StepTexts) -> Iterator[tuple[str, Sequence[int]]]:
        """Yields (component name, token ids); the name is empty for special tokens."""
        written = (texts.next_step, texts.understanding, texts.summary, texts.verification)
        yield "", [self._special[grammar.STEP_START]]
        for name, text in zip(grammar.COMPONENTS, written, strict=True):
            yield "", [self._special[f"<|reasoning_step_{name}_start|>"]]
            yield name, self._text(text)
            yield "", [self._special[f"<|reasoning_step_{name}_end|>"]]
        yield "", [self._special[grammar.STEP_END]]

    def encode_answer(self, messages: Sequence[Message], answer: str) -> TokenSequence:
        """Encodes a direct answer without reasoning, for baselines and dialogue."""
        prompt = self.vocabulary.encode_prompt(messages)
        completion = [*self._text(answer), self.vocabulary.close_id]
        weights = [0.0] * len(prompt) + [1.0] * len(completion)
        return TokenSequence((*prompt, *completion), tuple(weights))

    def decode(
        self,
        prompt_ids: Sequence[int],
        token_ids: Sequence[int],
        logprobs: Sequence[float],
        stop_reason: StopReason,
        forced: Sequence[bool] = (),
        top_logprobs: Sequence[tuple[tuple[int, float], ...]] = (),
    ) -> Rollout:
        """Decodes a completion: its steps up to the first invalid token, and its answer.

        The parser reads token ids, never text. A step that was cut short before its decision counts
        as END. Depths follow from the decisions alone: a backtrack tries the same depth again.
        dags/tracing.py finds the depth that a step's own words name.
        """
        parsed = parse(self.vocabulary.classes(token_ids))
        steps: list[Step] = []
        depth = 0
        for span in parsed.spans:
            texts = self._texts([token_ids[start:stop] for start, stop in span.components])
            decision = span.decision or Decision.END
            depth = max(depth, 0 if not steps and is_reading(texts) else 1)
            steps.append(Step(texts, decision, depth))
            depth += decision is Decision.PROCEED
        answer = ""
        if parsed.answer is not None:
            answer = self.vocabulary.decode_text(token_ids[slice(*parsed.answer)]).strip()
        return Rollout(
            prompt_ids=tuple(prompt_ids),
            token_ids=tuple(token_ids),
            logprobs=tuple(logprobs),
            stop_reason=stop_reason,
            steps=tuple(steps),
            answer=answer,
            well_formed=parsed.state is grammar.GrammarState.DONE,
            spans=parsed.spans,
            answer_span=parsed.answer,
            forced=tuple(forced),
            top_logprobs=tuple(top_logprobs),
        )

    def _texts(self, components: Sequence[Sequence[int]]) -> StepTexts:
        return grammar.texts_of([self.vocabulary.decode_text(ids).strip() for ids in components])
