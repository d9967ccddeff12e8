"""What each command of `python -m gateway` does."""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Callable

import anyio
import uvicorn
from pydantic import ValidationError

from gateway import logs
from gateway.api import render
from gateway.app import Service, open_service
from gateway.assemble import document_markdown
from gateway.document import Options, PageResult
from gateway.errors import GatewayError
from gateway.settings import Settings, keep_libraries_quiet

Arguments = argparse.Namespace


def say(words: str) -> None:
    """Progress and complaints, for people: stderr."""
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def serve(arguments: Arguments, settings: Settings) -> int:
    """The gateway alone."""
    from gateway.serve import serve as run

    try:
        anyio.run(run, settings, backend_options={"use_uvloop": True})
    except GatewayError as error:
        say(str(error))
        return 1
    return 0


def parse(arguments: Arguments, settings: Settings) -> int:
    """Files through the pipeline without HTTP: Markdown or JSON on stdout, progress on stderr; 1 if one failed."""
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
    options = Options(pages=arguments.pages, language=arguments.language)
    async with service.pipeline.read(data, options) as run:
        async for page in run.pages:
            pages.append(page)
            say(f"{name}: page {page.page}, {page.usage.regions} regions, {page.usage.failed_regions} failed")
    if not arguments.json:
        return document_markdown([page.markdown for page in pages]) + "\n"
    model = {"layout": run.layout, "vlm": service.settings.vlm_model_name}
    return render.document(uuid.uuid4().hex, model, pages, clock).decode() + "\n"


def check(arguments: Arguments, settings: Settings) -> int:
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


def cpu_backend(arguments: Arguments, settings: Settings) -> int:
    """The embedded recogniser, on loopback, at `GENAI_PORT`."""
    from gateway.api.openai import cpu_backend_app
    from gateway.cpu_backend.reader import Reader

    app = cpu_backend_app(Reader(), settings.vlm_model_name, seats=os.cpu_count() or 1)
    uvicorn.run(app, host="127.0.0.1", port=settings.genai_port, log_config=None, access_log=False)
    return 0


COMMANDS: dict[str, Callable[[Arguments, Settings], int]] = {
    "serve": serve,
    "parse": parse,
    "check": check,
    "cpu-backend": cpu_backend,
}


def run(command: str, arguments: Arguments) -> int:
    """One command with the settings of the environment; 2 when they are wrong."""
    keep_libraries_quiet()
    try:
        settings = Settings()
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False):
            say(f"{'.'.join(map(str, wrong['loc'])).upper()}: {wrong['msg']}")
        return 2
    logs.configure(settings.log_format, settings.log_level)
    return COMMANDS[command](arguments, settings)
