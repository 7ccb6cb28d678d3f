"""Steiner's held-out problems for evaluation harnesses that others wrote; docs/evaluation.md."""
