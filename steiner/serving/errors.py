"""Errors in OpenAI's format, whatever went wrong.

exception -> {"error": {"message", "type", "param", "code"}} with its status

ApiError
├── InvalidRequest     400  the request is wrong
├── Unauthorized       401  the API key is missing or wrong
├── UnknownModel       404  the name of another model
├── Overloaded         429  the queue is full
└── Unavailable        503  the server is stopping, or the engine failed

There is no other 5xx: an error of the server itself is a 503, too, with a traceback in the log.
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

from steiner.serving.validation_messages import validation_message
from steiner.types import SteinerError, UserError

RETRY_AFTER_S = 1
"""When a refused client should try again: about the time in which a place becomes free."""

logger = logging.getLogger(__name__)


class ErrorDetail(TypedDict):
    """The error."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    """The body of every error response."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 404, 408, 413, 415, 429, 503)
}
"""The errors of an API endpoint, for the OpenAPI schema."""


class ApiError(HTTPException):
    """Base of the errors that clients get; used directly for other statuses."""

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
        """The HTTP response."""
        return JSONResponse(self.body(), self.status_code, self.headers)

    def body(self) -> ErrorBody:
        """The body of the response; also the last event of a stream that fails."""
        detail = ErrorDetail(
            message=_printable(self.detail),
            type=self.kind,
            param=None if self.param is None else _printable(self.param),
            code=self.code,
        )
        return ErrorBody(error=detail)


class InvalidRequest(ApiError):
    """The request is wrong."""


class Unauthorized(ApiError):
    """The API key is missing or wrong."""

    status = 401
    code = "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class UnknownModel(ApiError):
    """The request names a model that this server does not have."""

    status = 404
    code = "model_not_found"


class _TryLater(ApiError):
    """Base of errors that may be gone soon."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code, headers={"Retry-After": str(RETRY_AFTER_S)})


class Overloaded(_TryLater):
    """The queue is full."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"


class Unavailable(_TryLater):
    """The server cannot serve requests now."""

    status = 503
    kind = "server_error"
    code = "unavailable"


def api_error(error: Exception) -> ApiError:
    """The ApiError that reports `error` to a client."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        return ApiError(error.detail, status=error.status_code, headers=error.headers)
    if isinstance(error, RequestValidationError):
        return InvalidRequest(*validation_message(error.errors(), error.body))
    if isinstance(error, UserError):
        return InvalidRequest(f"{error}; {error.hint}")
    if isinstance(error, SteinerError):
        return Unavailable(f"{error}; {error.hint}", code="engine_failed")
    logger.error("a request failed because of a bug", exc_info=error)
    return Unavailable("the server failed while it handled this request", code="internal")


def _printable(text: str) -> str:
    """The text without characters that UTF-8 cannot hold; a field's name can contain them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def register_error_handlers(app: FastAPI) -> None:
    """Makes the app answer every error in this format."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return api_error(_clearer(error, request, app)).response()

    for kind in (HTTPException, RequestValidationError, SteinerError, Exception):
        app.add_exception_handler(kind, answer)


def _clearer(error: Exception, request: Request, app: FastAPI) -> Exception:
    """The error, with the path or method named if the server has no such one."""
    if not isinstance(error, HTTPException) or isinstance(error, ApiError):
        return error
    path = request.url.path
    if error.status_code == 404:
        known = ", ".join(sorted(app.openapi()["paths"]))
        return ApiError(f"no path {path}; the API has {known}", status=404)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{path} does not take {request.method}; it takes {allowed}"
        return ApiError(message, status=405, headers=error.headers)
    return error
