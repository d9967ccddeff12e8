"""`cpu-backend`: the embedded recogniser, on loopback."""

from __future__ import annotations

import os

import uvicorn

from gateway.api.openai import cpu_backend_app
from gateway.commands import Arguments
from gateway.cpu_backend.reader import Reader
from gateway.settings import Settings


def run(arguments: Arguments, settings: Settings) -> int:
    """At `GENAI_PORT`, until a signal; one crop at a time on each core."""
    app = cpu_backend_app(Reader(), settings.vlm_model_name, seats=os.cpu_count() or 1)
    uvicorn.run(app, host="127.0.0.1", port=settings.genai_port, log_config=None, access_log=False)
    return 0
