"""Masks the tokens that the format and the budget forbid.

(state, steps, tokens left) of B rows -> mask over V;  chosen tokens -> next states

The budget only masks; it never chooses. Below `min_steps` the end of the reasoning is forbidden. At
`max_steps` proceed and backtrack are forbidden. In between the model decides. (The logits processor
of the released Steiner forces proceed below the minimum and the end above the maximum, so the model
cannot backtrack there.) The format is never broken: when the tokens left only just suffice to close
it and to keep a reserve for the answer, every token that delays the close is forbidden.

All rules are tables indexed by grammar state, so a step costs a dozen operations on (B,) tensors
for any budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from steiner.format import grammar
from steiner.format.grammar import NUM_CLASSES, TRANSITIONS, GrammarState
from steiner.format.tokenizer import Vocabulary
from steiner.types import UserError

MAX_COMPONENT_TOKENS = 640
"""Longest text of one component of a step; after that only its end token is allowed."""
ANSWER_RESERVE = 96
"""Tokens that the reasoning leaves for the answer, or a quarter of a smaller budget's slack."""
OPENING = (grammar.START, grammar.STEP_START, "<|reasoning_step_name_start|>")
"""The first tokens of every reasoning; each is the only one allowed."""


def opening_ids(vocabulary: Vocabulary) -> list[int]:
    """Token ids of the OPENING."""
    return [vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(token)] for token in OPENING]


