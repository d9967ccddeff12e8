"""The gateway at work in a test: real parts, a real socket, in the test's own event loop."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
from living import send_at_once

from gateway.api.admission import Admission
from gateway.app import Service, open_service
from gateway.serve import Server, admission_of, configuration
from gateway.settings import Settings


@dataclass(frozen=True)
class Gateway:
    """`http` is a client whose base URL is the gateway's."""

    http: httpx.AsyncClient
    port: int
    service: Service
    admission: Admission
    server: Server

    def connections(self) -> int:
        """How many are open."""
        return len(self.server.server_state.connections)

    async def ocr(self, content: bytes, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """POST a raw body, with options in the query."""
        return await self.http.post("/ocr", content=content, headers=headers, params=options)


@asynccontextmanager
async def gateway(*vlm_urls: str, wait: bool = True, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway in front of `vlm_urls`, ready if `wait`.

    Unless a setting says otherwise, the whole page is one region, and equal ones are asked for each time.
    """
    chosen = Settings(**{"layout_detector": "whole-page", "cache_mb": 0, "vlm_urls": ",".join(vlm_urls), **settings})
    admission = admission_of(chosen)
    async with open_service(chosen) as service:
        server = Server(configuration(service, admission))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            send_at_once(listener)
            port = int(listener.getsockname()[1])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.serve, [listener])
                if wait:
                    await service.wait_until_ready(20)
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
                    yield Gateway(http, port, service, admission, server)
                server.should_exit = True


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    """The objects of an NDJSON answer."""
    return [json.loads(line) for line in response.text.splitlines()]
