"""The image's HEALTHCHECK: exit status 0 while `GET /health` is 200. Needs no curl and minds no proxy."""

import http.client
import os
import sys


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("GATEWAY_PORT") or 8081), timeout=4)
    try:
        connection.request("GET", "/health")
        return int(connection.getresponse().status != http.client.OK)
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
