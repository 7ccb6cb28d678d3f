"""Decoding: the batched engine, the grammar and the step budget, the slow reference beside them."""
