"""A new start of the backend that runs beside the gateway, by the supervisord that both run under."""

from __future__ import annotations

import logging
from functools import partial
from http.client import HTTPException
from typing import Final
from xmlrpc.client import Error, Fault, ServerProxy

import anyio
from supervisor.xmlrpc import Faults, SupervisorTransport

from gateway import metrics

log = logging.getLogger(__name__)

PROGRAM: Final = "genai"
"""In supervisord.conf."""

_LIMIT: Final = 60.0
"""Seconds; supervisord kills what does not stop in time, and waits for nothing else here."""


class Restart:
    """Restarts the backend at `url` through supervisord's control socket at `server` (`unix:///…`)."""

    def __init__(self, server: str, url: str) -> None:
        self._server, self._url = server, url

    async def __call__(self, url: str) -> bool:
        """Whether the backend at `url` is the one beside and a new one was begun; what went wrong is logged."""
        if url != self._url:
            return False
        try:
            with anyio.fail_after(_LIMIT):
                await anyio.to_thread.run_sync(partial(_restart, self._server), abandon_on_cancel=True)
        except (Error, HTTPException, OSError) as exc:
            metrics.RESTARTS.labels("failed").inc()
            log.error("supervisord could not restart %s: %s", PROGRAM, exc)
            return False
        metrics.RESTARTS.labels("asked").inc()
        return True


def _restart(server: str) -> None:
    with ServerProxy("http://supervisor", transport=SupervisorTransport("", "", server)) as proxy:
        _unless(Faults.NOT_RUNNING, proxy.supervisor.stopProcess)
        _unless(Faults.ALREADY_STARTED, proxy.supervisor.startProcess, False)


def _unless(fault: int, call: object, *more: object) -> None:
    """Call for the program; `fault` says that there was nothing to do."""
    try:
        call(PROGRAM, *more)  # type: ignore[operator]
    except Fault as exc:
        if exc.faultCode != fault:
            raise
