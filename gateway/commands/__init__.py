"""The commands of `python -m gateway`, a module each; only the one that is asked for is imported."""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib import import_module

from pydantic import ValidationError

from gateway import logs
from gateway.settings import Settings, keep_libraries_quiet

Arguments = Namespace


def say(words: str) -> None:
    """Progress and complaints, for people: stderr."""
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


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
    status: int = import_module(f"gateway.commands.{command.replace('-', '_')}").run(arguments, settings)
    return status
