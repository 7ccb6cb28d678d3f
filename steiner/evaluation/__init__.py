"""Evaluation: suites of held-out problems, what models make of them, and the report about it."""
