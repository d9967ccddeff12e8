"""A program in the place of the gateway or the VLM: `standin.py NAME [arguments]`.

It appends what happens to it to the file $STANDIN_EVENTS, one line each, and prints it. $STANDIN_<NAME> says what it
does: `serve` (until SIGTERM; the default), `die` (exit 1 at once), `exit` (exit 0 at once, leaving a child behind),
`orphan` (serve, after a grandchild was left to process 1 and reaped by it), `deaf` (for ever: it ignores SIGTERM).
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
    case "serve":
        serve()
