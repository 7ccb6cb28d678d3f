"""Growing a model: it computes the same at first, and has room to learn more."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM

from experiments.model_growth import grown
from steiner.recipe import EMBEDDED_BASE


@pytest.fixture(scope="module")
def base():
    return AutoModelForCausalLM.from_pretrained(EMBEDDED_BASE).float()


@pytest.fixture(scope="module")
def larger(base):
    return grown(base, 8)


@pytest.fixture
def token_ids(base):
    return torch.randint(3, base.config.vocab_size, (2, 40), generator=torch.manual_seed(1))


def test_a_grown_model_has_eight_times_the_parameters_and_the_same_logits(base, larger, token_ids):
    assert 7.6 < larger.num_parameters() / base.num_parameters() < 8.4
    with torch.no_grad():
        expected, found = base(token_ids).logits, larger(token_ids).logits
    assert expected.std() > 1
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-3)


def test_copies_of_a_unit_learn_apart_and_new_layers_take_part(larger, token_ids):
    model = copy.deepcopy(larger)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):  # a new layer's other matrices get no gradient before its output has moved
        optimizer.zero_grad()
        model(token_ids, labels=token_ids).loss.backward()
        optimizer.step()
    width = model.config.hidden_size // 2
    changed = model.model.layers[0].mlp.gate_proj.weight.grad
    assert not torch.allclose(changed[:384], changed[384:768], rtol=1e-2)
    assert not torch.allclose(changed[:, :width], changed[:, width:], rtol=1e-2)
    assert model.model.layers[1].mlp.gate_proj.weight.grad.abs().max() > 0
