"""Muon gets the matrices inside the model, AdamW the rest, and both act as one optimiser."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, Qwen2ForCausalLM

from steiner.training.muon import Muon, orthogonal
from steiner.training.optimizers import MuonAdamW, build_optimizer

MakeModel = Callable[[], Qwen2ForCausalLM]
RATES = {"muon_lr": 0.02, "adam_lr": 0.003}


def _names(model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> set[str]:
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [name_of[id(p)] for group in optimizer.param_groups for p in group["params"]]
    assert len(set(found)) == len(found)
    return set(found)


def _learn(model: PreTrainedModel, optimizer: torch.optim.Optimizer, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        ids_BT = torch.randint(0, 500, (2, 8), generator=generator)
        model(input_ids=ids_BT, labels=ids_BT).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("tied", [True, False])
def test_matrices_go_to_muon_and_the_rest_to_adamw(make_model: MakeModel, tied: bool) -> None:
    model = make_model()
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    muon, adamw = build_optimizer(model, **RATES).parts
    assert isinstance(muon, Muon)
    assert isinstance(adamw, AdamW)
    inner = ("v_proj.weight", "o_proj.weight", "gate_proj.weight", "up_proj.weight")
    expected = {
        f"model.layers.{layer}.{part}"
        for layer in (0, 1)
        for part in (
            *(f"self_attn.{name}" for name in inner[:2]),
            *(f"mlp.{name}" for name in (*inner[2:], "down_proj.weight")),
        )
    }
    assert _names(model, muon) == expected
    everything = {name for name, _ in model.named_parameters()}
    assert ("lm_head.weight" in everything) == (not tied)
    assert _names(model, adamw) == everything - expected


def test_frozen_parameters_are_left_out(make_model: MakeModel) -> None:
    model = make_model()
    model.model.layers[0].requires_grad_(False)
    names = _names(model, build_optimizer(model, **RATES))
    assert names == {name for name, _ in model.named_parameters() if "layers.0." not in name}


def test_first_step_by_hand(make_model: MakeModel) -> None:
    model = make_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, **RATES)
    _learn(model, optimizer, steps=1, seed=0)
    # AdamW's first step, its averages corrected for their start at 0, is lr * g / |g|: lr exactly.
    norm = (model.model.norm.weight - before["model.norm.weight"]).abs()
    assert torch.allclose(norm, torch.full_like(norm, 0.003), rtol=1e-3)
    # Muon's is lr * sqrt(max(1, rows / columns)) times a matrix whose singular values are near 1,
    # 0.02 * sqrt(64 / 32) = 0.028 for the gate (64, 32); but the gradient from 14 tokens has no
    # more than 14 directions.
    name = "model.layers.0.mlp.gate_proj.weight"
    change = model.get_parameter(name) - before[name]
    singular = torch.linalg.svdvals(change) / (0.02 * 2**0.5)
    assert singular[:14].min() > 0.6
    assert singular.max() < 1.3


def test_muon_steps_as_pytorchs_own_does() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 32), (32, 64), (64, 32), (48, 48)]
    ours = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    theirs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in ours]
    begun = [parameter.detach().clone() for parameter in ours]
    pair = Muon(ours, lr=0.1), torch.optim.Muon(theirs, lr=0.1, weight_decay=0.0)
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        for optimizer in pair:
            optimizer.step()
    for one, other, start in zip(ours, theirs, begun, strict=True):
        way, difference = (one - start).norm(), (one - other).norm()
        assert way > 1  # it went somewhere
        assert difference < 0.02 * way  # theirs computes in bf16


def test_a_batch_of_matrices_is_made_orthogonal_each_for_itself() -> None:
    wide_NRC = torch.randn(3, 8, 32, generator=torch.Generator().manual_seed(0))
    wide_NRC *= torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    for matrices_NRC in (wide_NRC, wide_NRC.mT):
        singular_NR = torch.linalg.svdvals(orthogonal(matrices_NRC))
        assert singular_NR.min() > 0.6
        assert singular_NR.max() < 1.3


def test_schedulers_move_the_rates_of_both(make_model: MakeModel) -> None:
    model = make_model()
    optimizer = build_optimizer(model, **RATES)
    scheduler = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    optimizer.step()
    scheduler.step()
    assert [part.param_groups[0]["lr"] for part in optimizer.parts] == [0.01, 0.0015]


def _saved(state: object) -> object:
    stream = BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    loaded: object = torch.load(stream, weights_only=True)
    return loaded


def test_saved_and_loaded_it_goes_on_as_before(make_model: MakeModel) -> None:
    model, again = make_model(), make_model()
    optimizer: MuonAdamW = build_optimizer(model, **RATES)
    _learn(model, optimizer, steps=3, seed=0)
    again.load_state_dict(model.state_dict())
    reread = build_optimizer(again, muon_lr=0.5, adam_lr=0.5)  # the saved rates win
    reread.load_state_dict(_saved(optimizer.state_dict()))  # type: ignore[arg-type]
    for one, other in ((model, optimizer), (again, reread)):
        _learn(one, other, steps=2, seed=1)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name
    assert reread.param_groups[0] is reread.parts[0].param_groups[0]
    assert [group["lr"] for group in reread.param_groups] == [0.02, 0.003]
