"""The page of a server: a handful of static files, and rules that keep a browser within them.

steiner/assets/page, and what it shares with the report -> / and /page/...

The files are read once, and only they have paths: no path of a request is ever looked up on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter, Request, Response

import steiner

ASSETS = Path(steiner.__file__).parent / "assets"
SHARED = (
    "search-layout.js",
    "search-tree.js",
    "search-tree.css",
    "vendor/d3-hierarchy.min.js",
)
"""Drawing that the report uses too."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By suffix; not from the system, whose table may call a script plain text."""

HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, but asked after each time: a new version shows at once
}
"""Nothing is fetched from elsewhere, and text can never become script or markup."""


def page_router() -> APIRouter:
    """The paths of the page."""
    router = APIRouter(include_in_schema=False)
    for path, file in _files():
        router.add_api_route(path, _Sender(file), methods=["GET", "HEAD"], response_model=None)
    return router


def _files() -> Iterator[tuple[str, Path]]:
    """The path on the server of each file."""
    yield "/", ASSETS / "page" / "index.html"
    own = sorted(file for file in (ASSETS / "page").iterdir() if file.suffix in TYPES)
    for file in (*own, *(ASSETS / name for name in SHARED)):
        if file.suffix != ".html":
            yield f"/page/{file.name}", file


class _Sender:
    """Sends one file, unless the browser has it already."""

    def __init__(self, file: Path) -> None:
        self._content = file.read_bytes()
        tag = hashlib.sha256(self._content).hexdigest()[:16]
        self._headers = HEADERS | {"ETag": f'"{tag}"'}
        self._type = TYPES[file.suffix]

    async def __call__(self, request: Request) -> Response:
        if self._headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        return Response(self._content, headers=self._headers, media_type=self._type)
