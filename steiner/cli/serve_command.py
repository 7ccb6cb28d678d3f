"""The command that serves a model: an OpenAI-compatible API and a page.

options -> Settings -> a running server

    steiner serve --model runs/tiny/rl --port 8000
"""

from __future__ import annotations

import argparse
import os

from steiner.cli.model_options import add_model_options, chosen_model
from steiner.cli.parser import Commands, Parser, add_command, number, size, whole_number
from steiner.serving.settings import Settings

_LIMITS = {
    "max_batch": "completions that run at once",
    "max_waiting": "completions that may wait; more are refused",
    "max_body_bytes": "longest body of a request",
    "time_limit_s": "seconds from a request's arrival to its last token, waiting included",
}
"""Field of Settings -> help."""


def add_command_to(commands: Commands[Parser]) -> None:
    """Adds `serve`."""
    default = Settings()
    serve = add_command(
        commands,
        "serve",
        _serve,
        summary="an OpenAI-compatible server with a page",
        example="steiner serve --model runs/tiny/rl    # then open http://127.0.0.1:8000",
    )
    add_model_options(serve)
    serve.add_argument("--name", default=default.name, help="name of the model (%(default)s)")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address; 0.0.0.0 is every network (%(default)s)"
    )
    serve.add_argument(
        "--port", type=whole_number, default=8000, metavar="N", help="0 is any (%(default)s)"
    )
    serve.add_argument("--api-key", metavar="KEY", help="default: STEINER_API_KEY, else no key")
    serve.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        dest="allow_origins",
        metavar="ORIGIN",
        help="let web pages of this origin use the API; * is any; repeatable",
    )
    serve.add_argument(
        "--max-length",
        type=whole_number,
        metavar="N",
        help="tokens of a dialogue and its answer; default: the model's own limit",
    )
    serve.add_argument(
        "--kv-memory",
        type=size,
        metavar="SIZE",
        help="most memory of the KV cache, such as 2GB; default: half of what is free",
    )
    for name, meaning in _LIMITS.items():
        value = getattr(default, name)
        serve.add_argument(
            f"--{name.replace('_', '-')}",
            type=number if isinstance(value, float) else whole_number,
            default=value,
            metavar="N",
            help=f"{meaning} (%(default)s)",
        )


def _serve(options: argparse.Namespace) -> None:
    model = chosen_model(options)
    settings = Settings(
        name=options.name,
        api_key=options.api_key or os.environ.get("STEINER_API_KEY", ""),
        allow_origins=tuple(options.allow_origins),
        max_length=options.max_length,
        kv_memory=options.kv_memory,
        **{name: getattr(options, name) for name in _LIMITS},
    )
    from steiner.serving.server import serve

    serve(model, settings, options.host, options.port)
