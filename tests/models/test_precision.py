"""The measured choice of number format."""

import torch

from steiner.models.precision import fastest_dtype


def test_the_choice_is_one_of_two_and_stays():
    assert fastest_dtype() in (torch.float32, torch.bfloat16)
    assert fastest_dtype() is fastest_dtype()
