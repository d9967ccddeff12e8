"""The page for people at `/`: a few static files beside this module, which call `/ocr` and `/health/vllm`."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

# Nothing from elsewhere, no script or style inside the page, and no HTML made of strings but by the one policy that
# reads tables: what a document says is shown as text.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types tables"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def routes() -> APIRouter:
    """`/`, and `/page/…` for what it loads. With keys configured they want one, as all paths do."""
    router = APIRouter(include_in_schema=False)
    for file in sorted(Path(__file__).parent.iterdir()):
        if file.suffix in _TYPES:
            _serve(router, "/" if file.name == "index.html" else f"/page/{file.name}", file)
    return router


def _serve(router: APIRouter, path: str, file: Path) -> None:
    content, media_type = file.read_bytes(), _TYPES[file.suffix]

    @router.get(path)
    async def read() -> Response:
        return Response(content, headers=_HEADERS, media_type=media_type)
