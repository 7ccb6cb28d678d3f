"""Plugins for vLLM: the step budget as a logits processor, and a reasoning parser.

docs/serving.md has the command line. Nothing here is an entry point: vLLM loads it where its flags
say so, and only there.
"""
