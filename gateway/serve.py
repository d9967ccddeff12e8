"""The life of the gateway's process: listen, drain on SIGTERM, end."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import uvicorn

from gateway.api.admission import Admission
from gateway.app import Service, build_app, open_service
from gateway.connection import HEAD_BYTES, Connection
from gateway.memory import Memory
from gateway.settings import Settings

log = logging.getLogger(__name__)

_COLLECT_AFTER = 10_000
"""New objects, those of two pages, between two looks of the garbage collector; by default there are several a page."""


class Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to `serve`, which drains before it stops listening, and that ends
    connections which take too long."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # ten ticks a second
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check()
        return await super().on_tick(counter)


def admission_of(settings: Settings) -> Admission:
    """The door, by the settings."""
    return Admission(
        settings.max_queued_requests,
        settings.request_timeout_s,
        max_bytes=settings.max_queued_mb << 20,
        memory=Memory(settings.memory_reserve_mb << 20),
    )


def configuration(service: Service, admission: Admission) -> uvicorn.Config:
    """How uvicorn is to serve."""
    return uvicorn.Config(
        build_app(service, admission),
        host=service.settings.gateway_host,
        port=service.settings.gateway_port,
        http=Connection,
        ws="none",
        h11_max_incomplete_event_size=HEAD_BYTES,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=75,  # longer than proxies keep theirs, or they send into a connection that is closing
        timeout_graceful_shutdown=5,
    )


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. While draining, the port stays open: new requests are told 503, running ones
    finish within `DRAIN_S`; a second signal ends the drain at once."""
    admission = admission_of(settings)
    async with open_service(settings) as service:
        server = Server(configuration(service, admission))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_settle, service)
            tasks.start_soon(_stop_on_signal, server, admission, settings.drain_s)
            await server.serve()
            tasks.cancel_scope.cancel()


async def _settle(service: Service) -> None:
    """When the layout model is there, let the collector leave alone what is there to stay: PaddleX brings a great many
    objects. A model that cannot be loaded ends the process."""
    await service.layout.wait_ready()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 10, 10)


async def _stop_on_signal(server: uvicorn.Server, admission: Admission, drain_s: float) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        signum = await anext(signals)
        log.info("signal %s: draining %d requests for at most %g s", signum.name, admission.admitted, drain_s)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_on_signal, signals, tasks.cancel_scope)
            await admission.drain(drain_s)
            tasks.cancel_scope.cancel()
        await admission.drain(0)
        server.should_exit = True


async def _end_on_signal(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    signum = await anext(signals)
    log.warning("signal %s again: ending the drain", signum.name)
    scope.cancel()
