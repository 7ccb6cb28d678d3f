"""Steiner: make, serve and study language models that reason by searching in one line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steiner.inference.reasoner import Reasoner

__all__ = ["Reasoner", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`from steiner import Reasoner` imports torch; `import steiner` does not."""
    if name != "Reasoner":
        raise AttributeError(f"module 'steiner' has no attribute '{name}'")
    from steiner.inference.reasoner import Reasoner

    return Reasoner
