"""The app: OpenAI's two APIs, the page, and what those who run the server look at.

Service -> FastAPI app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import steiner
from steiner.serving import errors
from steiner.serving.chat_completions import chat_router
from steiner.serving.middleware import Gate
from steiner.serving.operations import models_router, operations_router
from steiner.serving.page import page_router
from steiner.serving.responses import responses_router
from steiner.serving.service import Service


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
    app.include_router(page_router())
    return app
