"""Plugins for vLLM: the step budget as a logits processor, and a reasoning parser.

docs/serving.md has the command line. Nothing here is an entry point: vLLM loads the plugins only if
its flags name them.
"""
