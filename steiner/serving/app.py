"""The app: OpenAI's two APIs, the page, and what those who run the server look at.

Service -> FastAPI app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

import steiner
from steiner.serving import errors
from steiner.serving.chat import chat_router
from steiner.serving.gate import Gate
from steiner.serving.responses import responses_router
from steiner.serving.service import Service
from steiner.serving.status import models_router, operations_router

PAGE = Path(steiner.__file__).parent / "assets" / "page"
"""The page's folder: its index.html is served at /, and all of it under /page/."""


def create_app(service: Service) -> FastAPI:
    """The app of a service, which starts and stops with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="Steiner",
        version=steiner.__version__,
        lifespan=lifespan,
        docs_url=None,  # these pages fetch their scripts from elsewhere
        redoc_url=None,
    )
    errors.install(app)
    app.add_middleware(Gate, service=service)
    for router in (chat_router, responses_router, models_router, operations_router):
        app.include_router(router(service))
    _add_page(app)
    return app


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
