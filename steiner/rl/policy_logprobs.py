"""Log-probabilities of what the model chose, under the grammar that the engine samples by.

completion ids (B, T), hidden states (B, T, D) -> log-probabilities (B, T), entropies (B, T)

The engine samples from the softmax over the tokens that the format allows. The gradient of the
softmax over all tokens, GRPO's, would be that of another policy: what is taken from a wrong token
flows to tokens that are never sampled, and nothing brings it back (docs/reward.md has figures).
"""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from steiner.format.grammar import TRANSITIONS, GrammarState
from steiner.format.parser import grammar_states
from steiner.format.tokenizer import Vocabulary
from steiner.training.losses import CHUNK_TOKENS, Head


class GrammarPolicy:
    """The choices that the format leaves in each of its states, for one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, vocab_size: int) -> None:
        self.class_V = vocabulary.class_tensor(vocab_size)
        allowed = (torch.tensor(TRANSITIONS) != GrammarState.BROKEN)[:, self.class_V]
        allowed |= ~allowed.any(1, keepdim=True)  # behind the end nothing counts
        self.forbidden_SV = ~allowed
        """True where a grammar state S forbids a token."""

    def logprobs(
        self,
        head: Head,
        hidden_BTD: torch.Tensor,
        ids_BT: torch.Tensor,
        temperature: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability of each token of a completion, and the entropy of its choice, without
        gradient: (B, T).

        `head` makes logits (N, V) of the hidden states (N, D) that predict the tokens. Logits of
        CHUNK_TOKENS positions are in memory at a time; the backward pass computes them again.
        """
        states_BT = self.states(ids_BT)
        chunks = zip(
            hidden_BTD.flatten(0, 1).split(CHUNK_TOKENS),
            states_BT.flatten().split(CHUNK_TOKENS),
            ids_BT.flatten().split(CHUNK_TOKENS),
            strict=True,
        )
        found = [
            checkpoint(self._chunk, head, *chunk, temperature, use_reentrant=False)
            for chunk in chunks
        ]
        logprobs, entropies = zip(*found, strict=True)
        return torch.cat(logprobs).view(ids_BT.shape), torch.cat(entropies).view(ids_BT.shape)

    def _chunk(
        self,
        head: Head,
        hidden_CD: torch.Tensor,
        states_C: torch.Tensor,
        ids_C: torch.Tensor,
        temperature: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        forbidden_CV = self.forbidden_SV.to(ids_C.device)[states_C]
        # A finite floor, since zero times an infinite one would make the entropy undefined.
        masked_CV = (head(hidden_CD) / temperature).float().masked_fill(forbidden_CV, -1e9)
        logprob_CV = masked_CV.log_softmax(-1)
        with torch.no_grad():
            entropy_C = -(logprob_CV.exp() * logprob_CV).sum(-1)
        return logprob_CV.gather(1, ids_C[:, None])[:, 0], entropy_C

    def states(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """The grammar state in which each token was chosen: (B, T)."""
        classes_BT = self.class_V[ids_BT.cpu()]
        states_BT = [grammar_states(classes_T) for classes_T in classes_BT.tolist()]
        return torch.tensor(states_BT, device=ids_BT.device)
