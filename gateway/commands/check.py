"""`check`: is everything fit to serve."""

from __future__ import annotations

import sys

import anyio

from gateway.app import open_service
from gateway.commands import Arguments
from gateway.errors import GatewayError
from gateway.settings import Settings


def run(arguments: Arguments, settings: Settings) -> int:
    """Every setting in force, the backends and the layout model; 1 if one is not fit."""
    for name, value in settings.shown().items():
        sys.stdout.write(f"{name}={value}\n")
    return anyio.run(_check, settings)


async def _check(settings: Settings) -> int:
    fit = True
    async with open_service(settings) as service:
        for state in await service.monitor.probe():
            fit &= state.status == "ready"
            sys.stdout.write(f"backend {state.url}: {state.status}{f' ({state.detail})' if state.detail else ''}\n")
        try:
            await service.layout.wait_ready()
            sys.stdout.write(f"layout: {service.layout.name}\n")
        except GatewayError as error:
            fit = False
            sys.stdout.write(f"layout: {error}\n")
    sys.stdout.write("fit\n" if fit else "not fit\n")
    return 0 if fit else 1