_NUM_STATES = len(GrammarState)
_UNLIMITED = 2**31 - 1
_COMPONENTS = (
    GrammarState.NAME,
    GrammarState.THOUGHT,
    GrammarState.SUMMARY,
    GrammarState.REFLECTION,
)
_FREE, _ONWARD, _STAY = 0, 1, 2
"""Variants of a state's mask: the grammar's; without tokens that delay the close; without END."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on the length of one completion; raises UserError if they contradict each other."""

    min_steps: int = 0
    max_steps: int | None = None
    max_tokens: int = 2048
    """Tokens of the whole completion: reasoning, answer and the closing token."""
    max_reasoning_tokens: int | None = None
    """Tokens of the reasoning, from its first special token to its last. Once they are spent, only
    tokens that close the reasoning are allowed; the answer is free."""

    def __post_init__(self) -> None:
        if self.min_steps < 0:
            raise UserError(f"min_steps is {self.min_steps}", "give 0 or more")
        if self.max_steps is not None and self.max_steps < 1:
            raise UserError(f"max_steps is {self.max_steps}", "reasoning has at least one step")
        if self.max_steps is not None and self.max_steps < self.min_steps:
            message = f"max_steps is {self.max_steps}, below min_steps, which is {self.min_steps}"
            raise UserError(message, "raise max_steps, or lower min_steps")
        if self.max_tokens < shortest_completion():
            raise UserError(
                f"max_tokens is {self.max_tokens}",
                f"the format alone takes {shortest_completion()} tokens",
            )
        most = self.max_reasoning_tokens
        if most is not None and most < shortest_reasoning():
            raise UserError(
                f"max_reasoning_tokens is {most}",
                f"the shortest reasoning takes {shortest_reasoning()} tokens",
            )

    @property
    def reserve(self) -> int:
        """Tokens that the reasoning leaves for the answer."""
        return min(ANSWER_RESERVE, (self.max_tokens - shortest_completion()) // 4)


def shortest_completion() -> int:
    """Tokens of one empty step, an empty answer and the close."""
    return _shortest_close()[GrammarState.BEGIN]


def shortest_reasoning() -> int:
    """Tokens of a reasoning of one empty step."""
    return shortest_completion() - 1


@cache
def _shortest_close() -> tuple[int, ...]:
    """Fewest tokens from each state to DONE, by relaxation over TRANSITIONS."""
    cost = [_UNLIMITED] * _NUM_STATES
    cost[GrammarState.DONE] = 0
    for _ in GrammarState:
        for state in range(GrammarState.DONE):
            cost[state] = 1 + min(cost[after] for after in TRANSITIONS[state])
    return tuple(cost)


class BudgetMask:
    """Grammar state and budget of up to `max_batch` rows; the first B are active.

    `mask` and `advance` run at every step and use tensor operations only. The other methods run
    when a row joins, moves, or leaves for a while.
    """

    def __init__(
        self, vocabulary: Vocabulary, vocab_size: int, max_batch: int, device: torch.device
    ) -> None:
        classes_V = vocabulary.class_tensor(vocab_size)
        self.class_of_V = classes_V.to(device)
        self.mask_of_mode = _mask_of_mode(classes_V).to(device)
        self._one_choice_of_mode = (self.mask_of_mode == 0).sum(-1) == 1
        self._mode_B = torch.zeros(0, dtype=torch.int64, device=device)
        self._tables = _StateTables(device)
        # One matrix, so that moving a row is one copy.
        self._fields = torch.zeros(10, max_batch, dtype=torch.int64, device=device)
        self._device = device

    def begin(self, row: int, budget: Budget, *, reasoning: bool) -> None:
        """Starts `row` after the OPENING of a reasoning, or at the start of a direct answer."""
        state = GrammarState.NAME if reasoning else GrammarState.ANSWER
        spent = len(OPENING) if reasoning else 0
        max_steps = _UNLIMITED if budget.max_steps is None else budget.max_steps
        max_reasoning = budget.max_reasoning_tokens
        self._fields[:, row] = torch.tensor(
            [
                state,
                spent,
                budget.max_tokens - spent,
                0,
                0,
                budget.min_steps,
                max_steps,
                budget.reserve,
                0,
                _UNLIMITED if max_reasoning is None else max_reasoning,
            ],
            device=self._device,
        )

    def state(self, row: int) -> torch.Tensor:
        """A copy of the state of `row`, for `restore`."""
        return self._fields[:, row].clone()

    def restore(self, row: int, state: torch.Tensor) -> None:
        """Continues at `row` what another row had reached."""
        self._fields[:, row] = state

    def move(self, source: int, target: int) -> None:
        """Copies the state of row `source` to row `target`."""
        self._fields[:, target] = self._fields[:, source]

    def spent(self, rows: int) -> torch.Tensor:
        """Tokens written so far: (B,)."""
        return self._fields[1, :rows]

    def cut(self, row: int) -> bool:
        """True if max_tokens has restricted this row at any step."""
        return bool(self.cuts(row + 1)[row])

    def cuts(self, rows: int) -> torch.Tensor:
        """`cut` of the first rows: 0 or 1, (B,)."""
        return self._fields[8, :rows]

    def mask(self, rows: int) -> torch.Tensor:
        """The mask to add to the logits of the first rows: 0 if allowed, else -inf; (B, V)."""
        return self.mask_of_mode[self.choose_modes(rows)]

    def choose_modes(self, rows: int) -> torch.Tensor:
        """The modes that index `mask_of_mode` for the next token of the first rows: (B,)."""
        state, spent, left, steps, run, min_steps, max_steps, reserve, cut, max_reasoning = (
            self._fields[:, :rows]
        )
        tables = self._tables
        late = left < tables.delay_cost[state] + tables.delay_reserve[state] * reserve
        reasoned = max_reasoning - spent < tables.reasoning_cost[state]
        deciding = state == GrammarState.DECISION
        onward = late | reasoned | (run >= tables.max_run[state])
        onward |= deciding & (steps >= max_steps)
        stay = deciding & (steps < min_steps) & ~onward
        cut |= late
        self._mode_B = state + _NUM_STATES * (onward * _ONWARD + stay * _STAY)
        return self._mode_B

    def forced(self) -> torch.Tensor:
        """True for rows in which the latest modes allow exactly one token: bool (B,)."""
        return self._one_choice_of_mode[self._mode_B]

    def allows(self, tokens_B: torch.Tensor) -> torch.Tensor:
        """True for rows in which the latest modes allow this token: bool (B,)."""
        return self.mask_of_mode[self._mode_B, tokens_B] == 0

    def advance(self, tokens_B: torch.Tensor) -> torch.Tensor:
        """Advances the first B rows by one token each; returns which are finished: bool (B,)."""
        fields = self._fields[:, : len(tokens_B)]
        state, spent, left, steps, run = fields[:5]
        after = self._tables.transitions[state * NUM_CLASSES + self.class_of_V[tokens_B]]
        spent += 1
        left -= 1
        steps += after == GrammarState.DECISION
        run += 1
        run *= after == state
        state.copy_(after)
        return after == GrammarState.DONE


class _StateTables:
    """Constants of each grammar state; all int64 (number of states,)."""

    def __init__(self, device: torch.device) -> None:
        close = _shortest_close()
        delay_cost, delay_reserve = [0] * _NUM_STATES, [0] * _NUM_STATES
        reasoning_cost = [-_UNLIMITED] * _NUM_STATES
        max_run = [_UNLIMITED] * _NUM_STATES
        for state in (*_COMPONENTS, GrammarState.ANSWER):
            delay_cost[state] = 1 + close[state]
        delay_cost[GrammarState.DECISION] = 1 + close[GrammarState.STEP]
        for state in (*_COMPONENTS, GrammarState.DECISION):
            delay_reserve[state] = 1
            reasoning_cost[state] = delay_cost[state] - 1  # without the token that closes the turn
        for state in _COMPONENTS:
            max_run[state] = MAX_COMPONENT_TOKENS
        self.delay_cost = torch.tensor(delay_cost, device=device)
        """Tokens that must be left for a token that delays the close; 0 for states without one."""
        self.delay_reserve = torch.tensor(delay_reserve, device=device)
        """1 for states in which the answer's reserve must be left as well."""
        self.reasoning_cost = torch.tensor(reasoning_cost, device=device)
        """The same as `delay_cost`, counted to the end of the reasoning."""
        self.max_run = torch.tensor(max_run, device=device)
        self.transitions = torch.tensor(TRANSITIONS, device=device).flatten()


def _mask_of_mode(classes_V: torch.Tensor) -> torch.Tensor:
    """0 or -inf for every (variant, state) and token: float32 (variants * states, V)."""
    allowed = torch.tensor(TRANSITIONS) != GrammarState.BROKEN
    modes = allowed.repeat(3, 1)
    onward, stay = modes[_NUM_STATES:], modes[_NUM_STATES * _STAY :]
    onward[:_NUM_STATES, grammar.TEXT] = False
    for token in (grammar.PROCEED, grammar.BACKTRACK):
        onward[GrammarState.DECISION, grammar.SPECIAL_TOKENS.index(token)] = False
    stay[GrammarState.DECISION, grammar.SPECIAL_TOKENS.index(grammar.END)] = False
    return torch.where(modes[:, classes_V], 0.0, -torch.inf)
