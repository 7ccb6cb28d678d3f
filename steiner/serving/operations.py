"""What a server tells of itself: its model, whether it lives and is open, and its counters.

Service -> /v1/models, /healthz, /readyz, /metrics
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from typing_extensions import TypedDict

from steiner.serving.errors import RESPONSES, ErrorBody
from steiner.serving.metrics import CONTENT_TYPE
from steiner.serving.service import Service


class ModelObject(TypedDict):
    """The model that this server has."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int
    """Tokens of one dialogue and its answer."""


class ModelList(TypedDict):
    """The one model."""

    object: Literal["list"]
    data: list[ModelObject]


class State(TypedDict):
    """That all is well."""

    status: Literal["ok"]


def models_router(service: Service) -> APIRouter:
    """Which models clients can ask for."""
    router = APIRouter()
    model = ModelObject(
        id=service.settings.name,
        object="model",
        created=service.created_s,
        owned_by="steiner",
        max_model_len=service.max_length,
    )

    @router.get("/v1/models", response_model=None, responses=_described(ModelList))
    async def list_models() -> JSONResponse:
        """The one model."""
        return JSONResponse(ModelList(object="list", data=[model]))

    @router.get("/v1/models/{name}", response_model=None, responses=_described(ModelObject))
    async def get_model(name: str) -> JSONResponse:
        """The model, if that is its name."""
        service.check_model(name)
        return JSONResponse(model)

    return router


def _described(model: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model}, **RESPONSES}


def operations_router(service: Service) -> APIRouter:
    """What those who run the server look at; no key is needed."""
    router = APIRouter()
    states: dict[int | str, dict[str, Any]] = {200: {"model": State}, 503: {"model": ErrorBody}}

    @router.get("/healthz", response_model=None, responses=states)
    async def health() -> JSONResponse:
        """Whether the engine lives; if not, the server must be restarted."""
        service.check_alive()
        return JSONResponse(State(status="ok"))

    @router.get("/readyz", response_model=None, responses=states)
    async def readiness() -> JSONResponse:
        """Whether new requests are taken; not while the server stops."""
        service.check_open()
        return JSONResponse(State(status="ok"))

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Counters for Prometheus."""
        return PlainTextResponse(service.metrics.text(), media_type=CONTENT_TYPE)

    return router
