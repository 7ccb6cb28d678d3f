"""LoRA: trains small matrices beside the frozen linear layers, and the rows of the new tokens.

model -> the same model, with adapters while it trains, and with merged weights afterwards

A linear layer W (out, in) becomes W + (alpha / r) B A, where A (r, in) and B (out, r) learn and W
stays (Hu et al. 2021, arXiv:2106.09685, section 4.1). Only A, B and the embedding rows of the 14
reasoning tokens have gradients and optimiser states.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.types import UserError

ALPHA = 32
"""The same for every rank, so that one learning rate suits all."""


@contextmanager
def lora(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rank: int, seed: int
) -> Iterator[None]:
    """Within the block, only LoRA of `rank` and the rows of the reasoning tokens are trainable.

    After it, the weights are merged and the model has its own layers again. With rank 0, everything
    is trainable.

    Raises UserError if the rank is negative.
    """
    if rank < 0:
        raise UserError(f"lora_rank is {rank}", "give 0 to train all weights, or 1 or more")
    if not rank:
        yield
        return
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA,
        target_modules="all-linear",  # but the head
        trainable_token_indices=_new_rows(model, tokenizer),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft reads this deprecated property of transformers.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        torch.manual_seed(seed)
        adapted = get_peft_model(model, config)
    yield
    adapted.merge_and_unload()
    model.requires_grad_(True)


def trainable_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights that have gradients; tied ones once."""
    return {
        name: weight.detach().contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


def _new_rows(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[int]] | None:
    """Layer -> token ids whose rows are trained; None for a model without reasoning tokens."""
    known = tokenizer.get_vocab()
    ids = [known[token] for token in SPECIAL_TOKENS if token in known]
    layers = [model.get_input_embeddings()]
    if model.get_output_embeddings().weight is not layers[0].weight:  # tied rows are one
        layers.append(model.get_output_embeddings())
    names = [name for name, module in model.named_modules() if any(module is x for x in layers)]
    return dict.fromkeys(names, ids) if ids else None
