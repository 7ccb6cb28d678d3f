"""Serving: an OpenAI-compatible server on the engine, and the page."""
