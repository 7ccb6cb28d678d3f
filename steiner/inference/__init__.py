"""Inference: budget, batched engine, rollout backends, search tree, and the Reasoner."""
