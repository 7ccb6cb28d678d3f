"""The web application: the API, the page, and what operators need.

Service -> FastAPI app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

import steiner
from steiner.serving.chat_completions import chat_router
from steiner.serving.errors import register_error_handlers
from steiner.serving.middleware import RequestMiddleware
from steiner.serving.operations import models_router, operations_router
from steiner.serving.page import page_router
from steiner.serving.responses import responses_router
from steiner.serving.service import Service
from steiner.serving.text_completions import text_router


def create_app(service: Service) -> FastAPI:
    """The app of a service; it starts and stops the service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="Steiner",
        version=steiner.__version__,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from other sites
        redoc_url=None,
    )
    register_error_handlers(app)
    app.add_middleware(RequestMiddleware, service=service)
    # Added last, so it runs first: a browser's preflight request carries no key.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=service.settings.allow_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["Retry-After"],
    )
    for router in (
        chat_router,
        responses_router,
        text_router,
        models_router,
        operations_router,
    ):
        app.include_router(router(service))
    app.include_router(page_router())
    return app
