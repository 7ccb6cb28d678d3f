"""Experiments: baselines and rival models that only benchmarks use."""
