"""Steiner: make, serve and study language models that reason by searching in one line of text."""

__version__ = "0.1.0"
