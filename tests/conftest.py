"""What holds for all tests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping

import pytest
import uvloop

from gateway.settings import keep_libraries_quiet

keep_libraries_quiet()
# a run in the background or under nohup ignores these, and what it starts would ignore them too
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

FIGURES = "figures"


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the service runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Says a line that is printed at the end of the run, passed or failed, whichever process the test ran in."""
    return lambda line: record_property(FIGURES, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [(report.nodeid, value) for report in reports for name, value in report.user_properties if name == FIGURES]
    if told:
        terminalreporter.section("figures")
    for test, line in sorted(dict.fromkeys(told)):
        terminalreporter.write_line(f"{test.rpartition('::')[2]}: {line}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests may take longest come first, so that they run beside all others."""
    longest: dict[str, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        file = item.nodeid.partition("::")[0]
        longest[file] = max(longest.get(file, 0), mark.args[0] if mark else 0)
    items.sort(key=lambda item: -longest[item.nodeid.partition("::")[0]])
