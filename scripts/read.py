"""Reads files through a running service: `read.py URL SECONDS FILE...`.

Waits at most SECONDS until the service is healthy, then prints the Markdown of each file, a blank line between two, and
nothing else on stdout. The exit status is 1 if a file could not be read, 3 if the service was never healthy.
"""

import sys
import time
from pathlib import Path

import httpx

POLL_S = 0.3


def say(words: str) -> None:
    sys.stderr.write(f"run | {words}\n")


def healthy(client: httpx.Client, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if client.get("/health").status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(POLL_S)
    return False


def markdown(client: httpx.Client, file: str) -> str:
    """The file's Markdown; an HTTPError or OSError says what is wrong."""
    headers = {"Accept": "text/markdown", "Content-Type": "application/octet-stream"}
    answer = client.post("/ocr", content=Path(file).read_bytes(), headers=headers)
    if answer.is_error:
        raise httpx.HTTPError(f"{answer.status_code} {answer.text}")
    return answer.text.rstrip("\n") + "\n"


def main(url: str, seconds: str, *files: str) -> int:
    failed, separator = False, ""
    with httpx.Client(base_url=url, timeout=httpx.Timeout(5, read=None), trust_env=False) as client:
        if not healthy(client, float(seconds)):
            say(f"{url}/health was not 200 within {seconds} s")
            return 3
        for file in files:
            say(f"reading {file}")
            try:
                text = markdown(client, file)
            except (httpx.HTTPError, OSError) as error:
                say(f"{file}: {error}")
                failed = True
                continue
            sys.stdout.write(separator + text)
            sys.stdout.flush()
            separator = "\n"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
