"""`steiner serve`: runs the app on a socket until it is stopped.

model folder, Settings, address -> a running server

    steiner serve --model runs/tiny/rl --port 8000

A first SIGTERM or SIGINT closes the doors: what runs is finished, new requests get a 503, then the
process ends with exit code 0. A second one ends it at once.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
from types import FrameType

import uvicorn

from steiner.allocator import keep_freed_memory
from steiner.serving.app import create_app
from steiner.serving.service import Service
from steiner.serving.settings import Settings
from steiner.types import UserError

_SLOW_READERS_S = 10
"""How long clients may take, after the last completion, to read the rest of their answers."""
_LAST_PORT = 65_535
_SWITCH_S = 0.0005
"""How long the event loop waits for the engine's thread to give way; with Python's own 5 ms, every
answer would be late by several steps."""


def serve(model: str, settings: Settings, host: str, port: int) -> None:
    """Serves a model folder or hub name until a signal; raises UserError where it cannot begin."""
    with listen(host, port) as listener:
        service = Service.load(model, settings)
        _run(model, service, settings, listener)


def _run(model: str, service: Service, settings: Settings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(service),
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_SLOW_READERS_S,
    )
    _announce(model, service, listener)
    sys.setswitchinterval(_SWITCH_S)
    keep_freed_memory()
    gc.freeze()  # what is loaded stays: looking through it again and again stops both threads
    server = StoppableServer(config, service)
    server.run(sockets=[listener])
    if server.force_exit and not service.ended:
        _leave_at_once()


def _leave_at_once() -> None:
    """Ends the process while the engine's thread still computes: if Python took the interpreter
    down around it, PyTorch would abort the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class StoppableServer(uvicorn.Server):
    """Replaces `handle_exit` and `on_tick`, so that the sockets stay open, to answer new requests
    with a 503, until what runs is finished."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A first signal closes the doors, a second one ends the process."""
        self.should_exit = self.force_exit = self._service.closing
        self._service.close()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to go."""
        return await super().on_tick(counter) or (self._service.closing and self._service.idle)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one."""
    if not 0 <= port <= _LAST_PORT:
        raise UserError(f"--port is {port}", f"give 0 to {_LAST_PORT}; 0 is any that is free")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror).partition(" (while ")[0]  # what follows repeats the address
        hint = "choose another with --host and --port"
        raise UserError(f"cannot listen on {host} port {port}: {reason}", hint) from error
    # Connections inherit it. Else what follows the headers waits, often 40 ms, until the client has
    # acknowledged them; asyncio sees to that only for sockets that it makes itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _announce(model: str, service: Service, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"{model} at http://{shown}:{port} (page), http://{shown}:{port}/v1 (API)", flush=True)
    print(service.cache_limit, flush=True)
    if not service.settings.api_key and not ipaddress.ip_address(host).is_loopback:
        print("warning: everyone who can reach this port can use the model", file=sys.stderr)
        print("hint: set a key with --api-key or STEINER_API_KEY", file=sys.stderr)
