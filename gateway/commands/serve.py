"""`serve`: the gateway alone."""

from __future__ import annotations

import anyio

from gateway.commands import Arguments, say
from gateway.errors import GatewayError
from gateway.serve import serve
from gateway.settings import Settings


def run(arguments: Arguments, settings: Settings) -> int:
    """Until SIGTERM; 1 if it could not serve."""
    try:
        anyio.run(serve, settings, backend_options={"use_uvloop": True})
    except GatewayError as error:
        say(str(error))
        return 1
    return 0
