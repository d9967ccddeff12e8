"""Everything is built here, once, and closed in reverse order."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp

from gateway import __version__
from gateway.api import ocr, openapi, ops, page, problems
from gateway.api.admission import Admission
from gateway.api.figures import Figures
from gateway.api.health import Health
from gateway.api.middleware import Keys, RequestLog
from gateway.api.paddlex import layout_parsing
from gateway.api.paddlex import routes as paddlex
from gateway.api.paddlex.envelope import Envelopes
from gateway.errors import BackendError, one_error
from gateway.intake.fetch import Fetcher
from gateway.intake.pages import Decoder
from gateway.intake.s3 import ObjectStore
from gateway.layout.choose import load_detector
from gateway.layout.detector import Detector
from gateway.layout.owner import Layout
from gateway.layout.preparation import PaddleXSteps, Preparer, Step
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.traces import exporting
from gateway.vlm.client import Recognizer
from gateway.vlm.monitor import Monitor
from gateway.vlm.restart import Restart

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """The working parts, running."""

    settings: Settings
    layout: Layout
    monitor: Monitor
    pipeline: Pipeline
    fetcher: Fetcher

    async def wait_until_ready(self, seconds: float) -> None:
        """Until the layout model is loaded and a backend is ready. Raises `LayoutUnavailable` and `BackendError`."""
        with anyio.move_on_after(seconds):
            await self.layout.wait_ready()
            while not self.monitor.ready:
                await self.monitor.probe()
                await anyio.sleep(0.1)
            return
        raise BackendError(f"No backend at {', '.join(self.settings.backends)} within {seconds:g} seconds.")


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """Start the parts that work in the background; a part that dies ends the whole."""
    with one_error():
        async with (
            _traces(settings),
            anyio.create_task_group() as tasks,
            _monitor(settings) as monitor,
            _recognizer(settings, monitor) as recognizer,
            Layout(partial(_load_detector, settings)) as layout,
            Decoder(dpi=settings.pdf_dpi, max_pixels=settings.max_pixels, max_pages=settings.max_pages) as decoder,
        ):
            preparer = Preparer(frozenset(settings.doc_preparation), partial(_load_steps, settings))
            tasks.start_soon(monitor.run)
            tasks.start_soon(recognizer.run)
            tasks.start_soon(preparer.load)
            pipeline = Pipeline(decoder, layout, recognizer, preparer)
            yield Service(settings, layout, monitor, pipeline, _fetcher(settings))
            tasks.cancel_scope.cancel()


def build_app(service: Service, admission: Admission) -> ASGIApp:
    """The HTTP face of a running service."""
    settings = service.settings
    keys = settings.api_keys
    health = Health(service.layout, service.monitor, admission, settings.health_grace_s)
    app = FastAPI(
        title="PaddleOCR-VL Service",
        version=__version__,
        description="A document in, its Markdown and blocks out.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        redoc_url=None,
        telemetry={"tracing": False},  # its spans would have the query, and stand around health polls
    )
    problems.install(app)
    app.include_router(ops.routes(health, Figures(health, service.pipeline.queues)))
    max_bytes = settings.max_body_mb << 20
    work = (service.pipeline, service.fetcher, health, max_bytes)
    app.include_router(ocr.routes(ocr.Dialect(*work, settings.vlm_model_name)))
    app.include_router(paddlex.routes(layout_parsing.Dialect(*work, settings.paddlex_visualize)))
    if settings.page:
        app.include_router(page.routes())
    openapi.install(app, (*ocr.SHAPES, *paddlex.SHAPES), keys=bool(keys))
    keyed = Keys(app, keys)
    return RequestLog(Envelopes(keyed, paddlex.PATHS))


def _traces(settings: Settings) -> AbstractAsyncContextManager[None]:
    return exporting(
        settings.otel_exporter_otlp_endpoint,
        settings.otel_service_name,
        settings.otel_traces_sampler,
        settings.otel_traces_sampler_arg,
    )


def _monitor(settings: Settings) -> Monitor:
    return Monitor(
        settings.backends,
        settings.vlm_model_name,
        hung_after=settings.vlm_hung_s,
        restart=_restart(settings),
        restart_after=settings.vlm_hung_s / 2,
    )


def _restart(settings: Settings) -> Restart | None:
    """How to begin the backend beside anew, where supervisord runs one."""
    if not settings.supervisor_server_url or settings.genai_backend == "external":
        return None
    return Restart(settings.supervisor_server_url, f"http://127.0.0.1:{settings.genai_port}/v1")


def _recognizer(settings: Settings, monitor: Monitor) -> Recognizer:
    return Recognizer(monitor, in_flight=settings.vlm_max_in_flight, cache=settings.cache_mb << 20)


def _load_detector(settings: Settings) -> Detector:
    return load_detector(
        settings.layout_detector,
        model_name=settings.layout_model_name,
        model_dir=settings.layout_model_dir,
        engine=settings.layout_engine,
        device=settings.layout_device,
    )


def _load_steps(settings: Settings) -> PaddleXSteps:
    folders: dict[Step, str] = {
        "orientation": settings.doc_orientation_model_dir,
        "unwarping": settings.doc_unwarping_model_dir,
    }
    return PaddleXSteps(frozenset(settings.doc_preparation), folders, settings.layout_engine, settings.layout_device)


def _fetcher(settings: Settings) -> Fetcher:
    return Fetcher(max_bytes=settings.max_body_mb << 20, allow_hosts=settings.fetch_allow_hosts, store=_store(settings))


def _store(settings: Settings) -> ObjectStore | None:
    """The object store, where one is configured: by its endpoint, or as AWS by a key."""
    if not settings.s3_endpoint_url and settings.aws_access_key_id is None:
        return None
    return ObjectStore(
        endpoint_url=settings.s3_endpoint_url,
        access_key_id=_plain(settings.aws_access_key_id),
        secret_access_key=_plain(settings.aws_secret_access_key),
        session_token=_plain(settings.aws_session_token),
        region=settings.aws_region,
        allow_buckets=settings.s3_allow_buckets,
    )


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
