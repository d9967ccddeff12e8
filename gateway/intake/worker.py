"""The far end of `workers`: a process that answers one function call after another over its pipes.

Started as `main(...)` in a fresh interpreter, never forked. It imports little (numpy for PNG alone, no web
framework), so that it starts in well under a tenth of a second and most of its address space is left to the document.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from gateway.errors import BadDocument, GatewayError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT_BYTES, _LARGEST_BYTES = 96 << 20, 48 << 20  # what a page of 12 megapixels needs, and its largest piece
_NICER = 5  # when cores are short, pages begun go before pages to come, and the event loop before either
_IDLE_S = 0.5  # without a page for so long, memory is given back

LENGTH_BYTES = 4
"""An answer is its length, big-endian, and then a pickled `(value, error)`."""


def main(memory_bytes: int) -> None:
    """Answer pickled `(seconds, function, arguments)` from stdin on stdout until stdin ends.

    A call that outlives its `seconds` ends the process, so that none is left behind by a gateway that was killed.
    """
    with os.fdopen(os.dup(0), "rb") as calls, os.fdopen(os.dup(1), "wb") as answers:
        _settle(memory_bytes)
        while (call := _next(calls)) is not None:
            seconds, function, arguments = call
            signal.setitimer(signal.ITIMER_REAL, seconds)
            answer = pickle.dumps(_answer(function, arguments), pickle.HIGHEST_PROTOCOL)
            signal.setitimer(signal.ITIMER_REAL, 0)
            answers.write(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)
            answers.flush()


def _settle(memory_bytes: int) -> None:
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what the C libraries print must reach neither the pipes nor the logs
        os.dup2(silent, stream)
    # a group-wide Ctrl-C or SIGTERM is the gateway's to handle: it drains, and pages are still wanted meanwhile
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICER)
    _keep_memory()
    os.putenv("OPENBLAS_NUM_THREADS", "1")  # numpy's, each of which takes 40 MB of the address space and is not needed
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")  # when memory runs out, the kernel takes this process and not the gateway


def _keep_memory() -> None:
    """Let glibc keep what a page needed for the next one: getting it anew costs as much as decoding the page.

    `_rest` gives it back.

    Measured on PNG pages of 1654 x 2339 pixels: 22 ms of CPU a page, 44 without.
    """
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _rest(calls: BinaryIO) -> None:
    """Return when there is a call, or an end."""
    if not select.select([calls], [], [], _IDLE_S)[0]:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _next(calls: BinaryIO) -> tuple[float, Callable[..., object], tuple[object, ...]] | None:
    _rest(calls)
    try:
        call: tuple[float, Callable[..., object], tuple[object, ...]] = pickle.load(calls)
    except EOFError:
        return None
    return call


def _answer(function: Callable[..., object], arguments: tuple[object, ...]) -> tuple[object, Exception | None]:
    try:
        return function(*arguments), None
    except GatewayError as error:
        return None, error
    except MemoryError:
        return None, BadDocument("decoding the document takes more memory than it may have")
    except Exception as error:  # a defect of ours: its trace crosses the pipe, the object might not
        return None, RuntimeError("".join(traceback.format_exception(error)))
