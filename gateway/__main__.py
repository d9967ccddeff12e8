"""The commands: `python -m gateway serve | parse | check | cpu-backend`."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Run one command; the exit status is 0 when it did what it was asked."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description="PaddleOCR-VL Service")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="the gateway, settings from the environment")
    parse = commands.add_parser("parse", help="read files without HTTP; needs a running backend")
    parse.add_argument("files", nargs="+", metavar="FILE")
    parse.add_argument("--json", action="store_true", help="one JSON document a file instead of Markdown")
    parse.add_argument("--pages", default="", help="1-based selection, such as 1-3,7")
    parse.add_argument("--language", default="", help="ISO 639 code, a hint")
    parse.add_argument(
        "--overlay", metavar="FOLDER", help="write every page there, its regions, labels and reading order drawn on it"
    )
    commands.add_parser("check", help="print the settings, probe the backend and the layout model")
    commands.add_parser("cpu-backend", help="the embedded OpenAI-compatible recogniser")
    arguments = parser.parse_args()

    from gateway.commands import run

    return run(arguments.command, arguments)


if __name__ == "__main__":
    sys.exit(main())
