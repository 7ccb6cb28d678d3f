"""The engine: decodes many requests in one batch, each with its own budget and random stream.

Requests (prompt ids, Budget, Sampling) -> Rollouts

Training and evaluation use `generate`. A server uses `submit`, `step` and `cancel`, so that
requests join and leave the running batch. A step decodes one token of every active row; a waiting
request takes the place of a finished row at once. `refresh` reads the weights again while a model
trains.

Requests start before it is known how much KV cache they will take. When the cache is full, the
youngest rows return to the front of the queue, and later continue from the tokens that they have
(recompute preemption of PagedAttention, arXiv:2309.06180, section 4.5).

    rollouts = Engine(model, vocabulary).generate([Request(prompt_ids, Budget(max_steps=8))])
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import BudgetMask, opening_ids
from steiner.inference.decoder import decoder_for
from steiner.inference.kv_cache import PromptBatch, with_headroom
from steiner.inference.kv_memory import default_kv_memory
from steiner.inference.request import PartialRollout, Request
from steiner.inference.sampling import Sampler, top_logprobs
from steiner.models.evaluation_mode import evaluating
from steiner.progress import shown_size
from steiner.types import Rollout, StopReason, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_BATCH = 64
"""Most rows that run at once, if the caller does not say."""
_PREFILL_TOKENS = 16_384
"""Most padded prompt tokens in one forward, to bound its memory."""
_JOIN_FRACTION = 8
"""While more requests wait, free rows are refilled once 1/8 of all rows is free."""


@dataclass(frozen=True, slots=True)
class RequestDelta:
    """The tokens that one step added to one request."""

    ticket: int
    token_ids: tuple[int, ...]
    """New tokens: several at once for the opening, which the format fixes."""
    rollout: Rollout | None
    """The finished rollout, with the last of its tokens."""


@dataclass(slots=True)
class _Row:
    """A waiting or running request."""

    ticket: int
    written: PartialRollout
    num_reported: int = 0
    budget_state: torch.Tensor | None = None
    """Of the BudgetMask, once the row has run; the sampler's state follows from the request."""

    @property
    def request(self) -> Request:
        return self.written.request

    @property
    def num_tokens(self) -> int:
        return len(self.request.prompt_ids) + len(self.written.token_ids)


_Finished = list[tuple[_Row, Rollout]]


