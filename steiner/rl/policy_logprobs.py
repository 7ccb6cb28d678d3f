"""Log-probabilities of what the model chose, under the grammar that the engine samples by.

completion ids (B, T), logits (B, T, V) -> log-probabilities (B, T), entropies (B, T)

The engine samples from the softmax over the tokens that the format allows. The gradient of the
softmax over all tokens, GRPO's, would be that of another policy: what is taken from a wrong token
flows to tokens that are never sampled, and nothing brings it back (docs/reward.md has figures).
"""

from __future__ import annotations

import torch

from steiner.format.grammar import TRANSITIONS, GrammarState
from steiner.format.parser import grammar_states
from steiner.format.tokenizer import Vocabulary


class GrammarPolicy:
    """The choices that the format leaves in each of its states, for one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, vocab_size: int) -> None:
        self.class_V = vocabulary.class_tensor(vocab_size)
        allowed = (torch.tensor(TRANSITIONS) != GrammarState.BROKEN)[:, self.class_V]
        allowed |= ~allowed.any(1, keepdim=True)  # behind the end nothing counts
        self.forbidden_SV = ~allowed
        """True where a grammar state S forbids a token."""

    def logprobs(
        self, logits_BTV: torch.Tensor, ids_BT: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability of each token of a completion, and the entropy of its choice: (B, T)."""
        states_BT = self.states(ids_BT)
        forbidden_BTV = self.forbidden_SV.to(ids_BT.device)[states_BT]
        # A finite floor, since an infinite one would make the entropy's gradient undefined.
        masked_BTV = logits_BTV.float().masked_fill(forbidden_BTV, -1e9)
        logprob_BTV = masked_BTV.log_softmax(-1)
        entropy_BT = -(logprob_BTV.exp() * logprob_BTV).sum(-1)
        return logprob_BTV.gather(2, ids_BT[..., None])[..., 0], entropy_BT

    def states(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """The grammar state in which each token was chosen: (B, T)."""
        classes_BT = self.class_V[ids_BT.cpu()]
        states_BT = [grammar_states(classes_T) for classes_T in classes_BT.tolist()]
        return torch.tensor(states_BT, device=ids_BT.device)
