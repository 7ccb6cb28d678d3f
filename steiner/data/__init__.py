"""Training data: ordinary text, mixtures with search paths, and batching."""
