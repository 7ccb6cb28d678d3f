"""A client of `vllm serve`: many completions at once, retries, new weights, clear errors.

request bodies -> Completions;  model folder -> weights of the running server

Completions go to `/v1/completions` with token ids in and out. New weights go through
`/collective_rpc`, which a server has only with VLLM_SERVER_DEV_MODE=1. A request that meets a
broken connection or a 5xx is sent again after a growing pause, with the same seed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from steiner.types import RunError, UserError

TRIES = 5
"""Tries of one request before it fails for good."""
FIRST_PAUSE_S = 0.5
"""The pause after the first failure; each later one is twice as long."""
_MAX_CONNECTIONS = 512
"""vLLM forms its batches from the requests that it has, so it should have them all."""
_TIMEOUT = httpx.Timeout(60.0, read=3600.0, pool=None)
"""A completion may wait for all others."""
_RELOAD_TIMEOUT_S = 3600.0
_LEAST_LOGPROB = -9999.0
"""vLLM's number for the log-probability of a token that its mask forbids."""
_TOKEN_ID = "token_id:"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a server says about its model."""

    name: str
    max_length: int
    """Tokens of prompt and completion together."""


@dataclass(frozen=True, slots=True)
class VllmCompletion:
    """The T tokens that the server wrote for one request."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """(T,)"""
    top_logprobs: tuple[tuple[tuple[int, float], ...], ...]
    """(T,) (token id, log-probability) pairs, likeliest first, without forbidden tokens."""


class VllmClient:
    """Talks to the server at `url`, such as http://127.0.0.1:8000."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UserError(
                f"the vLLM server's URL is '{url}'", "give one such as http://host:8000"
            )
        self.url = url.rstrip("/").removesuffix("/v1")

    def served_model(self) -> ServedModel:
        """Name and context length. Raises UserError if there is no vLLM server at the URL."""
        response = self._answer("GET", "/v1/models", timeout=30)
        try:
            model = response.json()["data"][0]
            return ServedModel(str(model["id"]), int(model["max_model_len"]))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            hint = "name the address of `vllm serve`"
            raise UserError(f"the server at {self.url} is not vLLM", hint) from error

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text by the server's tokenizer; special tokens count as such."""
        body = {"prompt": text, "add_special_tokens": False}
        ids: list[int] = self._answer("POST", "/tokenize", body, timeout=60).json()["tokens"]
        return ids

    def load_weights(self, folder: Path) -> None:
        """Replaces the model's weights by those in `folder`, which the server reads itself, and
        forgets the keys and values of the old ones. Call it only while no request is running.

        Raises UserError if the server cannot or is down, RunError if its cache stays in use.
        """
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        self._answer("POST", "/collective_rpc", body, timeout=_RELOAD_TIMEOUT_S)
        for attempt in range(TRIES):
            time.sleep(_pause(attempt))
            if self._answer("POST", "/reset_prefix_cache", timeout=60).json().get("success"):
                return
        raise RunError(
            f"vLLM at {self.url} does not clear its prefix cache",
            "give the training a server of its own: another client's requests hold the cache",
        )

    def _answer(
        self, method: str, path: str, body: Any = None, *, timeout: float
    ) -> httpx.Response:
        """A successful response, after several tries of a server that cannot be reached."""
        failure = ""
        for attempt in range(TRIES):
            time.sleep(_pause(attempt))
            try:
                response = httpx.request(method, self.url + path, json=body, timeout=timeout)
            except httpx.HTTPError as error:
                failure = _reason(error)
                continue
            if response.status_code == 200:
                return response
            raise self._refusal(path, response)
        raise UserError(
            f"cannot reach vLLM at {self.url}: {failure}",
            "start it (docs/scaling.md has the command), or correct the URL",
        )

    def _refusal(self, path: str, response: httpx.Response) -> UserError:
        if path in ("/collective_rpc", "/reset_prefix_cache") and response.status_code == 404:
            hint = "start it with the environment variable VLLM_SERVER_DEV_MODE=1"
            return UserError(f"vLLM at {self.url} takes no new weights", hint)
        said = f"{response.status_code} for {path}: {_error_message(response)}"
        hint = "the server must read the folder of weights under the same path; its log says more"
        if path != "/collective_rpc":
            hint = "check that the URL is that of `vllm serve`; its log says more"
        return UserError(f"vLLM at {self.url} answers {said}", hint)

    def complete(
        self,
        bodies: Sequence[Mapping[str, Any]],
        on_progress: Callable[[int], None] | None = None,
    ) -> list[VllmCompletion]:
        """The completions of all bodies, in their order. `on_progress` gets the number finished.

        Raises UserError for a request that the server refuses, RunError if it is down.
        """
        return asyncio.run(self._complete(bodies, on_progress))

    async def _complete(
        self, bodies: Sequence[Mapping[str, Any]], on_progress: Callable[[int], None] | None
    ) -> list[VllmCompletion]:
        limits = httpx.Limits(max_connections=_MAX_CONNECTIONS)
        num_finished = 0

        async def one(client: httpx.AsyncClient, body: Mapping[str, Any]) -> VllmCompletion:
            nonlocal num_finished
            completion = await self._completion(client, body)
            num_finished += 1
            if on_progress:
                on_progress(num_finished)
            return completion

        async with httpx.AsyncClient(timeout=_TIMEOUT, limits=limits) as client:
            tasks = [asyncio.create_task(one(client, body)) for body in bodies]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _completion(
        self, client: httpx.AsyncClient, body: Mapping[str, Any]
    ) -> VllmCompletion:
        failure = ""
        for attempt in range(TRIES):
            await asyncio.sleep(_pause(attempt))
            try:
                response = await client.post(f"{self.url}/v1/completions", json=body)
            except httpx.HTTPError as error:
                failure = _reason(error)
                continue
            if response.status_code == 200:
                if completion := _parsed(response, int(body["logprobs"])):
                    return completion
                failure = "the request was aborted"
                continue
            failure = f"status {response.status_code}: {_error_message(response)}"
            if response.status_code < 500:
                raise UserError(
                    f"vLLM at {self.url} refuses a request, {failure}",
                    "check the server's model and its plugin (docs/scaling.md)",
                )
        raise RunError(
            f"vLLM at {self.url} failed {TRIES} times: {failure}",
            "start it again, then run the same command: it continues where it stopped",
        )


