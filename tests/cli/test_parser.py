"""Types of options."""

from __future__ import annotations

import argparse

import pytest

from steiner.cli.parser import size


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [
        ("2GB", 2_000_000_000),
        ("500 mb", 500_000_000),
        ("1.5GiB", 3 << 29),
        ("7KB", 7000),
        ("1TiB", 1 << 40),
    ],
)
def test_a_size_in_bytes(text: str, num_bytes: int) -> None:
    assert size(text) == num_bytes


@pytest.mark.parametrize("text", ["2", "GB", "0GB", "-1GB", "2 GBs", "1e3MB", ".5GB", ""])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size such as 500MB, 2GB"):
        size(text)
