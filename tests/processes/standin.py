"""A program in the place of the gateway or the VLM: `standin.py NAME [arguments]`.

It appends what happens to it to the file $STANDIN_EVENTS, one line each, and prints it. $STANDIN_<NAME> says what it
does: `serve` (until SIGTERM; the default), `die` (exit 1 at once), `exit` (exit 0 at once, leaving a child behind),
`orphan` (serve, after a grandchild was left to process 1 and reaped by it), `deaf` (for ever: it ignores SIGTERM),
`engine` (serve completions on $GENAI_PORT; the first start does what the file $STANDIN_ENGINE says, `busy`: no request
of ours gets a token but others do, or `hung`: nobody does).
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

name = sys.argv[1]


def event(words: str) -> None:
    with Path(os.environ["STANDIN_EVENTS"]).open("a") as events:
        events.write(f"{name} {words}\n")
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def serve() -> None:
    signal.sigwait([signal.SIGTERM])
    event("stopping")
    event("stopped")


def engine() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from vlm_standin import Standin

    first = Path(os.environ["STANDIN_EVENTS"]).read_text().count(f"{name} started") == 1
    vlm = Standin()
    vlm.port = int(os.environ["GENAI_PORT"])
    with vlm:
        if first:
            vlm.fail(hang=True)
        while signal.sigtimedwait([signal.SIGTERM], 0.05) is None:
            if Path(os.environ["STANDIN_ENGINE"]).read_text() == "busy":
                vlm.tokens = (vlm.tokens or 0.0) + 1
    event("stopped")


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
event(f"started {os.getpid()} {' '.join(sys.argv[2:])}".rstrip())
match os.environ.get(f"STANDIN_{name.upper()}", "serve"):
    case "die":
        sys.exit(1)
    case "exit":
        event(f"left {subprocess.Popen(['sleep', '600']).pid}")
    case "orphan":
        orphan = int(subprocess.check_output(["sh", "-c", "sleep 0.1 >/dev/null & echo $!"]))
        while Path(f"/proc/{orphan}").exists():
            time.sleep(0.01)
        event("reaped")
        serve()
    case "deaf":
        time.sleep(600)
    case "engine":
        engine()
    case "serve":
        serve()