class Engine:
    """Decodes requests with one model; not thread-safe.

    At most `max_batch` rows run at once, each of at most `max_length` tokens, prompt included. The
    KV cache takes at most `kv_memory` bytes; by default a share of what is free (kv_memory.py).
    `dtype` is that of the decoder's copy of the weights, by default the model's. A model whose
    decoder has no copy (hf_decoder.py) decodes in its own dtype.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        *,
        max_batch: int = MAX_BATCH,
        max_length: int = 2048,
        kv_memory: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.max_batch, self.max_length = max_batch, max_length
        self.num_preemptions = 0
        """How often a row has left the batch for lack of memory."""
        self._kv_memory = kv_memory
        self._is_limited = False
        self._model = model
        self._vocabulary = vocabulary
        self._codec = Codec(vocabulary)
        self._opening = opening_ids(vocabulary)
        self._rows: list[_Row] = []
        self._waiting: deque[_Row] = deque()
        self._num_tickets = 0
        with torch.inference_mode():
            self._allocate(dtype)

    def _allocate(self, dtype: torch.dtype | None) -> None:
        device, max_batch = self._model.device, self.max_batch
        head: Any = self._model.get_output_embeddings()
        vocab_size = head.weight.shape[0]
        self._decoder, self._cache = decoder_for(self._model, max_batch, self.max_length, dtype)
        self._budget_mask = BudgetMask(self._vocabulary, vocab_size, max_batch, device)
        self._sampler = Sampler(max_batch, self.max_length, device)
        self._next_B = torch.zeros(max_batch, dtype=torch.int64, device=device)

    def generate(
        self, requests: Sequence[Request], on_progress: Callable[[int], None] | None = None
    ) -> list[Rollout]:
        """The requests' rollouts, in their order. `on_progress` gets the number finished."""
        if self._rows or self._waiting:
            raise RuntimeError("generate() while submitted requests are still running")
        self.refresh()
        rollouts: dict[int, Rollout] = {}
        try:
            tickets = [self.submit(request) for request in requests]
            with evaluating(self._model):
                while len(rollouts) < len(tickets):
                    finished = self._step()
                    rollouts.update((row.ticket, rollout) for row, rollout in finished)
                    if finished and on_progress:
                        on_progress(len(rollouts))
        finally:
            self._drop_all()
        return [rollouts[ticket] for ticket in tickets]

    def submit(self, request: Request) -> int:
        """Queues a request; returns its ticket. Raises UserError if it cannot fit."""
        needed = len(request.prompt_ids) + request.budget.max_tokens
        if needed > self.max_length:
            raise UserError(
                f"a prompt of {len(request.prompt_ids)} tokens and max_tokens "
                f"{request.budget.max_tokens} exceed the engine's {self.max_length}",
                "lower max_tokens, or raise max_length",
            )
        if not request.prompt_ids:
            raise UserError("the prompt is empty", "give at least one token")
        self.limit_cache()
        if needed > self.longest:
            raise UserError(
                f"a prompt of {len(request.prompt_ids)} tokens and max_tokens "
                f"{request.budget.max_tokens} exceed the {self.longest} tokens that fit into a KV "
                f"cache of {shown_size(self.kv_limit)}",
                "lower max_tokens, or raise kv_memory (--kv-memory)",
            )
        row = _Row(self._num_tickets, PartialRollout(request, self._codec, self._opening))
        self._waiting.append(row)
        self._num_tickets += 1
        return row.ticket

    @property
    def dtype(self) -> torch.dtype:
        """Number format in which the decoder multiplies with weights."""
        return self._decoder.dtype

    def limit_cache(self) -> None:
        """Sets the limit of the KV cache, once; the first request does it otherwise.

        Only a model that is ready to decode shows how much memory is left and how much a token
        takes.
        """
        if not self._is_limited:
            num_bytes = self._kv_memory or default_kv_memory(self._model.device)
            with torch.inference_mode():
                self._cache.limit(num_bytes, self._decoder.cell_bytes())
            self._is_limited = True

    @property
    def longest(self) -> int:
        """Most tokens of a prompt and its completion: max_length, or fewer if the KV cache cannot
        hold them."""
        return min(self.max_length, self._cache.max_cells)

    @property
    def kv_limit(self) -> int:
        """Most bytes of the KV cache."""
        return self._cache.max_bytes

    @property
    def kv_bytes(self) -> int:
        """Bytes that the KV cache takes now."""
        return self._cache.nbytes

    def cancel(self, ticket: int) -> Rollout | None:
        """Removes a request at once; returns its rollout so far, or None if it is unknown."""
        for row in self._waiting:
            if row.ticket == ticket:
                self._waiting.remove(row)
                return row.written.rollout(StopReason.CANCELLED)
        for index, row in enumerate(self._rows):
            if row.ticket == ticket:
                with torch.inference_mode():
                    self._remove([index])
                return row.written.rollout(StopReason.CANCELLED)
        return None

    @property
    def num_running(self) -> int:
        """Number of active rows."""
        return len(self._rows)

    @property
    def num_unfinished(self) -> int:
        """Number of running and waiting requests."""
        return len(self._rows) + len(self._waiting)

    def step(self) -> list[RequestDelta]:
        """Decodes one token of every active row; returns what each row gained. [] when idle."""
        if not self.num_unfinished:
            return []
        finished = self._step()
        deltas = [self._delta(row, rollout) for row, rollout in finished]
        return deltas + [self._delta(row, None) for row in self._rows]

    def _delta(self, row: _Row, rollout: Rollout | None) -> RequestDelta:
        token_ids = row.written.token_ids
        new, row.num_reported = token_ids[row.num_reported :], len(token_ids)
        return RequestDelta(row.ticket, tuple(new), rollout)

    def refresh(self) -> None:
        """Reads the model's weights again; `generate` begins with it."""
        with torch.inference_mode():
            self._decoder.refresh()

    @torch.inference_mode()
    def _step(self) -> _Finished:
        self._admit()
        self._make_room()
        rows = len(self._rows)
        logits_BV = self._decoder.decode(self._next_B[:rows])
        logits_BV += self._budget_mask.mask(rows)
        forced_B = self._budget_mask.forced()
        tokens_B, logprobs_B = self._sampler.choose(logits_BV, self._budget_mask.spent(rows))
        done_B = self._budget_mask.advance(tokens_B)
        self._next_B[:rows] = tokens_B
        self._cache.end += 1
        if num_top := max(row.request.num_top_logprobs for row in self._rows):
            self._record_top_logprobs(logits_BV, num_top)
        reasons: dict[int, StopReason] = {}
        for place, (row, token, logprob, forced, done) in enumerate(
            zip(
                self._rows,
                tokens_B.tolist(),
                logprobs_B.tolist(),
                forced_B.tolist(),
                done_B.tolist(),
                strict=True,
            )
        ):
            row.written.append(token, logprob, forced)
            if done:
                cut = self._budget_mask.cut(place)
                reasons[place] = StopReason.LENGTH if cut else StopReason.END
            elif row.written.repeats_itself():
                reasons[place] = StopReason.REPETITION
        return self._finish(reasons)

    def _record_top_logprobs(self, logits_BV: torch.Tensor, num_top: int) -> None:
        for row, likeliest in zip(self._rows, top_logprobs(logits_BV, num_top), strict=True):
            if row.request.num_top_logprobs:
                row.written.append_top_logprobs(likeliest)

    def _finish(self, reasons: dict[int, StopReason]) -> _Finished:
        rows = [(self._rows[place], reason) for place, reason in reasons.items()]
        if rows:
            self._remove(list(reasons))
        return [(row, row.written.rollout(reason)) for row, reason in rows]

    def _admit(self) -> None:
        """Moves waiting requests to free rows, several at a time: one prefill is cheaper."""
        if not self._waiting:
            return
        free = self._num_free(self._waiting[0].num_tokens)
        places = len(self._rows) + free
        if free < min(len(self._waiting), max(1, places // _JOIN_FRACTION)):
            return
        while group := self._next_group():
            self._join(group)

    def _num_free(self, longest: int) -> int:
        """Rows that can join if the longest of them has so many tokens. One can always run."""
        columns = with_headroom(max(longest, self._cache.length))
        most = max(self._cache.max_rows(columns), 0 if self._rows else 1)
        return most - len(self._rows)

    def _next_group(self) -> list[_Row]:
        group: list[_Row] = []
        longest = 0
        while self._waiting:
            longest = max(longest, self._waiting[0].num_tokens)
            too_long = group and longest * (len(group) + 1) > _PREFILL_TOKENS
            if too_long or len(group) >= self._num_free(longest):
                break
            group.append(self._waiting.popleft())
        return group

    def _join(self, group: list[_Row]) -> None:
        written = [(*row.request.prompt_ids, *row.written.token_ids) for row in group]
        prompts = PromptBatch.of([ids[:-1] for ids in written], len(self._rows), self._model.device)
        self._cache.make_room(len(self._rows) + len(group), prompts.width)
        for place, (row, ids) in enumerate(zip(group, written, strict=True), len(self._rows)):
            request = row.request
            self._cache.begin(place, len(ids) - 1)
            if row.budget_state is None:
                self._budget_mask.begin(place, request.budget, reasoning=request.reasoning)
            else:
                self._budget_mask.restore(place, row.budget_state)
            self._sampler.begin(place, request.sampling, request.budget.max_tokens)
            self._next_B[place] = ids[-1]
        self._rows += group
        self._cache.resize(len(self._rows))
        if prompts.width:
            self._decoder.prefill(prompts)

    def _make_room(self) -> None:
        """Ensures a column for the next token, if need be by sending rows back to the queue."""
        columns = self._cache.length + 1
        if len(self._rows) > self._cache.max_rows(columns):
            while len(self._rows) > max(1, self._cache.max_rows(with_headroom(columns))):
                self._preempt()
                columns = self._cache.length + 1
        self._cache.make_room(len(self._rows), 0)

    def _preempt(self) -> None:
        """Sends the youngest row back to the front of the queue, with what it has written."""
        place = max(range(len(self._rows)), key=lambda place: self._rows[place].ticket)
        row = self._rows[place]
        row.budget_state = self._budget_mask.state(place)
        self._remove([place])
        self._waiting.appendleft(row)
        self.num_preemptions += 1

    def _remove(self, places: list[int]) -> None:
        """Frees rows; the last row moves to the place of each."""
        for place in reversed(places):
            last = len(self._rows) - 1
            row = self._rows.pop()
            if place < last:
                self._rows[place] = row
                for part in (self._cache, self._budget_mask, self._sampler):
                    part.move(last, place)
                self._next_B[place] = self._next_B[last]
        self._cache.resize(len(self._rows))

    def reset(self) -> None:
        """Drops all requests and frees the KV cache; for use after a step that failed midway."""
        self._drop_all()
        self._cache.clear()

    def _drop_all(self) -> None:
        self._rows.clear()
        self._waiting.clear()
        self._cache.resize(0)
