"""Reasoning DAGs: built by a solver, walked by a sampler, stored, and traced in a model's steps."""
