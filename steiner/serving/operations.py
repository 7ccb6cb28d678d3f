"""The model list, and the endpoints for operators: health, readiness, version and metrics.

Service -> /v1/models, /health, /healthz, /readyz, /version, /metrics
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from typing_extensions import TypedDict

import steiner
from steiner.serving.errors import RESPONSES, ErrorBody
from steiner.serving.metrics import CONTENT_TYPE
from steiner.serving.service import Service


class ModelObject(TypedDict):
    """The served model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int
    """Tokens of a dialogue and its answer."""


class ModelList(TypedDict):
    """A list with the served model."""

    object: Literal["list"]
    data: list[ModelObject]


class ServerStatus(TypedDict):
    """The status of a server that works."""

    status: Literal["ok"]


class ServerVersion(TypedDict):
    """The version of this package."""

    version: str


def models_router(service: Service) -> APIRouter:
    """The models that clients can use."""
    router = APIRouter()
    model = ModelObject(
        id=service.model_name,
        object="model",
        created=service.created_s,
        owned_by="steiner",
        max_model_len=service.max_length,
    )

    @router.get("/v1/models", response_model=None, responses=_with_errors(ModelList))
    async def list_models() -> JSONResponse:
        """Lists the served model."""
        return JSONResponse(ModelList(object="list", data=[model]))

    @router.get("/v1/models/{name}", response_model=None, responses=_with_errors(ModelObject))
    async def get_model(name: str) -> JSONResponse:
        """Returns the served model, if this is its name."""
        service.check_model(name)
        return JSONResponse(model)

    return router


def _with_errors(model: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model}, **RESPONSES}


def operations_router(service: Service) -> APIRouter:
    """The endpoints for operators; they need no key."""
    router = APIRouter()
    statuses: dict[int | str, dict[str, Any]] = {
        200: {"model": ServerStatus},
        503: {"model": ErrorBody},
    }

    @router.get("/health", response_model=None, responses=statuses)
    @router.get("/healthz", response_model=None, responses=statuses)
    async def health() -> JSONResponse:
        """True if the engine runs; if not, the server must be restarted."""
        service.check_alive()
        return JSONResponse(ServerStatus(status="ok"))

    @router.get("/readyz", response_model=None, responses=statuses)
    async def readiness() -> JSONResponse:
        """True if new requests are accepted; False while the server stops."""
        service.check_open()
        return JSONResponse(ServerStatus(status="ok"))

    @router.get("/version", response_model=None, responses={200: {"model": ServerVersion}})
    async def version() -> JSONResponse:
        """The version of this package."""
        return JSONResponse(ServerVersion(version=steiner.__version__))

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Metrics for Prometheus."""
        return PlainTextResponse(service.metrics.text(), media_type=CONTENT_TYPE)

    return router
