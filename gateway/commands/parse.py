"""`parse`: files through the pipeline without HTTP."""

from __future__ import annotations

import sys
import uuid
from dataclasses import replace

import anyio

from gateway.api import render
from gateway.app import Service, open_service
from gateway.assemble import document_markdown
from gateway.commands import Arguments, say
from gateway.document import Options, PageResult, Views
from gateway.errors import GatewayError
from gateway.settings import Settings


def run(arguments: Arguments, settings: Settings) -> int:
    """Markdown or JSON on stdout, progress on stderr; 1 if one failed."""
    try:
        return anyio.run(_parse, arguments, settings, backend_options={"use_uvloop": True})
    except GatewayError as error:
        say(str(error))
        return 1


async def _parse(arguments: Arguments, settings: Settings) -> int:
    failed = 0
    async with open_service(settings) as service:
        say(f"waiting for the layout model and a backend at {', '.join(settings.backends)}")
        await service.wait_until_ready(settings.request_timeout_s)
        for name in arguments.files:
            try:
                data = await anyio.Path(name).read_bytes()
                output = await _parse_one(service, name, data, arguments)
            except (OSError, GatewayError) as error:
                say(f"{name}: {error}")
                failed += 1
                continue
            sys.stdout.write(output)
            sys.stdout.flush()
    return 1 if failed else 0


async def _parse_one(service: Service, name: str, data: bytes, arguments: Arguments) -> str:
    clock, pages = render.Clock(), list[PageResult]()
    views = Views(("overlay",)) if arguments.overlay else Views()
    options = Options(pages=arguments.pages, language=arguments.language, views=views)
    async with service.pipeline.read(data, options) as run:
        async for page in run.pages:
            if arguments.overlay:
                await _write_overlay(page, arguments.overlay, name)
            pages.append(replace(page, views={}))
            say(f"{name}: page {page.page}, {page.usage.regions} regions, {page.usage.failed_regions} failed")
    if not arguments.json:
        return document_markdown([page.markdown for page in pages]) + "\n"
    model = {"layout": run.layout, "vlm": service.settings.vlm_model_name}
    return render.document(uuid.uuid4().hex, model, pages, clock).decode() + "\n"


async def _write_overlay(page: PageResult, folder: str, name: str) -> None:
    """`scan.pdf`, page 2: `FOLDER/scan.pdf.2.png`."""
    path = anyio.Path(folder) / f"{anyio.Path(name).name}.{page.page}.png"
    await path.parent.mkdir(parents=True, exist_ok=True)
    await path.write_bytes(page.views["overlay"])
