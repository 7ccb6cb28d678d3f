"""Paths as tokens: the reasoning format, tokenizer and chat template, encoding and decoding."""