def _pause(attempt: int) -> float:
    """Seconds to wait before a try; 0 before the first."""
    return FIRST_PAUSE_S * 2 ** (attempt - 1) if attempt else 0.0


def _parsed(response: httpx.Response, num_top: int) -> VllmCompletion | None:
    """The completion in a response; None if it was aborted on the server.

    Raises UserError if it lacks token ids or log-probabilities.
    """
    try:
        choice = response.json()["choices"][0]
        if choice["finish_reason"] not in ("stop", "length"):
            return None
        token_ids = tuple(map(int, choice["token_ids"]))
        logprobs = tuple(map(float, choice["logprobs"]["token_logprobs"]))
        top = choice["logprobs"]["top_logprobs"] if num_top else ()
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(
            "the server returns no token ids with log-probabilities",
            "use vLLM 0.32 or newer: it has return_token_ids",
        ) from error
    return VllmCompletion(token_ids, logprobs, tuple(_likeliest(pairs, num_top) for pairs in top))


def _likeliest(pairs: Mapping[str, float], count: int) -> tuple[tuple[int, float], ...]:
    """The `count` likeliest allowed tokens; vLLM adds the chosen one if it is not among them."""
    allowed = {token: logprob for token, logprob in pairs.items() if logprob > _LEAST_LOGPROB}
    ranked = sorted(allowed.items(), key=lambda pair: -pair[1])[:count]
    return tuple((int(token.removeprefix(_TOKEN_ID)), logprob) for token, logprob in ranked)


def _reason(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__} {error}".strip()


def _error_message(response: httpx.Response) -> str:
    try:
        body = response.json()
        error = body.get("error", body.get("detail", body))
        text = error["message"] if isinstance(error, dict) and "message" in error else error
    except (ValueError, AttributeError):
        text = response.text
    return (str(text).strip().splitlines() or ["no message"])[0][:200]
