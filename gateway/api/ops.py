"""What probes, scrapers and operators ask: health, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.api import schemas
from gateway.api.figures import Figures
from gateway.api.health import Health
from gateway.api.problems import request_id_of
from gateway.vlm.monitor import BackendState

RANK = ("ready", "hung", "unhealthy", "starting", "unreachable")
"""From best to worst to have: what `/health/vllm` says of several backends is the best of them."""

HEALTHY = "Healthy"
"""What clients of PaddleX's server look for in `errorMsg`."""


def routes(health: Health, figures: Figures) -> APIRouter:
    """`/health*` and `/metrics`; all but `/health/vllm` answer from memory."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", summary="One URL for startup, readiness and liveness", responses=_both(schemas.HealthShape))
    async def overall(request: Request) -> Response:
        status = health.status()
        well = status in ("ok", "degraded")
        paddlex = {
            "logId": request_id_of(request),
            "errorCode": 0 if well else 503,
            "errorMsg": HEALTHY if well else status,
        }
        return JSONResponse({"status": status, **paddlex}, 200 if well else 503)

    @router.get("/health/live", summary="The event loop runs", response_model=schemas.LiveShape)
    async def live() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get("/health/ready", summary="A request would be served now", responses=_both(schemas.ReadyShape))
    async def ready() -> Response:
        status = health.readiness()
        return JSONResponse({"status": status}, 200 if status == "ready" else 503)

    @router.get("/health/vllm", summary="Probe the backends now", responses=_both(schemas.BackendsShape))
    async def vllm() -> Response:
        states = await health.monitor.probe()
        best = min(states, key=lambda state: RANK.index(state.status))
        body = {**_backend(best), "backends": [_backend(state) for state in states]}
        return JSONResponse(body, 200 if best.status == "ready" else 503)

    @router.get("/metrics", summary="Prometheus text", response_class=Response)
    async def scrape() -> Response:
        return Response(await figures.text(), media_type=CONTENT_TYPE_LATEST)

    return router


def _both(shape: type[schemas.Shape]) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": shape}, 503: {"model": shape}}


def _backend(state: BackendState) -> dict[str, Any]:
    return {
        "url": state.url,
        "status": state.status,
        "model": state.model,
        "latency_ms": state.latency_ms,
        "checked_at": state.checked_at,
        "last_ready_at": state.last_ready_at,
        "restarted_at": state.restarted_at,
        "detail": state.detail,
    }
