"""Errors as OpenAI's clients know them, whatever went wrong.

exception -> {"error": {"message", "type", "param", "code"}} with its status

ApiError
├── InvalidRequest     400  the request is at fault
├── Unauthorized       401  no API key, or another one
├── UnknownModel       404  another model's name
├── Overloaded         429  the queue is full
└── Unavailable        503  the server stops, or the engine failed

No other 5xx leaves the server: what is our own fault is a 503 too, with its traceback in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from typing_extensions import TypedDict

from steiner.types import SteinerError, UserError

RETRY_AFTER_S = 1
"""When a refused client should ask again: a place in the batch becomes free about that often."""

logger = logging.getLogger(__name__)


class ErrorDetail(TypedDict):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    """The body of every answer that is an error."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 404, 408, 413, 429, 503)
}
"""The errors that a path of the API may answer with, for its documentation."""


class ApiError(HTTPException):
    """Base of the errors that this server answers with; by itself, one with any status."""

    status = 400
    kind = "invalid_request_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        param: str | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status or self.status, message, headers)
        self.param = param
        self.code = code or self.code

    def response(self) -> JSONResponse:
        """The answer to the client."""
        return JSONResponse(self.body(), self.status_code, self.headers)

    def body(self) -> ErrorBody:
        """The answer's body, also the last event of a stream that fails."""
        detail = ErrorDetail(
            message=_printable(self.detail), type=self.kind, param=self.param, code=self.code
        )
        return ErrorBody(error=detail)


class InvalidRequest(ApiError):
    """The request cannot be served as it is."""


class Unauthorized(ApiError):
    """The API key is missing or wrong."""

    status = 401
    code = "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class UnknownModel(ApiError):
    """This server has one model, and it is not the one asked for."""

    status = 404
    code = "model_not_found"


class _TryLater(ApiError):
    """Base of what may succeed soon."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code, headers={"Retry-After": str(RETRY_AFTER_S)})


class Overloaded(_TryLater):
    """There is no room in the queue."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"


class Unavailable(_TryLater):
    """Nothing can be served now."""

    status = 503
    kind = "server_error"
    code = "unavailable"


def api_error(error: Exception) -> ApiError:
    """The ApiError that tells a client of `error`."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        return ApiError(error.detail, status=error.status_code, headers=error.headers)
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors()[0])
    if isinstance(error, UserError):
        return InvalidRequest(f"{error}; {error.hint}")
    if isinstance(error, SteinerError):
        return Unavailable(f"{error}; {error.hint}", code="engine_failed")
    logger.error("a request failed for a reason of our own", exc_info=error)
    return Unavailable("this request failed for a reason of the server's own", code="internal")


def _invalid(first: Mapping[str, Any]) -> InvalidRequest:
    """The first thing that is wrong with a body, and where."""
    place = _printable(".".join(str(part) for part in first["loc"] if part != "body"))
    return InvalidRequest(f"{place}: {first['msg']}" if place else first["msg"], place or None)


def _printable(text: str) -> str:
    """The text without what UTF-8 cannot hold: a client can name a field by half a character."""
    return text.encode("utf-8", "replace").decode("utf-8")


def install(app: FastAPI) -> None:
    """Lets every error of the app be answered in this shape."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return api_error(error).response()

    for kind in (HTTPException, RequestValidationError, SteinerError, Exception):
        app.add_exception_handler(kind, answer)
