"""Hugging Face models: loading, precision, and a small Qwen2 that loads without transformers."""
